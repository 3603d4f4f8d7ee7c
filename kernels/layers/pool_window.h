#pragma once

#include <algorithm>
#include <cstdint>

#include "detent/kernels/layers/pool.h"

/// How the sources of pooling walk over a window. Private to this folder.
namespace detent::kernels {

/// The part of a window that lies in the image, as indices within the window.
struct Bounds {
  std::int64_t begin, end;
  Bounds(std::int64_t out, std::int64_t stride, std::int64_t padding, std::int64_t window, std::int64_t extent) {
    const std::int64_t start = out * stride - padding;
    begin = std::max<std::int64_t>(0, -start);
    end = std::min(window, extent - start);
  }
};

/// Calls fn(pixel, index) for the pixels of the window of output (oh, ow) that lie in the image.
template <typename Fn>
[[gnu::always_inline]] inline void for_each_pixel(const PoolShape& s, std::int64_t oh, std::int64_t ow, Fn fn) {
  const Bounds rows(oh, s.stride_h, s.padding.top, s.kh, s.h);
  const Bounds columns(ow, s.stride_w, s.padding.left, s.kw, s.w);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    const std::int64_t line = (oh * s.stride_h - s.padding.top + i) * s.w + ow * s.stride_w - s.padding.left;
    for (std::int64_t j = columns.begin; j < columns.end; ++j) {
      fn((line + j) * s.c, i * s.kw + j);
    }
  }
}

}  // namespace detent::kernels
