#pragma once

#include <cstdint>

/// One step of an optimizer on consecutive elements of one parameter, in one pass over memory: single-threaded,
/// vectorized. All arithmetic is f32, each operation rounded by itself, so the bits do not depend on the processor nor
/// on how elements are cut into calls. Formulas are PyTorch's (torch/optim/sgd.py, adam.py, adamw.py).
///
/// A running mean b or m below kSmallestMean in magnitude becomes 0, and a mean square v below kSmallestSquare. Those
/// of gradients that stay 0, of channels that have died, would come to subnormal numbers within a thousand steps and
/// stay there, and processors take a hundred times as long over these. Parameters do not notice: with an epsilon of
/// 1e-8 such a mean moves them by less than 1e-22 of the learning rate, and the root of such a square is lost beside
/// it.
namespace detent::kernels {

inline constexpr float kSmallestMean = 0x1p-100F;
inline constexpr float kSmallestSquare = 0x1p-126F;  ///< below it numbers are subnormal

/// g += weight_decay * p; then, with momentum, b = first ? g : momentum * b + one_minus_dampening * g and
/// g = nesterov ? g + momentum * b : b; p -= learning_rate * g.
struct SgdStep {
  float learning_rate = 0.0F;
  float weight_decay = 0.0F;
  float momentum = 0.0F;  ///< 0: none, and `buffer` is not touched
  float one_minus_dampening = 1.0F;
  bool nesterov = false;
  bool first = false;  ///< whether the buffer holds nothing yet
};
void sgd_step(const SgdStep& step, std::int64_t elements, const float* gradient, float* value, float* buffer);

/// p *= keep; g += weight_decay * p; m = beta1 * m + one_minus_beta1 * g; v = beta2 * v + one_minus_beta2 * g * g;
/// p -= step_size * m / (sqrt(v) / root_correction2 + epsilon).
struct AdamStep {
  float keep = 1.0F;          ///< 1 - learning_rate * weight_decay where decay is decoupled, else 1
  float weight_decay = 0.0F;  ///< where it is not, else 0
  float beta1 = 0.9F;
  float one_minus_beta1 = 0.1F;
  float beta2 = 0.999F;
  float one_minus_beta2 = 0.001F;
  float step_size = 0.0F;         ///< learning_rate / (1 - beta1^t)
  float root_correction2 = 1.0F;  ///< sqrt(1 - beta2^t)
  float epsilon = 1e-8F;
};
void adam_step(const AdamStep& step, std::int64_t elements, const float* gradient, float* value, float* m, float* v);

/// The sum of squares in f64, in eight interleaved sums that are added in order.
double sum_of_squares(std::int64_t elements, const float* x);
/// x *= factor.
void scale_in_place(float factor, std::int64_t elements, float* x);
/// x *= factor; whether all of the results are finite.
bool scale_and_check(float factor, std::int64_t elements, float* x);

}  // namespace detent::kernels
