// OpenVINO and TFLite models that are damaged or mean harm.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "engine/error.h"
#include "engine/files.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"
#include "weights_converter/checkpoint.h"

using namespace g2s;
using namespace g2s::test;
using convert::Format;

namespace {

// "" if it is read.
std::string error_of(const std::string& content, Format format, const std::string& beside = {}) {
  try {
    convert::read_checkpoint("file", convert::own_bytes(content), format, beside.empty() ? convert::Bytes{} : convert::own_bytes(beside));
  } catch (const Error& e) {
    CHECK(e.op() == "file");
    CHECK((e.code() == Errc::format || e.code() == Errc::unsupported));
    return e.message();
  }
  return "";
}

std::string net(const std::string& layers, const std::string& edges = "", const std::string& version = "10") {
  return "<?xml version=\"1.0\"?><net name=\"n\" version=\"" + version + "\"><layers>" + layers + "</layers><edges>" + edges + "</edges></net>";
}

std::string constant(const std::string& name, const std::string& shape, const std::string& offset, const std::string& size,
                     const std::string& type = "f32") {
  static int id = 100;
  return str("<layer id=\"", id++, "\" name=\"", name, "\" type=\"Const\"><data element_type=\"", type, "\" shape=\"", shape, "\" offset=\"", offset,
             "\" size=\"", size, "\"/></layer>");
}

void says(const std::string& message, const std::string& part) {
  INFO(message);
  CHECK(message.find(part) != std::string::npos);
}

const std::string numbers(64, '\1');

void ir_says(const std::string& xml, const std::string& part) {
  CAPTURE(xml.substr(0, 300));
  says(error_of(xml, Format::openvino, numbers), part);
}

std::string corpus(const std::string& name) { return read_file(source_path("tests/fuzz/corpus/" + name)); }

}  // namespace

TEST_CASE("convert: OpenVINO constants that lie beyond, or over one another") {
  CHECK(error_of(net(constant("a", "2, 2", "0", "16") + constant("b", "", "16", "4") + constant("c", "4", "0", "16")), Format::openvino, numbers).empty());
  ir_says(net(constant("a", "2, 2", "60", "16")), "constant a lies at 60+16, beyond the 64 bytes");
  ir_says(net(constant("a", "2", "18446744073709551612", "8")), "offset");
  ir_says(net(constant("a", "2", "9223372036854775807", "8")), "beyond the 64 bytes");
  ir_says(net(constant("a", "2", "-4", "8")), "offset");
  ir_says(net(constant("a", "2", "4x", "8")), "offset");
  ir_says(net(constant("a", "2", "", "8")), "offset");
  ir_says(net(constant("a", "4", "0", "16") + constant("b", "4", "8", "16")), "constants a and b overlap");
  ir_says(net(constant("a", "4", "0", "16") + constant("b", "2", "0", "8")), "overlap");
  ir_says(net(constant("a", "2", "0", "16")), "a has 16 bytes, but f32 [2] takes 8");
  ir_says(net(constant("a", "4294967296, 4294967296, 4", "0", "16")), "overflows");
  ir_says(net(constant("a", "-1", "0", "4")), "malformed shape");
  ir_says(net(constant("a", "1,", "0", "4")), "malformed shape");
  ir_says(net(constant("a", "1;1", "0", "4")), "malformed shape");
  ir_says(net(constant("a", "8", "0", "4", "u4")), "type 'u4'");
}

TEST_CASE("convert: XML that is no OpenVINO model, or a damaged one") {
  ir_says("<?xml version=\"1.0\"?><svg/>", "its root is <svg>");
  ir_says("<?xml version=\"1.0\"?>", "damaged or truncated XML");
  ir_says(net("", "", "7"), "version 7");
  ir_says(net("", "", "x"), "no version");
  ir_says(net(""), "without layers");
  const std::string layer = "<layer id=\"0\" name=\"x\" type=\"Abs\"/>", edge = "<edge from-layer=\"0\" from-port=\"0\" to-layer=\"0\" to-port=\"0\"/>";
  ir_says(net(layer + layer), "two layers of the id 0");
  ir_says(net(layer, edge + edge), "two edges to the same input");
  ir_says(net(layer, "<edge from-layer=\"9\" from-port=\"0\" to-layer=\"0\" to-port=\"0\"/>"), "layer 9, which does not exist");
  CHECK(error_of(net(layer, edge), Format::openvino, numbers).empty());  // a circle is no harm
  CHECK_FALSE(error_of(net(layer).substr(0, 60), Format::openvino, numbers).empty());
}

TEST_CASE("convert: XML bombs stand for nothing") {
  std::string laughs = "<?xml version=\"1.0\"?><!DOCTYPE net [<!ENTITY a0 \"ha\">";
  for (int i = 1; i < 40; ++i) laughs += str("<!ENTITY a", i, " \"&a", i - 1, ";&a", i - 1, ";\">");
  ir_says(laughs + "]><net version=\"10\" name=\"&a39;\"/>", "DOCTYPE");
  ir_says("<?xml version=\"1.0\"?><!DOCTYPE net SYSTEM \"file:///etc/passwd\"><net version=\"10\"/>", "DOCTYPE");
  ir_says("<?xml version=\"1.0\"?><!DOCTYPE net [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><net version=\"10\" name=\"&x;\"/>", "DOCTYPE");
  // Without a declaration an entity is a text like any other.
  CHECK(error_of(net("<layer id=\"0\" name=\"&a39;\" type=\"Abs\"/>"), Format::openvino, numbers).empty());
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i) deep += "<a>";
  ir_says("<?xml version=\"1.0\"?>" + deep, "damaged or truncated XML");
  ir_says("<?xml version=\"1.0\"?><net version=\"10\">" + std::string(std::size_t{5} << 20, ' ') + "</net>", "bytes of XML; at most");
  const TemporaryFolder folder;
  write_file(folder / "bomb.xml", laughs + "]><net/>");
  const Outcome outcome = run_program({"info", folder / "bomb.xml"});
  CHECK(outcome.code == 1);
  CHECK(outcome.err.find("bomb.xml") != std::string::npos);
  CHECK(outcome.err.find("DOCTYPE") != std::string::npos);
}

TEST_CASE("convert: an archive of OpenVINO models cut at any byte is refused") {
  for (const std::string& path : {std::string("tests/fuzz/corpus/openvino/mapping_archive"), std::string("tests/fixtures/mobilestylegan.zip")}) {
    CAPTURE(path);
    const std::string content = read_file(source_path(path));
    CHECK(error_of(content, Format::openvino).empty());
    for (std::size_t length = 0; length < content.size(); ++length) {
      CAPTURE(length);
      REQUIRE_FALSE(error_of(content.substr(0, length), Format::openvino).empty());
    }
  }
}

TEST_CASE("convert: TFLite models of hostile offsets are refused, or read for what they are") {
  const std::string whole = corpus("tflite/small");
  CHECK(error_of(whole, Format::tflite).empty());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(error_of(whole.substr(0, length), Format::tflite).empty());
  }
  int refused = 0;
  for (std::size_t at = 0; at + 4 <= whole.size(); at += 2) {
    for (std::uint32_t value : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xfffffff0u, 0xffffffffu}) {
      std::string changed = whole;
      std::memcpy(changed.data() + at, &value, sizeof value);
      refused += !error_of(changed, Format::tflite).empty();
    }
  }
  CHECK(refused > 2000);
  auto with = [&](std::size_t at, std::uint32_t value) {
    std::string changed = whole;
    std::memcpy(changed.data() + at, &value, sizeof value);
    return error_of(changed, Format::tflite);
  };
  says(with(0, 0x7ffffff0), "an offset leads out of it");
  says(with(0, 0xffffffff), "an offset leads out of it");
  says(with(0, static_cast<std::uint32_t>(whole.size() - 2)), "a table lies beyond its end");
  says(with(4, 0), "no TFLite model of version 3");
}

TEST_CASE("convert: damaged models are refused by the program in one sentence") {
  const TemporaryFolder folder;
  std::string model = corpus("tflite/small");
  model.resize(model.size() / 2);
  write_file(folder / "half.tflite", model);
  std::string archive = read_file(source_path("tests/fixtures/mobilestylegan.zip"));
  write_file(folder / "half.whl", archive.substr(0, archive.size() / 2));
  archive[archive.size() / 3] = static_cast<char>(archive[archive.size() / 3] ^ 0x55);
  write_file(folder / "changed.whl", archive);
  for (const std::string name : {"half.tflite", "half.whl", "changed.whl"}) {
    CAPTURE(name);
    const Outcome outcome = run_program({"convert", folder / name, folder / "out.safetensors"});
    INFO(outcome.err);
    CHECK(outcome.code == 1);
    CHECK(outcome.err.find(name) != std::string::npos);
    CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
    CHECK(entries(folder.path()) == std::vector<std::string>{"changed.whl", "half.tflite", "half.whl"});
  }
}
