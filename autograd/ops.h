#pragma once

#include <span>
#include <vector>

#include "detent/autograd/tape.h"
#include "detent/core/philox.h"
#include "detent/kernels/layers/activation.h"
#include "detent/kernels/layers/pool.h"
#include "detent/kernels/product/conv.h"

/// Differentiable operations. Each checks its inputs, computes, and records how gradients flow. Values are f32, or f64
/// where gradients are checked. Products also run in bf16, where `ProductOptions` says so, and then give bf16: products
/// in bf16, batch_norm, add, max_pool2d and reshape take it as it is and give it on, all other ops take it as f32
/// (`widen`). Shapes are those of
/// the kernels: images N H W C, convolution weights O KH KW I, linear weights O I. All throw Error for shapes that do
/// not fit.
namespace detent::autograd {

/// How a product is computed: the type of its factors (sums are always f32) and of its result, and whether max(0, .) is
/// applied to the result while it is in cache.
///
///   F32   everything in f32
///   BF16  factors and result in bf16
///   F16   factors, dy and dx rounded to f16; multiplied as f32, no f16 units are used; the result is f32
struct ProductOptions {
  DType dtype = DType::F32;  ///< F32, BF16 or F16; f64 values are computed in f64
  bool relu = false;
};

struct Conv2dOptions {
  std::int64_t stride_h = 1, stride_w = 1;
  Padding2d padding = 0;
  std::int64_t dilation_h = 1, dilation_w = 1;
  std::int64_t groups = 1;
  ProductOptions product = {};
};

/// y [M, N] = a [M, K] b [K, N], computed as ProductOptions says of `dtype`; both gradients are those of activations.
Variable matmul(const Variable& a, const Variable& b, DType dtype = DType::F32);
/// y [N, O] = x [N, K] weight^T [O, K] + bias [O]. `bias` may be a default Variable: none.
Variable linear(const Variable& x, const Variable& weight, const Variable& bias, const ProductOptions& options = {});
/// y [N, OH, OW, O] = x [N, H, W, C] * weight [O, KH, KW, C / groups] + bias [O]. `bias` may be a default Variable.
Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias, const Conv2dOptions& options = {});

struct Pool2dOptions {
  std::int64_t kernel_h = 2, kernel_w = 2;
  std::int64_t stride_h = 2, stride_w = 2;
  Padding2d padding = 0;
};
/// The largest value of each window; the gradient goes to the first largest. Padding never wins.
/// Works on codes (u8 with QParams) as on numbers: the map is monotone.
Variable max_pool2d(const Variable& x, const Pool2dOptions& options);
/// The mean of each window; padding counts as zeros.
Variable avg_pool2d(const Variable& x, const Pool2dOptions& options);
/// y [N, C]: the mean of each channel of x [N, H, W, C].
Variable global_avg_pool2d(const Variable& x);

/// y = f(x), element by element.
Variable activation(const Variable& x, kernels::Activation function, double slope = 0.01);
inline Variable relu(const Variable& x) { return activation(x, kernels::Activation::Relu); }

/// x in f32 where it is the bf16 result of a product; else, of f32 and f64, x itself.
Variable widen(const Variable& x);

/// Element by element, of one shape; max(0, a + b) if `relu`.
Variable add(const Variable& a, const Variable& b, bool relu = false);
Variable sub(const Variable& a, const Variable& b);
Variable mul(const Variable& a, const Variable& b);
Variable scale(const Variable& x, double factor);
/// One element: the sum, the mean of all elements.
Variable sum(const Variable& x);
Variable mean(const Variable& x);

/// The same elements under another shape. Works on codes as on numbers.
Variable reshape(const Variable& x, Shape shape);
/// The inputs one behind the other along the last axis; all other axes are alike. Works on codes of one map as on
/// numbers of one type.
Variable concat(std::span<const Variable> inputs);
/// y = exp(x) / sum exp(x) over the last axis. A loss that takes logits has it within: cross_entropy.
Variable softmax(const Variable& x);
/// [N, ...] -> [N, rest]
Variable flatten(const Variable& x);

/// The running statistics that batch_norm reads and, in training, updates. [C], f32 or f64.
struct BatchNormStatistics {
  Tensor& mean;
  Tensor& variance;
};
struct BatchNormOptions {
  double momentum = 0.1;
  double epsilon = 1e-5;
  bool training = true;
  bool relu = false;  ///< max(0, .) in the same passes
};
/// y = (x - mean) / sqrt(variance + epsilon) * gamma + beta over all axes but the last, then max(0, y) if `relu`. In
/// training mean and (biased) variance are the batch's, and running = (1 - momentum) * running + momentum * batch
/// (unbiased variance); else the running ones. `gamma` and `beta` may be default Variables: 1 and 0.
Variable batch_norm(const Variable& x, const Variable& gamma, const Variable& beta, BatchNormStatistics running,
                    const BatchNormOptions& options);

/// In training, each element is 0 with probability p and scaled by 1 / (1 - p) otherwise. REQUIRES: 0 <= p < 1.
Variable dropout(const Variable& x, double p, const RandomStream& random);

/// The mean over rows of -sum_k t_k log softmax(logits)_k, where t is 1 - smoothing + smoothing / K at the label and
/// smoothing / K elsewhere. logits [N, K]; labels s32 [N], throws Error for a label outside [0, K).
Variable cross_entropy(const Variable& logits, const Tensor& labels, double label_smoothing = 0.0);
/// T^2 times the mean over rows of KL(softmax(target / T) || softmax(logits / T)), T = temperature > 0: knowledge
/// distillation. logits and target [N, K], of one type; the target, another model's logits, has no gradient.
Variable distillation(const Variable& logits, const Tensor& target, double temperature);
/// mean((prediction - target)^2)
Variable mean_squared_error(const Variable& prediction, const Tensor& target);
/// mean(max(0, 1 - prediction * t)^2), t = +1 at the label and -1 elsewhere. prediction [N, K]; labels s32 [N].
Variable squared_hinge(const Variable& prediction, const Tensor& labels);
/// cross_entropy with a weight a class, divided by the sum of the labels' weights (kernels/layers/target_loss.h).
Variable weighted_cross_entropy(const Variable& logits, const Tensor& labels, const std::vector<double>& weights,
                                double label_smoothing = 0.0);
/// mean |prediction - target|; the gradient is 0 where the two are equal.
Variable l1(const Variable& prediction, const Tensor& target);
/// mean of d^2 / 2 where |d| <= delta, else of delta * (|d| - delta / 2), d = prediction - target.
Variable huber(const Variable& prediction, const Tensor& target, double delta);
/// mean of -(w_k t log p + (1 - t) log(1 - p)), p = sigmoid(logit). logits and target [N, K]; `weights` w of the K
/// columns, or none: 1.
Variable binary_cross_entropy(const Variable& logits, const Tensor& target, const std::vector<double>& weights = {});

}  // namespace detent::autograd
