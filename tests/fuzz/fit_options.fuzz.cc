// The options of a fit, as the C interface takes them: any text is understood, or refused with what is wrong.
#include <cmath>
#include <cstdlib>
#include <string>

#include "c_api/fit_options.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace g2s;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const test::Allowance input(std::size_t{16} << 20);
  try {
    const capi::FitRequest request = capi::read_fit_options(text.c_str());
    if (!std::isfinite(request.settings.scale)) std::abort();
    if (!request.latent) return 0;
    const Tensor& latent = request.latent;
    if (latent.rank() < 2 || latent.rank() > 3 || latent.dim(0) != 1) std::abort();
    for (std::int64_t i = 0; i < latent.numel(); ++i)
      if (!std::isfinite(latent.data<float>()[i])) std::abort();
  } catch (const Error& e) {
    if ((e.code() != Errc::invalid_argument && e.code() != Errc::format) || e.op().empty() || e.message().empty()) std::abort();
  }
  return 0;
}
