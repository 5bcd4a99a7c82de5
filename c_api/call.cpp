#include "c_api/call.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <new>

namespace g2s::capi {
namespace {

// What the library has said in this thread. Plain memory: calls may still fail while objects of the thread are destroyed, and where there
// is no memory.
struct Said {
  char error[4096];
  char text[512];
};

Said& said() noexcept {
  static thread_local Said in_thread;
  return in_thread;
}

// Not in the middle of a character of UTF-8.
void keep(char* to, std::size_t size, std::string_view text) noexcept {
  std::size_t length = std::min(text.size(), size - 1);
  if (length < text.size())
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  std::memcpy(to, text.data(), length);
  to[length] = 0;
}

g2s_status failed(g2s_status status, std::string_view text) noexcept {
  keep(said().error, sizeof said().error, text);
  return status;
}

g2s_status status_of(Errc code) noexcept {
  switch (code) {
    case Errc::invalid_argument: return G2S_INVALID_ARGUMENT;
    case Errc::shape_mismatch: return G2S_SHAPE_MISMATCH;
    case Errc::io: return G2S_IO;
    case Errc::format: return G2S_FORMAT;
    case Errc::unsupported: return G2S_UNSUPPORTED;
    case Errc::out_of_memory: return G2S_OUT_OF_MEMORY;
    case Errc::cancelled: return G2S_CANCELLED;
    case Errc::internal: return G2S_INTERNAL;
  }
  return G2S_INTERNAL;
}

}  // namespace

g2s_status keep_error() noexcept {
  try {
    throw;
  } catch (const Error& e) {
    return failed(status_of(e.code()), e.what());
  } catch (const Busy& e) {
    return failed(G2S_BUSY, e.what());
  } catch (const std::bad_alloc&) {
    return failed(G2S_OUT_OF_MEMORY, "memory: there is not enough");
  } catch (const std::filesystem::filesystem_error& e) {
    return failed(G2S_IO, e.what());
  } catch (const std::exception& e) {
    return failed(G2S_INTERNAL, e.what());
  } catch (...) {
    return failed(G2S_INTERNAL, "an exception of an unknown kind");
  }
}

const char* keep_text(std::string_view text) noexcept {
  keep(said().text, sizeof said().text, text);
  return said().text;
}

}  // namespace g2s::capi

using namespace g2s::capi;

const char* g2s_version(void) { return G2S_VERSION; }

const char* g2s_status_name(g2s_status status) {
  switch (status) {
    case G2S_OK: return "ok";
    case G2S_INVALID_ARGUMENT: return "invalid argument";
    case G2S_SHAPE_MISMATCH: return "shape mismatch";
    case G2S_IO: return "input/output";
    case G2S_FORMAT: return "format";
    case G2S_UNSUPPORTED: return "unsupported";
    case G2S_OUT_OF_MEMORY: return "out of memory";
    case G2S_CANCELLED: return "cancelled";
    case G2S_INTERNAL: return "internal";
    case G2S_BUSY: return "busy";
  }
  return "unknown status";
}

const char* g2s_last_error(void) { return said().error; }
