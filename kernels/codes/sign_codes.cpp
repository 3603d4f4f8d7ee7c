#include "detent/kernels/codes/sign_codes.h"

#include "detent/core/processor/vectorized.h"

namespace detent::kernels {
namespace {

/// Sums in lanes of a fixed number, so that their order is the same whatever vectors are wide.
struct Magnitudes {
  static constexpr int kLanes = 16;
  double sum[kLanes] = {};
  double count[kLanes] = {};

  [[gnu::always_inline]] void include(int lane, float x, float above) {
    const float size = x < 0.0F ? -x : x;
    const bool counts = (x - x == 0.0F) & (size > above);
    sum[lane] += static_cast<double>(counts ? size : 0.0F);
    count[lane] += static_cast<double>(counts ? 1.0F : 0.0F);
  }
};

DETENT_VECTORIZED void include_lanes(const float* x, std::int64_t n, float above, Magnitudes* all) {
  Magnitudes local = *all;
  for (std::int64_t i = 0; i < n; i += Magnitudes::kLanes) {
    for (int lane = 0; lane < Magnitudes::kLanes; ++lane) {
      local.include(lane, x[i + lane], above);
    }
  }
  *all = local;
}

DETENT_VECTORIZED void sign_codes(const float* x, std::int64_t n, std::int8_t* q) {
  for (std::int64_t i = 0; i < n; ++i) {
    q[i] = static_cast<std::int8_t>(x[i] >= 0.0F ? 1 : -1);
  }
}

DETENT_VECTORIZED void ternary_codes(const float* x, std::int64_t n, float threshold, std::int8_t* q) {
  for (std::int64_t i = 0; i < n; ++i) {
    const int above = x[i] > threshold ? 1 : 0;
    const int below = x[i] >= -threshold ? 0 : 1;
    q[i] = static_cast<std::int8_t>(above - below);
  }
}

}  // namespace

double mean_magnitude(std::span<const float> x, float above) {
  Magnitudes lanes;
  const auto n = static_cast<std::int64_t>(x.size());
  const std::int64_t whole = n - n % Magnitudes::kLanes;
  include_lanes(x.data(), whole, above, &lanes);
  for (std::int64_t i = whole; i < n; ++i) {
    lanes.include(static_cast<int>(i - whole), x[static_cast<std::size_t>(i)], above);
  }
  double sum = 0.0;
  double count = 0.0;
  for (int lane = 0; lane < Magnitudes::kLanes; ++lane) {
    sum += lanes.sum[lane];
    count += lanes.count[lane];
  }
  return count > 0.0 ? sum / count : 0.0;
}

void quantize_signs(std::span<const float> x, std::int8_t* q) {
  sign_codes(x.data(), static_cast<std::int64_t>(x.size()), q);
}

void quantize_ternary(std::span<const float> x, float threshold, std::int8_t* q) {
  ternary_codes(x.data(), static_cast<std::int64_t>(x.size()), threshold, q);
}

}  // namespace detent::kernels
