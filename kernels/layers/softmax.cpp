#include "detent/kernels/layers/softmax.h"

#include <cmath>
#include <functional>

#include "detent/core/threads/parallel.h"

namespace detent::kernels {
namespace {

template <typename T, typename Fn>
void for_each_row(std::int64_t rows, std::int64_t channels, Fn fn) {
  const Slices slices = slice_by_bytes(channels == 0 ? 0 : rows, channels * static_cast<std::int64_t>(sizeof(T)));
  const auto run_slice = [&](std::int64_t slice) {
    for (std::int64_t r = slices[slice].begin; r < slices[slice].end; ++r) {
      fn(r * channels);
    }
  };
  parallel_slices(slices.count, std::cref(run_slice));  // by reference: plans run without allocating
}

}  // namespace

template <typename T>
SoftmaxRow softmax_row(const T* x, std::int64_t channels, T* y) {
  T largest = x[0];
  for (std::int64_t c = 1; c < channels; ++c) {
    largest = x[c] > largest ? x[c] : largest;
  }
  SoftmaxRow row{.largest = static_cast<double>(largest)};
  for (std::int64_t c = 0; c < channels; ++c) {
    const double power = std::exp(static_cast<double>(x[c]) - row.largest);
    row.sum += power;
    y[c] = static_cast<T>(power);
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    y[c] = static_cast<T>(static_cast<double>(y[c]) / row.sum);
  }
  return row;
}

template <typename T>
void softmax_forward(const T* x, std::int64_t rows, std::int64_t channels, T* y) {
  for_each_row<T>(rows, channels, [&](std::int64_t first) { softmax_row(x + first, channels, y + first); });
}

template <typename T>
void softmax_backward(const T* y, const T* dy, std::int64_t rows, std::int64_t channels, T* dx) {
  for_each_row<T>(rows, channels, [&](std::int64_t first) {
    double dot = 0;
    for (std::int64_t i = first; i < first + channels; ++i) {
      dot += static_cast<double>(dy[i]) * static_cast<double>(y[i]);
    }
    for (std::int64_t i = first; i < first + channels; ++i) {
      dx[i] = static_cast<T>(static_cast<double>(y[i]) * (static_cast<double>(dy[i]) - dot));
    }
  });
}

template SoftmaxRow softmax_row(const float*, std::int64_t, float*);
template SoftmaxRow softmax_row(const double*, std::int64_t, double*);
template void softmax_forward(const float*, std::int64_t, std::int64_t, float*);
template void softmax_forward(const double*, std::int64_t, std::int64_t, double*);
template void softmax_backward(const float*, const float*, std::int64_t, std::int64_t, float*);
template void softmax_backward(const double*, const double*, std::int64_t, std::int64_t, double*);

}  // namespace detent::kernels
