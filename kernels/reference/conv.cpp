#include <algorithm>
#include <vector>

#include "detent/kernels/product/conv.h"

namespace detent::kernels {
namespace {

/// Calls fn(y index, x index or -1 where the input is padding, weight index) for every product of the convolution.
template <typename Fn>
void for_each_product(const ConvShape& s, Fn&& fn) {
  const std::int64_t channels = s.c / s.groups;
  const std::int64_t outputs = s.o / s.groups;
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t oh = 0; oh < s.out_h(); ++oh)
      for (std::int64_t ow = 0; ow < s.out_w(); ++ow)
        for (std::int64_t o = 0; o < s.o; ++o)
          for (std::int64_t i = 0; i < s.kh; ++i)
            for (std::int64_t j = 0; j < s.kw; ++j)
              for (std::int64_t c = 0; c < channels; ++c) {
                const std::int64_t h = oh * s.stride_h - s.padding.top + i * s.dilation_h;
                const std::int64_t w = ow * s.stride_w - s.padding.left + j * s.dilation_w;
                const bool is_inside = h >= 0 && h < s.h && w >= 0 && w < s.w;
                const std::int64_t channel = o / outputs * channels + c;
                fn(((n * s.out_h() + oh) * s.out_w() + ow) * s.o + o,
                   is_inside ? ((n * s.h + h) * s.w + w) * s.c + channel : -1,
                   ((o * s.kh + i) * s.kw + j) * channels + c);
              }
}

std::vector<double> zeros(std::int64_t count) { return std::vector<double>(static_cast<std::size_t>(count)); }

template <typename T>
void store(const std::vector<double>& values, T* to) {
  std::transform(values.begin(), values.end(), to, [](double value) { return static_cast<T>(value); });
}

double& at(std::vector<double>& values, std::int64_t index) { return values[static_cast<std::size_t>(index)]; }

}  // namespace

template <typename T>
void reference_conv2d_forward(const ConvShape& shape, const T* x, const T* weight, const T* bias, T* y) {
  shape.validate();
  std::vector<double> sums = zeros(shape.n * shape.output_row());
  for_each_product(shape, [&](std::int64_t y_index, std::int64_t x_index, std::int64_t w_index) {
    if (x_index >= 0) {
      at(sums, y_index) += static_cast<double>(x[x_index]) * static_cast<double>(weight[w_index]);
    }
  });
  if (bias != nullptr) {
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] += static_cast<double>(bias[i % static_cast<std::size_t>(shape.o)]);
    }
  }
  store(sums, y);
}

template <typename T>
void reference_conv2d_backward(const ConvShape& shape, const T* dy, const T* x, const T* weight, T* dx, T* dw, T* db) {
  shape.validate();
  std::vector<double> dx_sums = zeros(dx ? shape.n * shape.input_row() : 0);
  std::vector<double> dw_sums = zeros(dw ? shape.weight_elements() : 0);
  std::vector<double> db_sums = zeros(db ? shape.o : 0);
  for_each_product(shape, [&](std::int64_t y_index, std::int64_t x_index, std::int64_t w_index) {
    if (x_index < 0) {
      return;
    }
    const double gradient = static_cast<double>(dy[y_index]);
    if (dx != nullptr) {
      at(dx_sums, x_index) += gradient * static_cast<double>(weight[w_index]);
    }
    if (dw != nullptr) {
      at(dw_sums, w_index) += gradient * static_cast<double>(x[x_index]);
    }
  });
  if (db != nullptr) {
    for (std::int64_t i = 0; i < shape.n * shape.output_row(); ++i) {
      at(db_sums, i % shape.o) += static_cast<double>(dy[i]);
    }
  }
  store(dx_sums, dx);
  store(dw_sums, dw);
  store(db_sums, db);
}

void reference_conv2d_integer(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point,
                              const std::int8_t* weight, std::int32_t* acc) {
  shape.validate();
  std::vector<std::int64_t> sums(static_cast<std::size_t>(shape.n * shape.output_row()));
  for_each_product(shape, [&](std::int64_t y_index, std::int64_t x_index, std::int64_t w_index) {
    const std::int64_t code = x_index >= 0 ? x_q[x_index] : x_zero_point;
    sums[static_cast<std::size_t>(y_index)] += (code - x_zero_point) * weight[w_index];
  });
  std::transform(sums.begin(), sums.end(), acc, [](std::int64_t sum) { return static_cast<std::int32_t>(sum); });
}

template <typename T>
void reference_matmul(const MatmulShape& shape, const T* a, const T* b, T* y) {
  for (std::int64_t i = 0; i < shape.m; ++i) {
    for (std::int64_t j = 0; j < shape.n; ++j) {
      double sum = 0;
      for (std::int64_t p = 0; p < shape.k; ++p) {
        const T left = shape.transpose_a ? a[p * shape.m + i] : a[i * shape.k + p];
        const T right = shape.transpose_b ? b[j * shape.k + p] : b[p * shape.n + j];
        sum += static_cast<double>(left) * static_cast<double>(right);
      }
      y[i * shape.n + j] = static_cast<T>(sum);
    }
  }
}

template void reference_conv2d_forward(const ConvShape&, const float*, const float*, const float*, float*);
template void reference_conv2d_forward(const ConvShape&, const double*, const double*, const double*, double*);
template void reference_conv2d_backward(const ConvShape&, const float*, const float*, const float*, float*, float*,
                                        float*);
template void reference_conv2d_backward(const ConvShape&, const double*, const double*, const double*, double*, double*,
                                        double*);
template void reference_matmul(const MatmulShape&, const float*, const float*, float*);
template void reference_matmul(const MatmulShape&, const double*, const double*, double*);

}  // namespace detent::kernels
