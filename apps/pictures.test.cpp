#include "apps/pictures.h"

#include <doctest/doctest.h>

#include "engine/error.h"
#include "engine/files.h"
#include "tests/cli/program.h"

using namespace g2s;
using namespace g2s::app;
using namespace g2s::test;

namespace {

std::vector<std::string> names(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  for (const Picture& picture : list_pictures(paths)) out.push_back(picture.name);
  return out;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("pictures: each goes by a name of its own") {
  CHECK(names({"/none/a.png", "/none/b.tar.gz", "/none/c"}) == Strings{"a", "b.tar", "c"});
  CHECK(names({"/none/same.png", "/none/same.jpg", "/none/other.png"}) == Strings{"same_png", "same_jpg", "other"});
  CHECK(names({"/none/a/same.png", "/none/b/same.png"}) == Strings{"a_same_png", "b_same_png"});
  CHECK(names({"/none/1/a/same.png", "/none/2/a/same.png", "/none/same"}) == Strings{"a_same_png", "a_same_png_2", "same"});
  CHECK(names({"/none/same.png", "/none/same.jpg", "/none/same_png.png"}) == Strings{"none_same_png", "same_jpg", "none_same_png_png"});
  CHECK(names({"/none/same.png", "/none/x/../same.png", "/none/./same.png"}) == Strings{"same"});
  CHECK(names({"/..png", "/...png", "/.png"}) == Strings{"..png", "...png", ".png"});
}

TEST_CASE("pictures: a folder stands for what is one by content or name") {
  const TemporaryFolder folder;
  const std::string gif = "GIF89a and so on";
  for (const char* name : {"b", "c.JPG", "a.gif", ".d.gif", "a_depth.png", "z_depth.png", "e.txt", "f.pdf"})
    write_file(folder / name, std::string(name) == "e.txt" ? "text" : gif);
  make_folders(folder / "below.png");
  CHECK(names({folder.path()}) == Strings{"a", "b", "c", "z_depth"});
  CHECK(names({folder / "b", folder.path()}) == Strings{"b", "a", "c", "z_depth"});
  CHECK(list_pictures({folder / "below.png"}).at(0).path == folder / "below.png");
  CHECK_THROWS_WITH_AS(require_picture(folder / "below.png"), doctest::Contains("is a folder without a picture in it"), Error);
  CHECK_THROWS_WITH_AS(require_picture(folder / "none"), doctest::Contains("does not exist"), Error);
  CHECK_NOTHROW(require_picture(folder / "b"));
}
