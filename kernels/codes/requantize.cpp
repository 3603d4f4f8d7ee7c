#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "detent/core/memory.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/codes/columns/column_kernels.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/requantize_tile.h"
#include "detent/kernels/codes/rounding.h"

namespace detent::kernels {
namespace {

constexpr std::int64_t kBlock = 256;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The constants of a Requantization as the loops want them: tables of `period` entries, for the elements i % period.
struct Tables {
  std::int64_t period = 0;
  const float* multiplier = nullptr;
  const float* bias = nullptr;
  const float* real_scale = nullptr;
  float zero_point = 0;
  float lower = 0;
  float upper = 0;
  float positive = 0;  // what a real value must exceed for its gradient to pass
  Inside inside{0, 0};
};

/// What the loops below write for a block: codes, a flag an element, the reals that are seen.
struct Block {
  alignas(64) std::uint8_t inside[kBlock] = {};
  alignas(64) float real[kBlock] = {};
};

DETENT_VECTORIZED void requantize_block(const std::int32_t* __restrict acc, std::int64_t n, const Tables& t,
                                        std::int64_t column, std::uint8_t* __restrict y, Block* __restrict block) {
  const float* __restrict multiplier = t.multiplier + column;
  const float* __restrict bias = t.bias + column;
  const float* __restrict real_scale = t.real_scale + column;
  const float positive = t.positive;
  const float zero_point = t.zero_point;
  const float lower = t.lower;
  const float upper = t.upper;
  const Inside inside = t.inside;
  std::uint8_t* __restrict flags = block->inside;
  float* __restrict reals = block->real;
  for (std::int64_t i = 0; i < n; ++i) {
    const float sum = static_cast<float>(acc[i]) + bias[i];
    const float code = sum * multiplier[i] + zero_point;
    y[i] = static_cast<std::uint8_t>(round_clamped(code, lower, upper));
    flags[i] = static_cast<std::uint8_t>((code >= inside.low) & (code <= inside.high) & (sum > positive));
    const float real = sum * real_scale[i];
    reals[i] = real > positive ? real : positive;
  }
}

DETENT_VECTORIZED void include_reals(const float* real, std::int64_t n, MinMaxLanes* lanes) {
  MinMaxLanes local = *lanes;
  const std::int64_t whole = n - n % MinMaxLanes::kLanes;
  for (std::int64_t i = 0; i < whole; i += MinMaxLanes::kLanes) {
    for (int lane = 0; lane < MinMaxLanes::kLanes; ++lane) {
      local.include(lane, real[i + lane]);
    }
  }
  for (std::int64_t i = whole; i < n; ++i) {
    local.include(0, real[i]);
  }
  *lanes = local;
}

/// Hands a block's flags and reals on to where they are wanted.
class Wanted {
 public:
  Wanted(std::uint8_t* mask, MinMax* seen) : mask_(mask), seen_(seen) {}
  void take(Block* block, std::int64_t begin, std::int64_t n) {
    if (mask_ != nullptr) {
      std::fill(block->inside + n, block->inside + std::min(kBlock, (n + 7) / 8 * 8), std::uint8_t{0});
      pack_bits(block->inside, n, mask_ + begin / 8);
    }
    if (seen_ != nullptr) {
      include_reals(block->real, n, &lanes_);
    }
  }
  void finish() {
    if (seen_ != nullptr) {
      seen_->include(lanes_.result());
    }
  }

 private:
  std::uint8_t* mask_;
  MinMax* seen_;
  MinMaxLanes lanes_;
};

}  // namespace

void requantize(const std::int32_t* acc, std::int64_t rows, const Requantization& r, std::uint8_t* y,
                std::uint8_t* mask, MinMax* seen) {
  const auto outputs = static_cast<std::int64_t>(r.multiplier.size());
  if (rows == 0) {
    return;
  }
  // A period is whole rows, of about 256 elements and a multiple of 64, so that vectors and mask bytes fit into it.
  const std::int64_t unit =
      outputs < 256 ? 64 / std::gcd(outputs, std::int64_t{64}) : 8 / std::gcd(outputs, std::int64_t{8});
  const std::int64_t repeats = std::min(rows, unit * std::max<std::int64_t>(1, 256 / (unit * outputs)));
  Tables t{.period = repeats * outputs,
           .zero_point = static_cast<float>(r.output.zero_point),
           .lower = static_cast<float>(r.relu ? std::max(r.codes.qmin, r.output.zero_point) : r.codes.qmin),
           .upper = static_cast<float>(r.codes.qmax),
           .positive = r.relu ? 0.0F : -kInfinity,
           .inside = Inside(r.codes.qmin, r.codes.qmax)};
  auto* tables = thread_scratch_of<float>(static_cast<std::size_t>(3 * t.period), Scratch::RequantizeTables);
  float* multiplier = tables;
  float* bias = tables + t.period;
  float* real_scale = bias + t.period;
  for (std::int64_t i = 0; i < t.period; i += outputs) {
    std::copy_n(r.multiplier.data(), outputs, multiplier + i);
    std::copy_n(r.real_scale.data(), outputs, real_scale + i);
    if (r.bias.empty()) {
      std::fill_n(bias + i, outputs, 0.0F);
    } else {
      std::copy_n(r.bias.data(), outputs, bias + i);
    }
  }
  t.multiplier = multiplier;
  t.bias = bias;
  t.real_scale = real_scale;
  const std::int64_t elements = rows * outputs;
  Wanted wanted(mask, seen);
  Block block;
  for (std::int64_t begin = 0; begin < elements; begin += t.period) {
    const std::int64_t end = std::min(begin + t.period, elements);
    for (std::int64_t i = begin; i < end; i += kBlock) {
      const std::int64_t n = std::min(kBlock, end - i);
      requantize_block(acc + i, n, t, i - begin, y + i, &block);
      wanted.take(&block, i, n);
    }
  }
  wanted.finish();
}

namespace {

DETENT_VECTORIZED void real_row(const std::int32_t* __restrict acc, std::int64_t n, const float* __restrict bias,
                                const float* __restrict real_scale, float positive, float* __restrict reals) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float real = (static_cast<float>(acc[i]) + bias[i]) * real_scale[i];
    reals[i] = real > positive ? real : positive;
  }
}

}  // namespace

void real_values(const std::int32_t* acc, std::int64_t rows, const Requantization& r, float* reals) {
  const auto outputs = static_cast<std::int64_t>(r.real_scale.size());
  const std::vector<float> bias = r.bias.empty() ? std::vector<float>(r.real_scale.size(), 0.0F) : r.bias;
  for (std::int64_t i = 0; i < rows * outputs; i += outputs) {
    real_row(acc + i, outputs, bias.data(), r.real_scale.data(), r.relu ? 0.0F : -kInfinity, reals + i);
  }
}

namespace {

/// What the loops over totals read, a row of outputs at a time.
struct TotalConstants {
  const float* bias;  // float(bias_s32) * M_bias
  float zero_point, lower, upper, positive, scale;
  Inside inside;
};

TotalConstants constants_of(const Requantization& r, std::vector<float>& bias) {
  bias.assign(r.bias_multiplier.size(), 0.0F);
  for (std::size_t o = 0; o < r.bias.size(); ++o) {
    bias[o] = r.bias[o] * r.bias_multiplier[o];
  }
  return {.bias = bias.data(),
          .zero_point = static_cast<float>(r.output.zero_point),
          .lower = static_cast<float>(r.relu ? std::max(r.codes.qmin, r.output.zero_point) : r.codes.qmin),
          .upper = static_cast<float>(r.codes.qmax),
          .positive = r.relu ? 0.0F : -kInfinity,
          .scale = r.output.scale,
          .inside = Inside(r.codes.qmin, r.codes.qmax)};
}

DETENT_VECTORIZED void scale_row(const std::int32_t* __restrict acc, std::int64_t n, const float* __restrict multiplier,
                                 float* __restrict total) {
  for (std::int64_t o = 0; o < n; ++o) {
    total[o] = static_cast<float>(acc[o]) * multiplier[o];
  }
}

DETENT_VECTORIZED void add_scaled_row(const std::int32_t* __restrict acc, std::int64_t n,
                                      const float* __restrict multiplier, float* __restrict total) {
  for (std::int64_t o = 0; o < n; ++o) {
    const float scaled = static_cast<float>(acc[o]) * multiplier[o];
    total[o] = total[o] + scaled;
  }
}

DETENT_VECTORIZED void requantize_total_block(const float* __restrict total, const float* __restrict bias,
                                              std::int64_t n, const TotalConstants& constants,
                                              std::uint8_t* __restrict y, Block* __restrict block) {
  const TotalConstants t = constants;
  std::uint8_t* __restrict flags = block->inside;
  float* __restrict reals = block->real;
  for (std::int64_t i = 0; i < n; ++i) {
    const float sum = total[i] + bias[i];
    const float code = sum + t.zero_point;
    y[i] = static_cast<std::uint8_t>(round_clamped(code, t.lower, t.upper));
    flags[i] = static_cast<std::uint8_t>((code >= t.inside.low) & (code <= t.inside.high) & (sum > t.positive));
    const float real = sum * t.scale;
    reals[i] = real > t.positive ? real : t.positive;
  }
}

DETENT_VECTORIZED void real_total_row(const float* __restrict total, std::int64_t n, const TotalConstants& constants,
                                      float* __restrict reals) {
  const TotalConstants t = constants;
  for (std::int64_t o = 0; o < n; ++o) {
    const float real = (total[o] + t.bias[o]) * t.scale;
    reals[o] = real > t.positive ? real : t.positive;
  }
}

}  // namespace

void add_group(const std::int32_t* acc, std::int64_t rows, const Requantization& r, std::int64_t group, float* total) {
  const auto outputs = static_cast<std::int64_t>(r.bias_multiplier.size());
  const float* const multiplier = r.multiplier.data() + group * outputs;
  for (std::int64_t i = 0; i < rows * outputs; i += outputs) {
    group == 0 ? scale_row(acc + i, outputs, multiplier, total + i)
               : add_scaled_row(acc + i, outputs, multiplier, total + i);
  }
}

void requantize_totals(const float* total, std::int64_t rows, const Requantization& r, std::uint8_t* y,
                       std::uint8_t* mask, MinMax* seen) {
  const auto outputs = static_cast<std::int64_t>(r.bias_multiplier.size());
  std::vector<float> bias;
  const TotalConstants t = constants_of(r, bias);
  Wanted wanted(mask, seen);
  Block block;
  std::vector<float> of_block(static_cast<std::size_t>(kBlock));
  for (std::int64_t i = 0; i < rows * outputs; i += kBlock) {
    const std::int64_t n = std::min(kBlock, rows * outputs - i);
    for (std::int64_t k = 0; k < n; ++k) {
      of_block[static_cast<std::size_t>(k)] = bias[static_cast<std::size_t>((i + k) % outputs)];
    }
    requantize_total_block(total + i, of_block.data(), n, t, y + i, &block);
    wanted.take(&block, i, n);
  }
  wanted.finish();
}

void real_values_of_totals(const float* total, std::int64_t rows, const Requantization& r, float* reals) {
  const auto outputs = static_cast<std::int64_t>(r.bias_multiplier.size());
  std::vector<float> bias;
  const TotalConstants t = constants_of(r, bias);
  for (std::int64_t i = 0; i < rows * outputs; i += outputs) {
    real_total_row(total + i, outputs, t, reals + i);
  }
}

void round_totals(const float* total, std::int64_t count, float unit, std::int32_t* sums) {
  for (std::int64_t i = 0; i < count; ++i) {
    constexpr float kLargest = 0x1.fffffep30F;
    sums[i] = static_cast<std::int32_t>(std::clamp(std::nearbyint(total[i] * unit), -kLargest, kLargest));
  }
}

namespace {

/// The codes alone of what add_block gives.
DETENT_VECTORIZED void add_codes(const std::uint8_t* __restrict a_q, const std::uint8_t* __restrict b_q, std::int64_t n,
                                 const AddConstants& r, std::uint8_t* __restrict y) {
  const AddConstants t = r;
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<std::uint8_t>(round_clamped(added(a_q[i], b_q[i], t.maps).code, t.lower, t.upper));
  }
}

DETENT_VECTORIZED void add_block(const std::uint8_t* __restrict a_q, const std::uint8_t* __restrict b_q, std::int64_t n,
                                 const AddConstants& r, std::uint8_t* __restrict y, Block* __restrict block) {
  const AddConstants t = r;
  std::uint8_t* __restrict flags = block->inside;
  float* __restrict reals = block->real;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto [a, b, code] = added(a_q[i], b_q[i], t.maps);
    y[i] = static_cast<std::uint8_t>(round_clamped(code, t.lower, t.upper));
    const float sum = a * t.maps.a_multiplier + b * t.maps.b_multiplier;
    flags[i] = static_cast<std::uint8_t>((code >= t.inside.low) & (code <= t.inside.high) & (sum > t.positive));
    const float real = a * t.a_scale + b * t.b_scale;
    reals[i] = real > t.positive ? real : t.positive;
  }
}

/// The elements that vectors took, with mask and range: none where a real value might not be finite.
std::int64_t add_vectors(std::span<const std::uint8_t> a_q, std::span<const std::uint8_t> b_q, const AddConstants& t,
                         std::uint8_t* y, std::uint8_t* mask, MinMax* seen) {
  constexpr float kFinite = 1e28F;
  const auto elements = static_cast<std::int64_t>(a_q.size()) / 64 * 64;
  if (!processor_units().avx2 || elements == 0 || std::max(t.a_scale, t.b_scale) > kFinite) {
    return 0;
  }
  SeenByLane lanes;
  std::uint8_t unwanted[8];
  by_vectors([&](auto kernels) {
    kernels.add(a_q.data(), b_q.data(), elements, t, y, mask == nullptr ? unwanted : mask, mask == nullptr ? 0 : 1,
                lanes.lanes);
  });
  if (seen != nullptr) {
    lanes.include_in(*seen);
  }
  return elements;
}

}  // namespace

void requantize_add(std::span<const std::uint8_t> a_q, ScaleZero a, std::span<const std::uint8_t> b_q, ScaleZero b,
                    ScaleZero output, CodeRange codes, bool relu, std::uint8_t* y, std::uint8_t* mask, MinMax* seen) {
  check(a_q.size() == b_q.size(), "requantize_add: expected two tensors of one size, got ", a_q.size(), " and ",
        b_q.size(), " codes");
  const AddConstants r{.maps = Addition(a, b, output),
                       .a_scale = a.scale,
                       .b_scale = b.scale,
                       .lower = static_cast<float>(relu ? std::max(codes.qmin, output.zero_point) : codes.qmin),
                       .upper = static_cast<float>(codes.qmax),
                       .positive = relu ? 0.0F : -kInfinity,
                       .inside = Inside(codes.qmin, codes.qmax)};
  const auto total = static_cast<std::int64_t>(a_q.size());
  if (mask == nullptr && seen == nullptr) {
    add_codes(a_q.data(), b_q.data(), total, r, y);
    return;
  }
  Wanted wanted(mask, seen);
  Block block;
  for (std::int64_t i = add_vectors(a_q, b_q, r, y, mask, seen); i < total; i += kBlock) {
    const std::int64_t n = std::min(kBlock, total - i);
    add_block(a_q.data() + i, b_q.data() + i, n, r, y + i, &block);
    wanted.take(&block, i, n);
  }
  wanted.finish();
}

}  // namespace detent::kernels
