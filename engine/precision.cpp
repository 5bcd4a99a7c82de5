#include "engine/precision.h"

#include "engine/context.h"
#include "engine/error.h"
#include "engine/names.h"

namespace g2s {

Precision precision() { return settings().precision; }

const char* to_string(Precision precision) { return name_of(precision, {"f32", "tf32", "bf16"}); }

Precision precision_from_name(const std::string& name) {
  for (Precision p : {Precision::f32, Precision::tf32, Precision::bf16})
    if (name == to_string(p)) return p;
  fail(Errc::invalid_argument, "precision", "'", name, "' is none of f32, tf32, bf16");
}

}  // namespace g2s
