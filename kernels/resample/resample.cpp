#include "kernels/resample/resample.h"

#include <limits>
#include <map>
#include <mutex>
#include <tuple>

#include "engine/autograd.h"
#include "engine/context.h"
#include "engine/captured_graph.h"
#include "kernels/resample/resample_args.h"

namespace g2s {
namespace {

// Fewer channels than this do not fill a vector: the width's table is spread over columns and channels.
constexpr std::int64_t few_channels = 8;

template <class T>
struct FlatTable {
  std::vector<std::int32_t> index;
  std::vector<T> weight;
};

template <class T>
FlatTable<T> flatten(const ResampleAxis& axis, std::int64_t channels) {
  const std::int64_t n = axis.out() * channels;
  FlatTable<T> table{std::vector<std::int32_t>(n), std::vector<T>(n * axis.taps, T(0))};
  for (std::int64_t o = 0; o < axis.out(); ++o) {
    // Every output reads `taps` inputs: one at the end of the row starts earlier, with zero weights.
    const std::int64_t start = std::min<std::int64_t>(axis.start[o], axis.in - axis.taps), late = axis.start[o] - start;
    for (std::int64_t c = 0; c < channels; ++c) {
      table.index[o * channels + c] = static_cast<std::int32_t>(start * channels + c);
      for (std::int64_t j = 0; j < axis.count[o]; ++j)
        table.weight[(j + late) * n + o * channels + c] = static_cast<T>(axis.weight[o * axis.taps + j]);
    }
  }
  return table;
}

template <class T>
kernels::ResampleAxisArgs<T> axis_args(const ResampleAxis& axis, const std::vector<T>& weight) {
  return {axis.start.data(), axis.count.data(), weight.data(), axis.taps, axis.in, axis.out()};
}

template <class T>
void run_cpu(const Tensor& x, const ResampleAxes& axes, Tensor& y) {
  const std::vector<T> row_weight(axes.rows.weight.begin(), axes.rows.weight.end());
  const std::vector<T> col_weight(axes.cols.weight.begin(), axes.cols.weight.end());
  FlatTable<T> flat;
  if (x.dim(3) < few_channels) flat = flatten<T>(axes.cols, x.dim(3));
  kernels::resample(false, {x.data<T>(), y.mutable_data<T>(), x.dim(0), x.dim(3), axis_args(axes.rows, row_weight),
                            axis_args(axes.cols, col_weight), flat.index.empty() ? nullptr : flat.index.data(), flat.weight.data()});
}

struct DeviceTables {
  Tensor start, count, weight;
};

struct AllDeviceTables {
  using Key = std::tuple<int, DType, std::int64_t, std::vector<std::int32_t>, std::vector<std::int32_t>, std::vector<double>>;
  std::mutex mutex;
  std::map<Key, DeviceTables> known;
};

// The tables of an axis on a device. They stay with the context: a program resamples between few sizes, and work that was captured finds its
// tables again.
const DeviceTables& device_tables(const ResampleAxis& axis, DType dtype, Device device) {
  AllDeviceTables& all = Context::current().object<AllDeviceTables>();
  std::lock_guard lock(all.mutex);
  DeviceTables& tables = all.known[{device.index, dtype, axis.taps, axis.start, axis.count, axis.weight}];
  if (!tables.start.defined()) {
    const PersistentMemory persistent;
    const Tensor weight = Tensor::from(axis.weight, {static_cast<std::int64_t>(axis.weight.size())}, Device{});
    tables = {Tensor::from(axis.start, {axis.out()}, device), Tensor::from(axis.count, {axis.out()}, device), weight.to(dtype).to(device)};
    PersistentMemory::publish(device);
  }
  return tables;
}

template <class T>
kernels::ResampleAxisArgs<T> device_args(const ResampleAxis& axis, const Tensor& x) {
  const DeviceTables& t = device_tables(axis, x.dtype(), x.device());
  return {t.start.ptr<std::int32_t>(), t.count.ptr<std::int32_t>(), t.weight.ptr<T>(), axis.taps, axis.in, axis.out()};
}

template <class T>
void run(const Tensor& x, const ResampleAxes& axes, Tensor& y) {
  if (!x.on_cuda()) return run_cpu<T>(x, axes, y);
  kernels::resample(true, {x.ptr<T>(), y.mutable_ptr<T>(), x.dim(0), x.dim(3), device_args<T>(axes.rows, x),
                           device_args<T>(axes.cols, x), nullptr, nullptr});
}

}  // namespace

ResampleAxisBuilder::ResampleAxisBuilder(std::int64_t in, std::int64_t out) : rows_(out) {
  axis_.in = in;
  axis_.start.assign(out, 0);
  axis_.count.assign(out, 0);
}

void ResampleAxisBuilder::add(std::int64_t out, std::int64_t in, double weight) {
  std::vector<double>& row = rows_[out];
  if (row.empty()) {
    if (weight == 0) return;
    axis_.start[out] = static_cast<std::int32_t>(in);
  }
  row.resize(in - axis_.start[out] + 1, 0.0);
  row.back() += weight;
}

ResampleAxis ResampleAxisBuilder::finish() {
  for (std::size_t o = 0; o < rows_.size(); ++o) {
    while (!rows_[o].empty() && rows_[o].back() == 0) rows_[o].pop_back();
    axis_.count[o] = static_cast<std::int32_t>(rows_[o].size());
    axis_.taps = std::max<std::int64_t>(axis_.taps, axis_.count[o]);
  }
  axis_.weight.assign(rows_.size() * axis_.taps, 0.0);
  for (std::size_t o = 0; o < rows_.size(); ++o) std::copy(rows_[o].begin(), rows_[o].end(), axis_.weight.begin() + o * axis_.taps);
  return std::move(axis_);
}

ResampleAxis transposed(const ResampleAxis& axis) {
  ResampleAxisBuilder builder(axis.out(), axis.in);
  for (std::int64_t o = 0; o < axis.out(); ++o)
    for (std::int64_t j = 0; j < axis.count[o]; ++j) builder.add(axis.start[o] + j, o, axis.weight[o * axis.taps + j]);
  return builder.finish();
}

Tensor resample(const Tensor& x, const char* op, std::shared_ptr<const ResampleAxes> axes) {
  check(x.rank() == 4 && x.dim(1) == axes->rows.in && x.dim(2) == axes->cols.in, op, "x must be [B,", axes->rows.in, ",", axes->cols.in,
        ",C], got ", describe(x));
  if (!is_real(x.dtype())) fail(Errc::invalid_argument, op, "x must be f32 or f64, got ", describe(x));
  check(x.dim(1) * x.dim(2) * x.dim(3) <= std::numeric_limits<std::int32_t>::max(), op, "a picture is too large: ", describe(x));
  Tensor y = Tensor::empty({x.dim(0), axes->rows.out(), axes->cols.out(), x.dim(3)}, x.dtype(), x.device());
  if (y.numel() > 0) {
    if (x.dtype() == DType::f64) run<double>(x, *axes, y);
    else run<float>(x, *axes, y);
  }
  return record(y, op, {x}, [axes, op](const BackwardArgs& a) -> std::vector<Tensor> {
    auto adjoint = std::make_shared<const ResampleAxes>(ResampleAxes{transposed(axes->rows), transposed(axes->cols)});
    return {resample(a.dy, op, adjoint)};
  });
}

}  // namespace g2s
