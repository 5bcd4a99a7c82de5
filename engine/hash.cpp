#include "engine/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <memory>

#include "engine/mapped_file.h"

namespace g2s {
namespace {

std::string hexadecimal(const unsigned char* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) broken();
  }
  void add(const void* data, std::size_t bytes) {
    if (bytes && EVP_DigestUpdate(context_.get(), data, bytes) != 1) broken();
  }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(context_.get(), digest, &length) != 1) broken();
    return hexadecimal(digest, length);
  }

 private:
  [[noreturn]] static void broken() { fail(Errc::internal, "sha256", "libcrypto refused to hash"); }
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

std::string sha256(std::string_view content) {
  Sha256 hash;
  hash.add(content.data(), content.size());
  return hash.hex();
}

std::string xxh128(std::string_view content) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(content.data(), content.size()));
  return hexadecimal(canonical.digest, sizeof canonical.digest);
}

std::string sha256(const Tensor& tensor) {
  Sha256 hash;
  std::string head = describe(tensor);
  hash.add(head.data(), head.size());
  hash.add(tensor.raw(), tensor.bytes());
  return hash.hex();
}

std::string sha256_file(const std::string& path) {
  const auto file = MappedFile::open(path);
  return sha256(std::string_view(file->data(), file->size()));
}

}  // namespace g2s
