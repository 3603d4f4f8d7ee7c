#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "detent/core/memory.h"
#include "detent/core/processor/vectorized.h"
#include "detent/core/threads/parallel.h"
#include "detent/kernels/layers/pool.h"
#include "detent/kernels/layers/pool_window.h"

namespace detent::kernels {
namespace {

DETENT_VECTORIZED void winners_of_image(const PoolShape& shape, const std::int32_t* x, const std::uint8_t* argmax,
                                        std::int32_t* y) {
  const PoolShape s = shape;
  for (std::int64_t oh = 0; oh < s.out_h(); ++oh) {
    for (std::int64_t ow = 0; ow < s.out_w(); ++ow) {
      const std::int64_t out = (oh * s.out_w() + ow) * s.c;
      const std::uint8_t* __restrict winner = argmax + out;
      std::int32_t* __restrict won = y + out;
      std::fill_n(won, s.c, 0);
      for_each_pixel(s, oh, ow, [&](std::int64_t pixel, std::int64_t index) {
        const std::int32_t* __restrict in = x + pixel;
        const auto k = static_cast<std::uint8_t>(index);
        for (std::int64_t c = 0; c < s.c; ++c) {
          won[c] = winner[c] == k ? in[c] : won[c];
        }
      });
    }
  }
}

/// The common case in one pass: windows of 2 x 2 without padding.
[[gnu::always_inline]] inline void sum_of_four(const std::uint8_t* __restrict first,
                                               const std::uint8_t* __restrict below, std::int64_t channels,
                                               std::int32_t zero_points, std::int32_t* __restrict sum) {
  for (std::int64_t c = 0; c < channels; ++c) {
    sum[c] = first[c] + first[channels + c] + below[c] + below[channels + c] - zero_points;
  }
}

DETENT_VECTORIZED void sum_codes_2x2(const PoolShape& shape, const std::uint8_t* x_q, std::int32_t zero_point,
                                     std::int32_t* acc) {
  const PoolShape s = shape;
  const std::int64_t out_h = s.out_h(), out_w = s.out_w();
  for (std::int64_t oh = 0; oh < out_h; ++oh) {
    for (std::int64_t ow = 0; ow < out_w; ++ow) {
      const std::uint8_t* const in = x_q + (oh * s.stride_h * s.w + ow * s.stride_w) * s.c;
      sum_of_four(in, in + s.w * s.c, s.c, 4 * zero_point, acc + (oh * out_w + ow) * s.c);
    }
  }
}

DETENT_VECTORIZED void sum_codes(const PoolShape& shape, const std::uint8_t* x_q, std::int32_t zero_point,
                                 std::int32_t* acc) {
  const PoolShape s = shape;
  for (std::int64_t oh = 0; oh < s.out_h(); ++oh) {
    for (std::int64_t ow = 0; ow < s.out_w(); ++ow) {
      std::int32_t* __restrict sum = acc + (oh * s.out_w() + ow) * s.c;
      std::fill_n(sum, s.c, 0);
      for_each_pixel(s, oh, ow, [&](std::int64_t pixel, std::int64_t) {
        const std::uint8_t* __restrict in = x_q + pixel;
        for (std::int64_t c = 0; c < s.c; ++c) {
          sum[c] += static_cast<std::int32_t>(in[c]) - zero_point;
        }
      });
    }
  }
}

/// Slices of so many images together that each begins at a whole byte of a mask.
struct ByteSlices {
  std::int64_t unit, images;
  Slices slices;

  explicit ByteSlices(const PoolShape& shape)
      : unit(8 / std::gcd(shape.output_row(), std::int64_t{8})),
        images(shape.n),
        slices(slice_by_bytes((shape.n + unit - 1) / unit, unit * (shape.input_row() + shape.output_row() * 4))) {}
  Range operator[](std::int64_t slice) const {
    return {slices[slice].begin * unit, std::min(slices[slice].end * unit, images)};
  }
};

}  // namespace

void take_winners(const PoolShape& shape, const std::int32_t* x, const std::uint8_t* argmax, std::int32_t* y) {
  for (std::int64_t image = 0; image < shape.n; ++image) {
    const std::int64_t out = image * shape.output_row();
    winners_of_image(shape, x + image * shape.input_row(), argmax + out, y + out);
  }
}

std::int64_t avg_pool_slices(const PoolShape& shape) { return ByteSlices(shape).slices.count; }

void avg_pool_sums(const PoolShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point,
                   const PoolSumsConsumer& consume) {
  shape.validate();
  check(shape.window() < (std::int64_t{1} << 31) / 255, "avg-pool: expected a window whose sum of codes fits into 32 ",
        "bits, got ", shape.kh, " x ", shape.kw);
  const std::int64_t row = shape.output_row();
  const ByteSlices slices(shape);
  const auto run = [&](std::int64_t slice) {
    const Range images = slices[slice];
    auto* acc = thread_scratch_of<std::int32_t>(static_cast<std::size_t>(images.size() * row), Scratch::PoolSums);
    const auto sum = shape.kh == 2 && shape.kw == 2 && shape.padding == 0 ? &sum_codes_2x2 : &sum_codes;
    for (std::int64_t i = 0; i < images.size(); ++i) {
      sum(shape, x_q + (images.begin + i) * shape.input_row(), x_zero_point, acc + i * row);
    }
    consume(slice, images, acc);
  };
  parallel_slices(slices.slices.count, std::ref(run));
}

void avg_pool_codes(const PoolShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point, const Requantization& r,
                    std::uint8_t* y_q, std::uint8_t* mask, MinMax* seen) {
  shape.validate();
  check(static_cast<std::int64_t>(r.multiplier.size()) == shape.c, "avg-pool: expected ", shape.c, " multipliers, got ",
        r.multiplier.size());
  const std::int64_t row = shape.output_row();
  std::vector<MinMax> ranges(seen == nullptr ? 0 : static_cast<std::size_t>(avg_pool_slices(shape)));
  const auto consume = [&](std::int64_t slice, Range images, const std::int32_t* acc) {
    const std::int64_t first = images.begin * row;
    requantize(acc, images.size() * row / shape.c, r, y_q + first, mask == nullptr ? nullptr : mask + first / 8,
               seen == nullptr ? nullptr : &ranges[static_cast<std::size_t>(slice)]);
  };
  avg_pool_sums(shape, x_q, x_zero_point, std::ref(consume));
  if (seen != nullptr) {
    for (const MinMax& range : ranges) {
      seen->include(range);
    }
  }
}

}  // namespace detent::kernels
