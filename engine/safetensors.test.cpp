#include "engine/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/files.h"
#include "engine/module.h"

using namespace g2s;

namespace {

struct Folder {
  std::string path = temporary_name((std::filesystem::temp_directory_path() / "g2s_safetensors").string());
  Folder() { make_folders(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

// A file with this header text and this many data bytes.
std::string raw_file(const Folder& folder, const std::string& header, std::size_t data_bytes) {
  std::string path = folder / "raw.safetensors", content(8, '\0');
  std::uint64_t n = header.size();
  std::memcpy(content.data(), &n, 8);
  content += header;
  for (std::size_t i = 0; i < data_bytes; ++i) content += static_cast<char>(i);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::string message_of(const std::string& path) {
  try {
    SafetensorsFile file(path);
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find(path) != std::string::npos);
    CHECK((e.code() == Errc::format || e.code() == Errc::io));
    return e.what();
  }
  return "no error";
}

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("safetensors: what is written is read back, metadata and order included") {
  Folder folder;
  Tensor a = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  Tensor b = Tensor::from<std::uint8_t>({7, 8, 9}, {3});
  Tensor c = Tensor::from<double>({0.5}, {});
  Tensor d = Tensor::empty({0, 4});
  Tensor e = a.to(DType::bf16), f = a.to(DType::f16), g = Tensor::from<std::int32_t>({-1, 2});
  std::string path = folder / "x.safetensors";
  write_safetensors(path, {{"z", b}, {"a", a}, {"c", c}, {"empty", d}, {"e", e}, {"f", f}, {"g", g}}, {{"k", "v"}});
  SafetensorsFile file(path);
  CHECK(file.metadata().at("k") == "v");
  REQUIRE(file.entries().size() == 7);
  CHECK(file.entries()[0].name == "z");
  CHECK(file.get("a").to_vector<float>() == a.to_vector<float>());  // misaligned in the file by the 3 bytes before it
  CHECK(file.get("a").shape() == Shape{2, 3});
  CHECK(file.get("z").to_vector<std::uint8_t>() == std::vector<std::uint8_t>{7, 8, 9});
  CHECK(file.get("c").item() == 0.5);
  CHECK(file.get("c").rank() == 0);
  CHECK(file.get("empty").shape() == Shape{0, 4});
  CHECK(file.get("e").to(DType::f32).to_vector<float>() == a.to_vector<float>());
  CHECK(file.get("f").to(DType::f32).to_vector<float>() == a.to_vector<float>());
  CHECK(file.get("g").to_vector<std::int32_t>() == std::vector<std::int32_t>{-1, 2});
  CHECK_THROWS_AS(file.get("a").mutable_raw(), Error);
  CHECK_THROWS_AS(file.get("z").mutable_raw(), Error);
  std::string first = read_file(path);
  write_safetensors(path, {{"z", b}, {"a", a}, {"c", c}, {"empty", d}, {"e", e}, {"f", f}, {"g", g}}, {{"k", "v"}});
  CHECK(read_file(path) == first);
}

TEST_CASE("safetensors: a tensor outlives its file object and the replaced file") {
  Folder folder;
  std::string path = folder / "x.safetensors";
  write_safetensors(path, {{"a", Tensor::from<float>({1, 2})}});
  Tensor a = SafetensorsFile(path).get("a");
  write_safetensors(path, {{"a", Tensor::from<float>({3, 4})}});
  CHECK(a.to_vector<float>() == std::vector<float>{1, 2});
  CHECK(SafetensorsFile(path).get("a").to_vector<float>() == std::vector<float>{3, 4});
}

TEST_CASE("safetensors: every prefix of a good file is refused, naming it") {
  Folder folder;
  std::string path = folder / "x.safetensors", cut = folder / "cut.safetensors";
  write_safetensors(path, {{"weights", Tensor::from<float>({1, 2, 3})}, {"other", Tensor::from<float>({1})}}, {{"a", "b"}});
  std::string whole = read_file(path);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    std::ofstream(cut, std::ios::binary) << whole.substr(0, n);
    CHECK_THROWS_AS(SafetensorsFile{cut}, Error);
  }
  std::ofstream(cut, std::ios::binary) << whole.substr(0, whole.size() - 5);
  CHECK(says(message_of(cut), "truncated"));
  CHECK(says(message_of(cut), "tensor"));
  std::ofstream(cut, std::ios::binary) << whole << "x";
  CHECK(says(message_of(cut), "1 bytes after its last tensor"));
}

TEST_CASE("safetensors: headers that lie are refused") {
  Folder folder;
  auto refused = [&](const std::string& header, std::size_t bytes, const std::string& part) {
    CHECK(says(message_of(raw_file(folder, header, bytes)), part));
  };
  const std::string ok = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  CHECK(message_of(raw_file(folder, "{" + ok + "}", 8)) == "no error");
  refused("{" + ok + "," + ok + "}", 8, "tensor a: appears twice");
  refused("not json", 8, "not a JSON object");
  refused("[1]", 8, "not a JSON object");
  refused("", 0, "not a JSON object");
  refused(std::string(100000, '['), 8, "not a JSON object");
  refused("{" + ok + "}", 7, "truncated");
  refused("{" + ok + "}", 9, "after its last tensor");
  refused(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "has 8 bytes, but F32 [3] takes 12");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "backwards");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", 8, "malformed data_offsets");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,1e1]}})", 8, "malformed data_offsets");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}})", 8, "malformed");
  refused(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "malformed shape");
  refused(R"({"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,0]}})", 0, "overflows");
  refused(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]}})", 0, "overflows");
  refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,0]}})", 0, "backwards");
  refused(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1, "more than 6");
  refused(R"({"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}})", 1, "unknown dtype Q4");
  refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3, "overlaps");
  refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "belong to no tensor");
  refused(R"({"a":5})", 0, "lacks");
  refused(R"({"__metadata__":{"a":5}})", 0, "metadata");
  CHECK(says(message_of(folder / "absent.safetensors"), "No such file"));
  CHECK(says(message_of(folder.path), "folder"));
  std::string huge(8, '\xff');
  std::ofstream(folder / "huge.safetensors", std::ios::binary) << huge;
  CHECK(says(message_of(folder / "huge.safetensors"), "would be"));
}

TEST_CASE("safetensors: integers without an equal are widened, absent tensors named") {
  Folder folder;
  std::string path = raw_file(folder, R"({"a":{"dtype":"U16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BOOL","shape":[1],"data_offsets":[4,5]},)"
                                      R"("c":{"dtype":"I64","shape":[1],"data_offsets":[5,13]},"d":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[13,14]}})",
                              14);
  SafetensorsFile file(path);
  CHECK(file.get("a").to_vector<std::int32_t>() == std::vector<std::int32_t>{0x0100, 0x0302});
  CHECK(file.get("b").dtype() == DType::u8);
  CHECK_THROWS_WITH_AS(file.get("c"), doctest::Contains("tensor c: has values beyond 32 bits"), Error);
  CHECK_THROWS_WITH_AS(file.get("d"), doctest::Contains("tensor d is F8_E4M3"), Error);
  CHECK_THROWS_WITH_AS(file.get("nothing"), doctest::Contains("tensor nothing is missing"), Error);
  CHECK_THROWS_WITH_AS(file.get("nothing"), doctest::Contains(path.c_str()), Error);
}

TEST_CASE("safetensors: a failed write leaves the old file and nothing else") {
  Folder folder;
  std::string path = folder / "x.safetensors";
  write_safetensors(path, {{"a", Tensor::from<float>({1, 2})}});
  CHECK_THROWS_AS(write_safetensors(path, {{"a", Tensor::from<float>({1})}, {"a", Tensor::from<float>({1})}}), Error);
  CHECK_THROWS_AS(write_safetensors(path, {{"a", Tensor{}}}), Error);
  CHECK_THROWS_AS(write_safetensors(path, {{"\xff", Tensor::from<float>({1})}}), Error);
  CHECK_THROWS_AS(write_safetensors(folder / "no/such/x.safetensors", {}), Error);
  CHECK_THROWS_AS(write_safetensors(folder.path, {}), Error);
  CHECK(SafetensorsFile(path).get("a").numel() == 2);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}
