#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"
#include "detent/kernels/layers/target_loss.h"

namespace detent::autograd {
namespace {

/// Records the mean of a loss over the elements of `prediction` and `target`. `forward(p, t)` gives its value,
/// `backward(p, t, dloss, dp)` fills its gradient; both are called with pointers of one type.
template <typename Forward, typename BackwardFn>
Variable loss_against(std::string_view op, const Variable& given, const Tensor& target, Forward forward,
                      BackwardFn backward) {
  const Variable prediction = real_input(op, given);
  Tape& tape = prediction.tape();
  check_operand(op, "target", target, prediction.shape(), prediction.dtype());
  check(target.elements() > 0, op, ": shape ", target.shape(), " has no elements");
  Tensor loss = tape.empty({}, prediction.dtype());
  dispatch_real(op, prediction.dtype(), [&](auto zero) {
    using T = decltype(zero);
    loss.data<T>()[0] = static_cast<T>(forward(pointer<T>(prediction.value()), pointer<T>(target)));
  });
  return tape.record(op, std::move(loss), {prediction},
                     [op, backward, prediction = prediction.value(), target](Backward& bw) {
                       bw.grad(0, [&] {
                         Tensor dx = Tensor::empty(target.shape(), target.dtype(), bw.arena());
                         dispatch_real(op, dx.dtype(), [&](auto zero) {
                           using T = decltype(zero);
                           backward(pointer<T>(prediction), pointer<T>(target), bw.dy().item(), pointer<T>(dx));
                         });
                         return dx;
                       });
                     });
}

}  // namespace

Variable l1(const Variable& prediction, const Tensor& target) {
  const std::int64_t elements = target.elements();
  // L = mean |p - t|  =>  dp = dL sign(p - t) / elements
  return loss_against(
      "l1", prediction, target, [=](const auto* p, const auto* t) { return kernels::l1_forward(p, t, elements); },
      [=](const auto* p, const auto* t, double dloss, auto* dp) { kernels::l1_backward(p, t, elements, dloss, dp); });
}

Variable huber(const Variable& prediction, const Tensor& target, double delta) {
  const std::int64_t elements = target.elements();
  // dp = dL clamp(p - t, -delta, delta) / elements
  return loss_against(
      "huber", prediction, target,
      [=](const auto* p, const auto* t) { return kernels::huber_forward(p, t, elements, delta); },
      [=](const auto* p, const auto* t, double dloss, auto* dp) {
        kernels::huber_backward(p, t, elements, delta, dloss, dp);
      });
}

Variable binary_cross_entropy(const Variable& logits, const Tensor& target, const std::vector<double>& weights) {
  check(target.shape().rank() == 2, "binary_cross_entropy: expected flags [N, K], got ", target.shape());
  const std::int64_t rows = target.shape()[0], columns = target.shape()[1];
  // L = mean(w t softplus(-z) + (1 - t) softplus(z))  =>  dz = dL ((1 - t) p - w t (1 - p)) / (N K), p = sigmoid(z)
  return loss_against(
      "binary_cross_entropy", logits, target,
      [=](const auto* z, const auto* t) { return kernels::binary_cross_entropy_forward(z, t, rows, columns, weights); },
      [=](const auto* z, const auto* t, double dloss, auto* dz) {
        kernels::binary_cross_entropy_backward(z, t, rows, columns, weights, dloss, dz);
      });
}

Variable weighted_cross_entropy(const Variable& given, const Tensor& labels, const std::vector<double>& weights,
                                double label_smoothing) {
  static constexpr std::string_view kOp = "weighted_cross_entropy";
  const Variable logits = real_input(kOp, given);
  check(logits.shape().rank() == 2 && logits.value().elements() > 0, kOp, ": expected logits [N, K], got ",
        logits.shape());
  check_operand(kOp, "labels", labels, {logits.shape()[0]}, DType::S32);
  Tape& tape = logits.tape();
  const std::int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  Tensor probabilities = tape.empty(logits.shape(), logits.dtype());
  Tensor loss = tape.empty({}, logits.dtype());
  dispatch_real(kOp, logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    loss.data<T>()[0] = static_cast<T>(
        kernels::weighted_cross_entropy_forward(pointer<T>(logits.value()), pointer<std::int32_t>(labels), rows,
                                                classes, weights, label_smoothing, pointer<T>(probabilities)));
  });
  // L = sum_n sum_k -w_k t_nk log p_nk / W, W = sum_n w_label(n)  =>  dz = dL (p sum_j w_j t_j - w t) / W
  return tape.record(
      kOp, std::move(loss), {logits}, [rows, classes, weights, label_smoothing, labels, probabilities](Backward& bw) {
        bw.grad(0, [&] {
          Tensor dx = Tensor::empty(probabilities.shape(), probabilities.dtype(), bw.arena());
          dispatch_real(kOp, dx.dtype(), [&](auto zero) {
            using T = decltype(zero);
            kernels::weighted_cross_entropy_backward(pointer<T>(probabilities), pointer<std::int32_t>(labels), rows,
                                                     classes, weights, label_smoothing, bw.dy().item(), pointer<T>(dx));
          });
          return dx;
        });
      });
}

}  // namespace detent::autograd
