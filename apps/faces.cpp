#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/commands.h"
#include "apps/definitions.h"
#include "engine/files.h"
#include "engine/image.h"
#include "engine/json_text.h"
#include "models/face/finder.h"
#include "models/face/report.h"

namespace g2s::app {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> pictures;
  std::string out = "out", face = "all";
  std::int64_t aligned = 0;  // pixels; 0: no crops
  bool json = false;
  MachineOptions machine;
};

std::string stem_of(const std::string& path) { return std::filesystem::path(path).stem().string(); }

void check_options(const Options& o) {
  std::set<std::string> stems;
  for (const std::string& path : o.pictures)
    if (!stems.insert(stem_of(path)).second)
      fail(Errc::invalid_argument, path, "another picture has this name too: their results would overwrite each other");
  for (const std::string& path : o.pictures) image_info(path);  // refuses what is no picture
}

// One line for a person.
std::string told(const Face& face) {
  const auto whole = [](double v) { return std::lround(v); };
  std::string text =
      str("  ", face.number, ": ", whole(face.width), " x ", whole(face.height), " pixels at (", whole(face.left), ", ", whole(face.top),
          "), yaw ", whole(face.pose.yaw), ", pitch ", whole(face.pose.pitch), ", roll ", whole(face.pose.roll), " degrees");
  if (!face.remark.empty()) text += str("; ", to_string(face.state), ": ", face.remark);
  return text;
}

// Writes the crop of a face that is fit for it, and says where.
void write_aligned(const Options& o, const std::string& stem, const Tensor& pixels, const Face& face, json& entry) {
  if (o.aligned == 0 || face.state == FaceState::unfit) return;
  entry["aligned"] = str(o.out, "/", stem, "_face", face.number, ".png");
  write_png(entry["aligned"], align_face(pixels, face.frame, o.aligned));
}

json do_picture(const Options& o, const FaceFinder& finder, const std::string& path) {
  const Image image = read_image(path);
  const std::vector<Face> faces = choose_faces(finder(image.rgb), o.face, path);
  const std::string stem = stem_of(path);
  json entries = json::array();
  for (const Face& face : faces) {
    json entry = face_json(face);
    write_aligned(o, stem, image.rgb, face, entry);
    entries.push_back(std::move(entry));
  }
  json result = {{"picture", path},
                 {"width", image.width()},
                 {"height", image.height()},
                 {"faces", entries},
                 {"drawn", o.out + "/" + stem + "_faces.png"}};
  write_png(result["drawn"], draw_faces(image.rgb, faces));
  write_file(o.out + "/" + stem + "_faces.json", json_text(result) + "\n");
  if (o.json) return result;
  std::cout << path << ": "
            << (faces.empty()       ? "no face was found"
                : faces.size() == 1 ? "1 face"
                                    : str(faces.size(), " faces"))
            << ", " << result["drawn"].get<std::string>() << '\n';
  for (const Face& face : faces) std::cout << told(face) << '\n';
  return result;
}

int run(const Options& o) {
  const CommandContext context(context_options(o.machine, DeviceSupport::cpu));
  check_options(o);
  require_writable_folder(o.out);
  const WeightPaths paths = find_weights(weight_source(), "default", {.faces = true});
  const FaceFinder finder{SafetensorsFile(paths.face_detector), SafetensorsFile(paths.face_landmarks)};
  make_folders(o.out);
  json all = json::array();
  for (const std::string& path : o.pictures) {
    check_cancelled(path);
    all.push_back(do_picture(o, finder, path));
  }
  if (o.json) std::cout << json_text({{"pictures", all}}) << '\n';
  return 0;
}

}  // namespace

Command add_faces(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("pictures", o->pictures, str("Pictures: ", picture_formats()))->type_name("PICTURE")->required();
  app.add_option("-o,--out", o->out, "Folder for STEM_faces.png, STEM_faces.json and STEM_face1.png and so on")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--face", o->face, "Which faces: all, largest, or a number; 1 is the largest")
      ->type_name("all|largest|N")
      ->check(one_of({"all", "largest"}, is_face_number, "a number"))
      ->capture_default_str();
  app.add_option("--aligned", o->aligned, "Write each face as a picture of this many pixels too, upright in the frame of FFHQ")
      ->type_name("SIZE")
      ->check(whole_number(16, 4096));
  app.add_flag("--json", o->json, "Print the result as JSON");
  group(app, Part::input, {"--face"});
  group(app, Part::results, {"--out", "--aligned", "--json"});
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
