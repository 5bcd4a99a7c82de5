// What the symbol test must find: an inline function outside its instruction set's namespace, emitted because its address is taken.
#include <vector>

inline double outside(double x) { return x * x; }

namespace g2s::kernels::v3 {
double (*leak())(double) { return outside; }
double grow(std::vector<double>& v) {
  v.push_back(1);
  return v.back();
}
}  // namespace g2s::kernels::v3
