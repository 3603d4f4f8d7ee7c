#include "detent/kernels/layers/pool.h"

#include <algorithm>
#include <functional>
#include <type_traits>

#include "detent/core/dtype.h"
#include "detent/core/float16.h"
#include "detent/core/memory.h"
#include "detent/core/processor/vectorized.h"
#include "detent/core/threads/parallel.h"
#include "detent/kernels/layers/pool_window.h"

namespace detent::kernels {
namespace {

/// Whether `x` wins over what is the largest so far.
template <typename T>
[[gnu::always_inline]] inline bool wins(T x, T largest) {
  return (x > largest) | (x != x);
}

/// An index as wide as what is compared, so that both are selected by one mask.
template <typename Key>
using IndexOf = std::conditional_t<sizeof(Key) == 1, std::uint8_t,
                                   std::conditional_t<sizeof(Key) == 4, std::uint32_t, std::uint64_t>>;

template <typename T, bool kArgmax>
[[gnu::always_inline]] inline void max_with(const T* __restrict in, std::uint8_t index, std::int64_t channels,
                                            T* __restrict best, std::uint8_t* __restrict winner) {
  using Key = decltype(promote(T{}));
  using Index = IndexOf<Key>;
  for (std::int64_t c = 0; c < channels; ++c) {
    const Key x = promote(in[c]);
    const Key largest = promote(best[c]);
    const bool win = wins(x, largest);
    demote(win ? x : largest, &best[c]);
    if constexpr (kArgmax) {
      winner[c] = static_cast<std::uint8_t>(win ? Index{index} : Index{winner[c]});
    }
  }
}

template <typename T, bool kArgmax>
[[gnu::always_inline]] inline void max_image_general(PoolShape s, const T* x, T* y, std::uint8_t* argmax) {
  for (std::int64_t oh = 0; oh < s.out_h(); ++oh) {
    for (std::int64_t ow = 0; ow < s.out_w(); ++ow) {
      const std::int64_t out = (oh * s.out_w() + ow) * s.c;
      T* __restrict best = y + out;
      std::uint8_t* __restrict winner = kArgmax ? argmax + out : nullptr;
      bool first = true;
      for_each_pixel(s, oh, ow, [&](std::int64_t pixel, std::int64_t index) {
        const T* __restrict in = x + pixel;
        const auto k = static_cast<std::uint8_t>(index);
        if (first) {
          std::copy_n(in, s.c, best);
          if constexpr (kArgmax) {
            std::fill_n(winner, s.c, k);
          }
          first = false;
          return;
        }
        max_with<T, kArgmax>(in, k, s.c, best, winner);
      });
    }
  }
}

template <typename T, bool kArgmax>
[[gnu::always_inline]] inline void max_of_four(const T* __restrict in0, const T* __restrict in1,
                                               const T* __restrict in2, const T* __restrict in3, std::int64_t channels,
                                               T* __restrict best, std::uint8_t* __restrict winner) {
  using Key = decltype(promote(T{}));
  using Index = IndexOf<Key>;
  for (std::int64_t c = 0; c < channels; ++c) {
    Key largest = promote(in0[c]);
    Index k = 0;
    const Key second = promote(in1[c]);
    k = wins(second, largest) ? Index{1} : k;
    largest = wins(second, largest) ? second : largest;
    const Key third = promote(in2[c]);
    k = wins(third, largest) ? Index{2} : k;
    largest = wins(third, largest) ? third : largest;
    const Key fourth = promote(in3[c]);
    k = wins(fourth, largest) ? Index{3} : k;
    largest = wins(fourth, largest) ? fourth : largest;
    demote(largest, &best[c]);
    if constexpr (kArgmax) {
      winner[c] = static_cast<std::uint8_t>(k);
    }
  }
}

/// The common case in one pass: windows of 2 x 2 without padding.
template <typename T, bool kArgmax>
[[gnu::always_inline]] inline void max_image_2x2(PoolShape s, const T* x, T* y, std::uint8_t* argmax) {
  const std::int64_t out_h = s.out_h();
  const std::int64_t out_w = s.out_w();
  for (std::int64_t oh = 0; oh < out_h; ++oh) {
    for (std::int64_t ow = 0; ow < out_w; ++ow) {
      const std::int64_t out = (oh * out_w + ow) * s.c;
      const T* in = x + (oh * s.stride_h * s.w + ow * s.stride_w) * s.c;
      const T* below = in + s.w * s.c;
      max_of_four<T, kArgmax>(in, in + s.c, below, below + s.c, s.c, y + out, kArgmax ? argmax + out : nullptr);
    }
  }
}

template <typename T, bool kArgmax>
DETENT_VECTORIZED void max_image(const PoolShape& shape, const T* x, T* y, std::uint8_t* argmax) {
  const PoolShape s = shape;
  if (s.kh == 2 && s.kw == 2 && s.padding == 0) {
    max_image_2x2<T, kArgmax>(s, x, y, argmax);
  } else {
    max_image_general<T, kArgmax>(s, x, y, argmax);
  }
}

/// Whether the windows cover every pixel exactly once, so that gradients are stored instead of summed.
bool tiles(const PoolShape& s) {
  return s.kh == s.stride_h && s.kw == s.stride_w && s.padding == 0 && s.h % s.kh == 0 && s.w % s.kw == 0;
}

template <typename T, bool kTiles>
DETENT_VECTORIZED void max_image_backward(const PoolShape& shape, const T* dy, const std::uint8_t* argmax, T* dx) {
  const PoolShape s = shape;
  if constexpr (!kTiles) {
    std::fill_n(dx, s.input_row(), T{});
  }
  for (std::int64_t oh = 0; oh < s.out_h(); ++oh) {
    for (std::int64_t ow = 0; ow < s.out_w(); ++ow) {
      const std::int64_t out = (oh * s.out_w() + ow) * s.c;
      using Key = decltype(promote(T{}));
      const T* __restrict gradient = dy + out;
      const std::uint8_t* __restrict winner = argmax + out;
      for_each_pixel(s, oh, ow, [&](std::int64_t pixel, std::int64_t index) {
        T* __restrict in = dx + pixel;
        const auto k = static_cast<std::uint8_t>(index);
        for (std::int64_t c = 0; c < s.c; ++c) {
          const auto mine = winner[c] == k ? promote(gradient[c]) : Key{};
          demote(kTiles ? mine : promote(in[c]) + mine, &in[c]);
        }
      });
    }
  }
}

template <typename T>
DETENT_VECTORIZED void avg_image(const PoolShape& shape, const T* x, T* y) {
  const PoolShape s = shape;
  const auto count = static_cast<T>(s.window());
  for (std::int64_t oh = 0; oh < s.out_h(); ++oh) {
    for (std::int64_t ow = 0; ow < s.out_w(); ++ow) {
      T* __restrict sum = y + (oh * s.out_w() + ow) * s.c;
      std::fill_n(sum, s.c, T{0});
      for_each_pixel(s, oh, ow, [&](std::int64_t pixel, std::int64_t) {
        const T* __restrict in = x + pixel;
        for (std::int64_t c = 0; c < s.c; ++c) {
          sum[c] += in[c];
        }
      });
      for (std::int64_t c = 0; c < s.c; ++c) {
        sum[c] /= count;
      }
    }
  }
}

template <typename T>
DETENT_VECTORIZED void avg_image_backward(const PoolShape& shape, const T* dy, T* dx) {
  const PoolShape s = shape;
  using Key = decltype(promote(T{}));
  const auto count = static_cast<Key>(s.window());
  std::fill_n(dx, s.input_row(), T{});
  for (std::int64_t oh = 0; oh < s.out_h(); ++oh) {
    for (std::int64_t ow = 0; ow < s.out_w(); ++ow) {
      const T* __restrict gradient = dy + (oh * s.out_w() + ow) * s.c;
      for_each_pixel(s, oh, ow, [&](std::int64_t pixel, std::int64_t) {
        T* __restrict in = dx + pixel;
        for (std::int64_t c = 0; c < s.c; ++c) {
          demote(promote(in[c]) + promote(gradient[c]) / count, &in[c]);
        }
      });
    }
  }
}

/// The same where each pixel lies in one window: a line of windows makes one line of gradients, and copies of it.
template <typename T>
DETENT_VECTORIZED void avg_tiles_backward(const PoolShape& shape, const T* dy, T* dx) {
  const PoolShape s = shape;
  using Key = decltype(promote(T{}));
  const auto count = static_cast<Key>(s.window());
  const std::int64_t out_w = s.out_w(), line = s.w * s.c;
  for (std::int64_t oh = 0; oh < s.out_h(); ++oh) {
    const T* const gradients = dy + oh * out_w * s.c;
    T* const first = dx + oh * s.kh * line;
    T* const shares = first + line - out_w * s.c;  // the end of the line, which is read before it is written
    for (std::int64_t i = 0; i < out_w * s.c; ++i) {
      demote(promote(gradients[i]) / count, &shares[i]);
    }
    for (std::int64_t ow = 0; ow < out_w; ++ow) {
      for (std::int64_t j = 0; j < s.kw; ++j) {
        T* const in = first + (ow * s.kw + j) * s.c;
        DETENT_INDEPENDENT
        for (std::int64_t c = 0; c < s.c; ++c) {
          in[c] = shares[ow * s.c + c];
        }
      }
    }
    for (std::int64_t i = 1; i < s.kh; ++i) {
      std::copy_n(first, line, first + i * line);
    }
  }
}

template <typename Fn>
void for_each_image(const PoolShape& s, std::size_t element, Fn fn) {
  const Slices slices = slice_by_bytes(s.n, s.input_row() * static_cast<std::int64_t>(element));
  const auto run = [&](std::int64_t slice) {
    for (std::int64_t image = slices[slice].begin; image < slices[slice].end; ++image) {
      fn(image);
    }
  };
  parallel_slices(slices.count, std::ref(run));  // a function that fits into std::function without memory
}

}  // namespace

void PoolShape::validate() const {
  check(n >= 0 && h >= 1 && w >= 1 && c >= 1, "pool: expected images of at least 1 x 1 x 1, got ", h, " x ", w, " x ",
        c);
  check(kh >= 1 && kw >= 1 && stride_h >= 1 && stride_w >= 1,
        "pool: expected a window and strides of at least 1, got window ", kh, " x ", kw, ", strides ", stride_h, " x ",
        stride_w);
  check(!padding.is_negative() && 2 * std::max(padding.top, padding.bottom) <= kh &&
            2 * std::max(padding.left, padding.right) <= kw,
        "pool: expected padding of at most half the window ", kh, " x ", kw, ", got ", padding);
  check(kh <= h + padding.h() && kw <= w + padding.w(), "pool: expected a window that fits into the image of ", h,
        " x ", w, " pixels, got ", kh, " x ", kw);
}

template <typename T>
void max_pool_forward(const PoolShape& shape, const T* x, T* y, std::uint8_t* argmax) {
  shape.validate();
  check(shape.window() <= 256, "max-pool: expected a window of at most 256 pixels, got ", shape.kh, " x ", shape.kw);
  for_each_image(shape, sizeof(T), [&](std::int64_t image) {
    const auto* in = raw(x + image * shape.input_row());
    auto* out = raw(y + image * shape.output_row());
    if (argmax != nullptr) {
      max_image<std::remove_pointer_t<decltype(out)>, true>(shape, in, out, argmax + image * shape.output_row());
    } else {
      max_image<std::remove_pointer_t<decltype(out)>, false>(shape, in, out, nullptr);
    }
  });
}

template <typename T>
void max_pool_backward(const PoolShape& shape, const T* dy, const std::uint8_t* argmax, T* dx) {
  shape.validate();
  const bool store = tiles(shape);
  for_each_image(shape, sizeof(T), [&](std::int64_t image) {
    const auto* in = raw(dy + image * shape.output_row());
    auto* out = raw(dx + image * shape.input_row());
    const std::uint8_t* winners = argmax + image * shape.output_row();
    using Raw = std::remove_pointer_t<decltype(out)>;
    store ? max_image_backward<Raw, true>(shape, in, winners, out)
          : max_image_backward<Raw, false>(shape, in, winners, out);
  });
}

template <typename T>
void avg_pool_forward(const PoolShape& shape, const T* x, T* y) {
  shape.validate();
  for_each_image(shape, sizeof(T), [&](std::int64_t image) {
    avg_image(shape, x + image * shape.input_row(), y + image * shape.output_row());
  });
}

template <typename T>
void avg_pool_backward(const PoolShape& shape, const T* dy, T* dx) {
  shape.validate();
  const bool store = tiles(shape);
  for_each_image(shape, sizeof(T), [&](std::int64_t image) {
    const auto* in = raw(dy + image * shape.output_row());
    auto* out = raw(dx + image * shape.input_row());
    using Raw = std::remove_pointer_t<decltype(out)>;
    store ? avg_tiles_backward<Raw>(shape, in, out) : avg_image_backward<Raw>(shape, in, out);
  });
}

template void max_pool_forward(const PoolShape&, const float*, float*, std::uint8_t*);
template void max_pool_forward(const PoolShape&, const double*, double*, std::uint8_t*);
template void max_pool_forward(const PoolShape&, const bfloat16*, bfloat16*, std::uint8_t*);
template void max_pool_forward(const PoolShape&, const std::uint8_t*, std::uint8_t*, std::uint8_t*);
template void max_pool_backward(const PoolShape&, const float*, const std::uint8_t*, float*);
template void max_pool_backward(const PoolShape&, const double*, const std::uint8_t*, double*);
template void max_pool_backward(const PoolShape&, const bfloat16*, const std::uint8_t*, bfloat16*);
template void avg_pool_forward(const PoolShape&, const float*, float*);
template void avg_pool_forward(const PoolShape&, const double*, double*);
template void avg_pool_backward(const PoolShape&, const float*, float*);
template void avg_pool_backward(const PoolShape&, const double*, double*);
template void avg_pool_backward(const PoolShape&, const bfloat16*, bfloat16*);

}  // namespace detent::kernels
