// In what precision the products of convolutions and matrices are taken. A setting of the whole process: results depend on it, and on no timing.
#pragma once

#include <string>

namespace g2s {

enum class Precision {
  f32,
  bf16,  // inputs of the products of f32 convolutions rounded to bfloat16, sums in f32; everything else stays f32
};

Precision precision();  // f32 unless set
void set_precision(Precision precision);

// Another precision for the life of this object.
class WithPrecision {
 public:
  explicit WithPrecision(Precision p) : before_(precision()) { set_precision(p); }
  ~WithPrecision() { set_precision(before_); }
  WithPrecision(const WithPrecision&) = delete;
  WithPrecision& operator=(const WithPrecision&) = delete;

 private:
  Precision before_;
};

const char* to_string(Precision precision);
// Throws Error(invalid_argument) naming the choices.
Precision precision_from_name(const std::string& name);

}  // namespace g2s
