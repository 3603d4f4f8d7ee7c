#include "detent/kernels/optimizer/optimizer_step.h"

#include <array>
#include <bit>
#include <cmath>

#include "detent/core/processor/vectorized.h"

namespace detent::kernels {
namespace {

constexpr int kLanes = 8;

/// 0 for a running mean below `smallest` in magnitude, else itself.
[[gnu::always_inline]] inline float kept(float mean, float smallest) {
  return std::fabs(mean) < smallest ? 0.0F : mean;
}

DETENT_VECTORIZED void sgd_plain(SgdStep s, std::int64_t elements, const float* __restrict gradient,
                                 float* __restrict value) {
  for (std::int64_t i = 0; i < elements; ++i) {
    const float p = value[i];
    value[i] = p - s.learning_rate * (gradient[i] + s.weight_decay * p);
  }
}

DETENT_VECTORIZED void sgd_first(SgdStep s, std::int64_t elements, const float* __restrict gradient,
                                 float* __restrict value, float* __restrict buffer) {
  const float ahead = s.nesterov ? s.momentum : 0.0F;
  for (std::int64_t i = 0; i < elements; ++i) {
    const float p = value[i];
    const float g = gradient[i] + s.weight_decay * p;
    buffer[i] = g;
    value[i] = p - s.learning_rate * (g + ahead * g);
  }
}

DETENT_VECTORIZED void sgd_momentum(SgdStep s, std::int64_t elements, const float* __restrict gradient,
                                    float* __restrict value, float* __restrict buffer) {
  for (std::int64_t i = 0; i < elements; ++i) {
    const float p = value[i];
    const float g = gradient[i] + s.weight_decay * p;
    const float b = kept(s.momentum * buffer[i] + s.one_minus_dampening * g, kSmallestMean);
    buffer[i] = b;
    value[i] = p - s.learning_rate * b;
  }
}

DETENT_VECTORIZED void sgd_nesterov(SgdStep s, std::int64_t elements, const float* __restrict gradient,
                                    float* __restrict value, float* __restrict buffer) {
  for (std::int64_t i = 0; i < elements; ++i) {
    const float p = value[i];
    const float g = gradient[i] + s.weight_decay * p;
    const float b = kept(s.momentum * buffer[i] + s.one_minus_dampening * g, kSmallestMean);
    buffer[i] = b;
    value[i] = p - s.learning_rate * (g + s.momentum * b);
  }
}

DETENT_VECTORIZED void adam(AdamStep s, std::int64_t elements, const float* __restrict gradient,
                            float* __restrict value, float* __restrict m, float* __restrict v) {
  for (std::int64_t i = 0; i < elements; ++i) {
    const float p = value[i] * s.keep;
    const float g = gradient[i] + s.weight_decay * p;
    const float mean = kept(s.beta1 * m[i] + s.one_minus_beta1 * g, kSmallestMean);
    const float square = kept(s.beta2 * v[i] + s.one_minus_beta2 * g * g, kSmallestSquare);
    m[i] = mean;
    v[i] = square;
    value[i] = p - s.step_size * mean / (std::sqrt(square) / s.root_correction2 + s.epsilon);
  }
}

DETENT_VECTORIZED void add_squares(std::int64_t blocks, const float* __restrict x, double* __restrict sums) {
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<double>(x[block * kLanes + lane]);
      sums[lane] += value * value;
    }
  }
}

DETENT_VECTORIZED void scale_all(float factor, std::int64_t elements, float* __restrict x) {
  for (std::int64_t i = 0; i < elements; ++i) {
    x[i] *= factor;
  }
}

/// The largest exponent and fraction of the results, as bits: those of infinity or more where one is not finite.
DETENT_VECTORIZED std::uint32_t scale_all_and_watch(float factor, std::int64_t elements, float* __restrict x) {
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < elements; ++i) {
    x[i] *= factor;
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFU;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

}  // namespace

void sgd_step(const SgdStep& step, std::int64_t elements, const float* gradient, float* value, float* buffer) {
  if (step.momentum == 0.0F) {
    sgd_plain(step, elements, gradient, value);
  } else if (step.first) {
    sgd_first(step, elements, gradient, value, buffer);
  } else if (step.nesterov) {
    sgd_nesterov(step, elements, gradient, value, buffer);
  } else {
    sgd_momentum(step, elements, gradient, value, buffer);
  }
}

void adam_step(const AdamStep& step, std::int64_t elements, const float* gradient, float* value, float* m, float* v) {
  adam(step, elements, gradient, value, m, v);
}

double sum_of_squares(std::int64_t elements, const float* x) {
  std::array<double, kLanes> sums{};
  const std::int64_t blocks = elements / kLanes;
  add_squares(blocks, x, sums.data());
  double sum = 0.0;
  for (const double lane : sums) {
    sum += lane;
  }
  for (std::int64_t i = blocks * kLanes; i < elements; ++i) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return sum;
}

void scale_in_place(float factor, std::int64_t elements, float* x) { scale_all(factor, elements, x); }

bool scale_and_check(float factor, std::int64_t elements, float* x) {
  constexpr std::uint32_t kInfinity = 0x7F800000U;
  return scale_all_and_watch(factor, elements, x) < kInfinity;
}

}  // namespace detent::kernels
