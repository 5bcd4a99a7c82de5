// Reads golden.safetensors (f64 tensors only), for the time before the engine's own reader.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/tensor.h"

namespace g2s::test {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& path) : path_(path) {
    std::ifstream in(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), {});
    std::uint64_t size = 0;
    std::memcpy(&size, bytes_.data(), 8);
    header_ = nlohmann::json::parse(bytes_.substr(8, size));
    metadata_ = header_.at("__metadata__").get<std::map<std::string, std::string>>();
    data_ = 8 + size;
  }
  const std::string& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(const std::string& name) const { return header_.contains(name); }
  Tensor get(const std::string& name) const {
    const auto& entry = header_.at(name);
    Tensor t = Tensor::empty(Shape(entry.at("shape").get<std::vector<std::int64_t>>()), DType::f64);
    std::memcpy(t.mutable_raw(), bytes_.data() + data_ + entry.at("data_offsets").at(0).get<std::size_t>(), t.bytes());
    return t;
  }

 private:
  std::string path_, bytes_;
  nlohmann::json header_;
  std::map<std::string, std::string> metadata_;
  std::size_t data_ = 0;
};

}  // namespace g2s::test
