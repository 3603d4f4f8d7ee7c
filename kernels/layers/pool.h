#pragma once

#include <cstdint>
#include <functional>

#include "detent/core/geometry.h"
#include "detent/core/threads/parallel.h"
#include "detent/kernels/codes/quantize.h"

/// Pooling of images N H W C over windows of KH x KW pixels; results are N OH OW C. Every function but take_winners is
/// parallel over slices of images and gives the same bits at any number of threads.
namespace detent::kernels {

struct PoolShape {
  std::int64_t n = 1, h = 1, w = 1, c = 1;  ///< images, height, width, channels of the input
  std::int64_t kh = 1, kw = 1;              ///< the window; h and w for global pooling
  std::int64_t stride_h = 1, stride_w = 1;
  Padding2d padding = 0;

  /// Pooling over the whole image: N H W C -> N 1 1 C.
  static PoolShape global(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
    return {.n = n, .h = h, .w = w, .c = c, .kh = h, .kw = w, .stride_h = h, .stride_w = w};
  }

  std::int64_t out_h() const { return (h + padding.h() - kh) / stride_h + 1; }
  std::int64_t out_w() const { return (w + padding.w() - kw) / stride_w + 1; }
  std::int64_t input_row() const { return h * w * c; }               ///< elements of one input image
  std::int64_t output_row() const { return out_h() * out_w() * c; }  ///< elements of one output image
  std::int64_t window() const { return kh * kw; }
  /// Throws Error unless everything is positive, the window fits into the padded image, and padding is at most half the
  /// window, so that every window has a pixel of the image in it.
  void validate() const;
  bool operator==(const PoolShape&) const = default;
};

/// y = max over the window. Padding never wins; NaN does, of several the last. With `argmax` [N, OH, OW, C] (may be
/// null) the index kw * row + column within the window of the pixel that won: of equal pixels the first. T is float,
/// double, bfloat16 or uint8_t (codes: max commutes with the map, whose scale is positive). REQUIRES: window() <= 256;
/// throws Error otherwise.
template <typename T>
void max_pool_forward(const PoolShape& shape, const T* x, T* y, std::uint8_t* argmax);

/// dx [N, H, W, C] = at every pixel the sum of dy of the windows that it won, in the order of the windows. Overwrites.
/// T is float, double or bfloat16 (sums of overlapping windows are then rounded to bfloat16 one by one).
template <typename T>
void max_pool_backward(const PoolShape& shape, const T* dy, const std::uint8_t* argmax, T* dx);

/// y [N, OH, OW, C] = x [N, H, W, C] at the pixel of its window that `argmax` names. Single-threaded.
void take_winners(const PoolShape& shape, const std::int32_t* x, const std::uint8_t* argmax, std::int32_t* y);

/// y = (sum over the window) / (kh * kw): padding counts as zeros, as in PyTorch's count_include_pad = true.
/// The pixels of a window are added in order, in T. T is float or double.
template <typename T>
void avg_pool_forward(const PoolShape& shape, const T* x, T* y);

/// dx = at every pixel the sum of dy / (kh * kw) of the windows that see it. Overwrites. T is float, double or
/// bfloat16, in which each addition is rounded.
template <typename T>
void avg_pool_backward(const PoolShape& shape, const T* dy, T* dx);

/// Average pooling of codes: requantize(sum over the window of (x_q - x_zero_point)), with `r` from
/// make_average_requantization(input, shape.window(), ...), so r.output and r.codes are those of y_q.
/// `mask` [mask_bytes(n * output_row())] and `seen` are as in requantize; both may be null.
/// REQUIRES: 255 * window() < 2^31.
void avg_pool_codes(const PoolShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point, const Requantization& r,
                    std::uint8_t* y_q, std::uint8_t* mask = nullptr, MinMax* seen = nullptr);

/// The sums of avg_pool_codes, for other uses: `consume` gets those of the images of one slice, acc [images, OH, OW,
/// C], valid during the call, on any thread. A slice's results begin at a multiple of 8 elements.
using PoolSumsConsumer = std::function<void(std::int64_t slice, Range images, const std::int32_t* acc)>;
/// How many slices there are.
std::int64_t avg_pool_slices(const PoolShape& shape);
void avg_pool_sums(const PoolShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point,
                   const PoolSumsConsumer& consume);

}  // namespace detent::kernels
