#include "engine/files.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "engine/hash.h"
#include "engine/npy.h"

using namespace g2s;
namespace fs = std::filesystem;

namespace {

struct Folder {
  std::string path = temporary_name((fs::temp_directory_path() / "g2s_files").string());
  Folder() { make_folders(path); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
  std::ptrdiff_t entries() const { return std::distance(fs::directory_iterator(path), {}); }
};

// No file may grow beyond this while it lives: as on a full disk, write() fails in the middle.
struct FullDisk {
  rlimit before{};
  void (*handler)(int) = SIG_DFL;
  explicit FullDisk(rlim_t bytes) {
    handler = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit limit{bytes, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
  }
};

}  // namespace

TEST_CASE("files: a file appears complete or not at all") {
  Folder folder;
  const std::string path = folder / "x.txt";
  write_file(path, "first");
  {
    AtomicFile file(path);
    file.write("sec");
    CHECK(read_file(path) == "first");
  }
  CHECK(read_file(path) == "first");
  CHECK(folder.entries() == 1);
  write_file(path, "second");
  CHECK(read_file(path) == "second");
  CHECK_THROWS_WITH_AS(write_file(folder / "no/x", ""), doctest::Contains("no/x: cannot be written: No such file"), Error);
  CHECK_THROWS_WITH_AS(write_file(folder.path, ""), doctest::Contains("it is a folder"), Error);
  CHECK_THROWS_WITH_AS(read_file(path, 3), doctest::Contains("6 bytes"), Error);
}

TEST_CASE("files: a full disk leaves what was there") {
  Folder folder;
  const std::string path = folder / "x.npy";
  write_npy(path, Tensor::from<float>({1, 2}));
  const std::string before = read_file(path);
  {
    FullDisk full(1 << 16);
    CHECK_THROWS_WITH_AS(write_npy(path, Tensor::zeros({1 << 16})), doctest::Contains(path.c_str()), Error);
  }
  CHECK(read_file(path) == before);
  CHECK(folder.entries() == 1);
}

TEST_CASE("files: folders") {
  Folder folder;
  make_folders(folder / "a/b");
  CHECK_NOTHROW(require_writable_folder(folder / "a/b"));
  CHECK(fs::is_empty(folder / "a/b"));
  write_file(folder / "file", "");
  CHECK_THROWS_WITH_AS(make_folders(folder / "file/c"), doctest::Contains("file/c"), Error);
  CHECK_NOTHROW(require_writable_folder(folder / "none/below"));
  CHECK_FALSE(fs::exists(folder / "none"));
  CHECK_THROWS_WITH_AS(require_writable_folder(folder / "file/c"), doctest::Contains("is not a folder, so "), Error);
  rename_path(folder / "a", folder / "c");
  CHECK(fs::exists(folder / "c/b"));
  CHECK_THROWS_AS(rename_path(folder / "a", folder / "d"), Error);
}

TEST_CASE("files: a folder appears when it is complete, and takes the place of an earlier one") {
  Folder folder;
  const std::string path = folder / "results";
  for (const char* content : {"first", "second"}) {
    AtomicFolder made(path);
    write_file(made.temporary() + "/x", content);
    CHECK(fs::exists(path) == (std::string(content) == "second"));
    made.commit();
    CHECK(read_file(path + "/x") == content);
  }
  {
    AtomicFolder abandoned(path);
    write_file(abandoned.temporary() + "/x", "third");
    CHECK(folder.entries() == 2);
  }
  CHECK(read_file(path + "/x") == "second");
  CHECK(folder.entries() == 1);
}

TEST_CASE("npy: arrays come back; NumPy's own files are understood") {
  Folder folder;
  const std::string path = folder / "x.npy";
  auto round_trip = [&](const Tensor& x) {
    write_npy(path, x);
    Tensor y = read_npy(path);
    CHECK(y.shape() == x.shape());
    CHECK(y.dtype() == x.dtype());
    CHECK(std::string(static_cast<const char*>(y.raw()), y.bytes()) == std::string(static_cast<const char*>(x.raw()), x.bytes()));
    CHECK((fs::file_size(path) - x.bytes()) % 64 == 0);
  };
  round_trip(Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3}));
  round_trip(Tensor::from<double>({0.5}, {}));
  round_trip(Tensor::from<std::int32_t>({-7, 8}));
  round_trip(Tensor::from<std::uint8_t>({1, 2, 3, 4}, {1, 2, 2}));
  CHECK_THROWS_AS(write_npy(path, Tensor::zeros({2}, DType::f16)), Error);

  auto numpy = [&](std::string header, const std::string& data) {
    header.resize(117, ' ');
    write_file(path, std::string("\x93NUMPY\x01\x00", 8) + std::string("\x76\x00", 2) + header + "\n" + data);
    return read_npy(path);
  };
  const std::string four("\x00\x00\x80\x3f\x00\x00\x00\x40", 8), big("\x3f\x80\x00\x00\x40\x00\x00\x00", 8);
  CHECK(numpy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", four).to_vector<float>() == std::vector<float>{1, 2});
  CHECK(numpy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", big).to_vector<float>() == std::vector<float>{1, 2});
  CHECK(numpy("{'shape': (1, 2), 'descr': '<f4', 'fortran_order': False}", four).shape() == Shape{1, 2});
  auto refused = [&](const std::string& header, const std::string& data, const char* part) {
    CHECK_THROWS_WITH_AS(numpy(header, data), doctest::Contains(part), Error);
  };
  refused("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", four, "Fortran");
  refused("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", four, "<c8");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", four, "truncated");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", four, "too long");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,8), }", four, "overflows");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", four, "overflows");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,2), }", four, "more than 6");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (x,), }", four, "malformed");
  refused("{'descr': '<f4', 'shape': (2,), }", four, "fortran_order");
  refused("{'descr': '<f4", four, ".npy");
  write_npy(path, Tensor::from<float>({1, 2, 3}));
  const std::string whole = read_file(path);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, n);
    CHECK_THROWS_WITH_AS(read_npy(path), doctest::Contains(path.c_str()), Error);
  }
}

TEST_CASE("hash: XXH128 as xxhsum prints it") {
  CHECK(xxh128("") == "99aa06d3014798d86001c324468d497f");
  CHECK(xxh128("abc") == "06b05ab6733a618578af5f94892f3950");
}

TEST_CASE("hash: SHA-256") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256(Tensor::from<float>({1, 2})) != sha256(Tensor::from<float>({1, 2}, {2, 1})));
  Folder folder;
  write_file(folder / "x", "abc");
  CHECK(sha256_file(folder / "x") == sha256("abc"));
}
