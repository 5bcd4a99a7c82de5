#include "tests/convert/fixtures.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/files.h"
#include "engine/hashed_tensor.h"
#include "tests/support/check.h"
#include "weights_converter/zip.h"

namespace g2s::test {

std::string fixture(const std::string& name) { return source_path("tests/fixtures/" + name); }

std::string unpacked_fixture(const TemporaryFolder& folder, const std::string& name) {
  gzFile in = gzopen(fixture(name + ".gz").c_str(), "rb");
  if (!in) fail(Errc::io, name, "cannot be unpacked");
  std::string content;
  char buffer[1 << 16];
  for (int n; (n = gzread(in, buffer, sizeof buffer)) > 0;) content.append(buffer, static_cast<std::size_t>(n));
  gzclose(in);
  const std::string path = folder / name;
  write_file(path, content);
  return path;
}

std::vector<std::string> unpacked_archive(const TemporaryFolder& folder, const std::string& name) {
  std::vector<std::string> paths;
  for (const auto& member : ::g2s::convert::read_zip(name, ::g2s::convert::map_file(fixture(name)))) {
    paths.push_back(folder / std::filesystem::path(member.name).filename().string());
    write_file(paths.back(), std::string(member.content.load().view()));
  }
  return paths;
}

RawSafetensors read_raw(const std::string& path) {
  const std::string content = read_file(path);
  std::uint64_t header = 0;
  std::memcpy(&header, content.data(), sizeof header);
  const auto json = nlohmann::json::parse(content.substr(8, header));
  RawSafetensors file;
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") {
      file.metadata = entry.get<std::map<std::string, std::string>>();
      continue;
    }
    const std::uint64_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
    file.tensors[name] = {entry.at("dtype"), entry.at("shape"), content.substr(8 + header + begin, end - begin)};
  }
  return file;
}

std::string convert(const TemporaryFolder& folder, const std::vector<std::string>& inputs, const std::vector<std::string>& options,
                    Outcome* outcome) {
  static int count = 0;
  const std::string out = folder / str("out", count++, ".safetensors");
  std::vector<std::string> arguments = {"convert"};
  arguments.insert(arguments.end(), inputs.begin(), inputs.end());
  arguments.push_back(out);
  arguments.insert(arguments.end(), options.begin(), options.end());
  const Outcome done = run_program(arguments);
  INFO(done.err);
  REQUIRE(done.code == 0);
  if (outcome) *outcome = done;
  return out;
}

Tensor fixture_sketch(const Tensor& t) {
  constexpr std::int64_t size = 512;
  Tensor x = t.detach().to(DType::f64);
  if (x.numel() <= 2 * size) return x.reshape({x.numel()});
  Tensor out = Tensor::zeros({size}, DType::f64);
  const std::uint64_t hash = fnv1a64("sketch");
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double u = hashed_uniform(hash, static_cast<std::uint64_t>(i));
    const auto bucket = static_cast<std::int64_t>((u + 1) * 0x1p52) % size;
    out.mutable_data<double>()[bucket] += (u < 0 ? -1 : 1) * x.data<double>()[i];
  }
  return out;
}

}  // namespace g2s::test
