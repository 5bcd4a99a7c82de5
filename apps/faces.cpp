#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/definitions.h"
#include "apps/pictures.h"
#include "apps/settings.h"
#include "engine/files.h"
#include "engine/image.h"
#include "engine/json_text.h"
#include "engine/shown.h"
#include "models/face/finder.h"
#include "models/face/report.h"

namespace g2s::app {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> pictures;
  std::string out = "out", face = "all";
  std::int64_t aligned = 0;  // pixels; 0: no crops
  bool force = false, json = false;
  MachineOptions machine;
};

// One line for a person.
std::string told(const Face& face) {
  const auto whole = [](double v) { return std::lround(v); };
  std::string text =
      str("  ", face.number, ": ", whole(face.width), " x ", whole(face.height), " pixels at (", whole(face.left), ", ", whole(face.top),
          "), yaw ", whole(face.pose.yaw), ", pitch ", whole(face.pose.pitch), ", roll ", whole(face.pose.roll), " degrees");
  if (!face.remark.empty()) text += str("; ", to_string(face.state), ": ", face.remark);
  return text;
}

// Of a face that is fit for it, else empty.
std::string crop_file(const Options& o, const std::string& name, const Face& face) {
  return o.aligned == 0 || face.state == FaceState::unfit ? "" : str(o.out, "/", name, "_face", face.number, ".png");
}

void print(const json& result, const std::vector<Face>& faces) {
  std::cout << shown(result["picture"].get<std::string>()) << ": "
            << (faces.empty()       ? "no face was found"
                : faces.size() == 1 ? "1 face"
                                    : str(faces.size(), " faces"))
            << ", " << shown(result["drawn"].get<std::string>()) << '\n';
  for (const Face& face : faces) std::cout << told(face) << '\n';
}

json do_picture(const Options& o, const FaceFinder& finder, const Picture& picture) {
  require_picture(picture.path);
  const Image image = read_image(picture.path);
  const std::vector<Face> faces = choose_faces(finder(image.rgb), o.face, picture.path);
  const std::string start = o.out + "/" + picture.name + "_faces", drawn = start + ".png", told = start + ".json";
  for (const std::string& file : {drawn, told}) require_free(file, o.force);
  for (const Face& face : faces) require_free(crop_file(o, picture.name, face), o.force);
  make_folders(o.out);
  json entries = json::array();
  for (const Face& face : faces) {
    json entry = face_json(face);
    if (const std::string crop = crop_file(o, picture.name, face); !crop.empty()) {
      entry["aligned"] = crop;
      write_png(crop, align_face(image.rgb, face.frame, o.aligned));
    }
    entries.push_back(std::move(entry));
  }
  json result = {
      {"picture", picture.path}, {"width", image.width()}, {"height", image.height()}, {"faces", entries}, {"drawn", drawn}};
  write_png(drawn, draw_faces(image.rgb, faces));
  write_file(told, json_text(result) + "\n");
  if (!o.json) print(result, faces);
  return result;
}

int run(const Options& o) {
  const CommandContext context(context_options(o.machine, DeviceSupport::cpu));
  require_writable_folder(o.out);
  const WeightPaths paths = find_weights(weight_source(), "default", {.faces = true});
  const FaceFinder finder{SafetensorsFile(paths.face_detector), SafetensorsFile(paths.face_landmarks)};
  const std::vector<Picture> pictures = list_pictures(o.pictures);
  json all = json::array();
  std::string failures;
  for (const Picture& picture : pictures) {
    check_cancelled(picture.path);
    try {
      all.push_back(do_picture(o, finder, picture));
    } catch (const Error& e) {
      if (e.code() == Errc::cancelled || pictures.size() == 1) throw;
      failures += (failures.empty() ? "" : "; ") + message_of(e);
    }
  }
  if (o.json && !all.empty()) std::cout << json_text({{"pictures", all}}) << '\n';
  if (failures.empty()) return 0;
  fail(Errc::internal, "faces", pictures.size() - all.size(), " of ", pictures.size(), " pictures failed", all.empty() ? "" : ", the others are done",
       ": ", failures);
}

}  // namespace

Command add_faces(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("pictures", o->pictures, str("Pictures: ", picture_formats(), "; a folder stands for the pictures in it"))->type_name("PICTURE")->required();
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
  add_force_option(app, o->force);
  app.add_flag("--json", o->json, "Print the result as JSON");
  group(app, Part::input, {"--face"});
  group(app, Part::results, {"--out", "--aligned", "--json"});
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
