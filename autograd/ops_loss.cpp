#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"
#include "detent/kernels/layers/loss.h"

namespace detent::autograd {
namespace {

/// The predictions [N, K] of a loss under labels [N], in f32 or f64.
Variable real_classes(std::string_view op, const Variable& given, const Tensor& labels) {
  const Variable prediction = real_input(op, given);
  check(prediction.shape().rank() == 2 && prediction.value().elements() > 0, op, ": expected predictions [N, K], got ",
        prediction.shape());
  check_operand(op, "labels", labels, {prediction.shape()[0]}, DType::S32);
  return prediction;
}

Tensor scalar_of(Tape& tape, DType dtype, double value) {
  Tensor y = tape.empty({}, dtype);
  dispatch_real("loss", dtype, [&](auto zero) {
    using T = decltype(zero);
    y.data<T>()[0] = static_cast<T>(value);
  });
  return y;
}

}  // namespace

Variable cross_entropy(const Variable& given, const Tensor& labels, double label_smoothing) {
  const Variable logits = real_classes("cross_entropy", given, labels);
  Tape& tape = logits.tape();
  check(0 <= label_smoothing && label_smoothing <= 1, "cross_entropy: expected label smoothing in [0, 1], got ",
        label_smoothing);
  const std::int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  Tensor probabilities = tape.empty(logits.shape(), logits.dtype());
  const double loss = dispatch_real("cross_entropy", logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return kernels::cross_entropy_forward(pointer<T>(logits.value()), pointer<std::int32_t>(labels), rows, classes,
                                          label_smoothing, pointer<T>(probabilities));
  });
  // L = -1/N sum_n sum_k t_nk log p_nk, p = softmax(z)  =>  dz = dL (p - t) / N
  return tape.record("cross_entropy", scalar_of(tape, logits.dtype(), loss), {logits},
                     [rows, classes, label_smoothing, labels, probabilities](Backward& bw) {
                       bw.grad(0, [&] {
                         Tensor dx = Tensor::empty(probabilities.shape(), probabilities.dtype(), bw.arena());
                         dispatch_real("cross_entropy", dx.dtype(), [&](auto zero) {
                           using T = decltype(zero);
                           kernels::cross_entropy_backward(pointer<T>(probabilities), pointer<std::int32_t>(labels),
                                                           rows, classes, label_smoothing, bw.dy().item(),
                                                           pointer<T>(dx));
                         });
                         return dx;
                       });
                     });
}

Variable distillation(const Variable& given, const Tensor& target, double temperature) {
  const Variable logits = real_input("distillation", given);
  check(logits.shape().rank() == 2 && logits.value().elements() > 0, "distillation: expected logits [N, K], got ",
        logits.shape());
  check_operand("distillation", "target", target, logits.shape(), logits.dtype());
  Tape& tape = logits.tape();
  const std::int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  Tensor probabilities = tape.empty(logits.shape(), logits.dtype());
  Tensor target_probabilities = tape.empty(logits.shape(), logits.dtype());
  const double loss = dispatch_real("distillation", logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return kernels::distillation_forward(pointer<T>(logits.value()), pointer<T>(target), rows, classes, temperature,
                                         pointer<T>(probabilities), pointer<T>(target_probabilities));
  });
  // L = T^2/N sum_n sum_k q_nk log(q_nk / p_nk), p = softmax(z / T)  =>  dz = dL T (p - q) / N
  return tape.record("distillation", scalar_of(tape, logits.dtype(), loss), {logits},
                     [rows, classes, temperature, probabilities, target_probabilities](Backward& bw) {
                       bw.grad(0, [&] {
                         Tensor dx = Tensor::empty(probabilities.shape(), probabilities.dtype(), bw.arena());
                         dispatch_real("distillation", dx.dtype(), [&](auto zero) {
                           using T = decltype(zero);
                           kernels::distillation_backward(pointer<T>(probabilities), pointer<T>(target_probabilities),
                                                          rows, classes, temperature, bw.dy().item(), pointer<T>(dx));
                         });
                         return dx;
                       });
                     });
}

Variable mean_squared_error(const Variable& given, const Tensor& target) {
  const Variable prediction = real_input("mean_squared_error", given);
  Tape& tape = prediction.tape();
  check_operand("mean_squared_error", "target", target, prediction.shape(), prediction.dtype());
  check(target.elements() > 0, "mean_squared_error: shape ", target.shape(), " has no elements");
  const double loss = dispatch_real("mean_squared_error", prediction.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return kernels::mean_squared_error_forward(pointer<T>(prediction.value()), pointer<T>(target), target.elements());
  });
  // L = mean (p - t)^2  =>  dp = dL 2 (p - t) / elements
  return tape.record("mean_squared_error", scalar_of(tape, prediction.dtype(), loss), {prediction},
                     [prediction = prediction.value(), target](Backward& bw) {
                       bw.grad(0, [&] {
                         Tensor dx = Tensor::empty(target.shape(), target.dtype(), bw.arena());
                         dispatch_real("mean_squared_error", dx.dtype(), [&](auto zero) {
                           using T = decltype(zero);
                           kernels::mean_squared_error_backward(pointer<T>(prediction), pointer<T>(target),
                                                                target.elements(), bw.dy().item(), pointer<T>(dx));
                         });
                         return dx;
                       });
                     });
}

Variable squared_hinge(const Variable& given, const Tensor& labels) {
  const Variable prediction = real_classes("squared_hinge", given, labels);
  Tape& tape = prediction.tape();
  const std::int64_t rows = prediction.shape()[0], classes = prediction.shape()[1];
  const double loss = dispatch_real("squared_hinge", prediction.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return kernels::squared_hinge_forward(pointer<T>(prediction.value()), pointer<std::int32_t>(labels), rows, classes);
  });
  // L = mean max(0, 1 - p t)^2  =>  dp = dL -2 t max(0, 1 - p t) / (N K)
  return tape.record("squared_hinge", scalar_of(tape, prediction.dtype(), loss), {prediction},
                     [rows, classes, prediction = prediction.value(), labels](Backward& bw) {
                       bw.grad(0, [&] {
                         Tensor dx = Tensor::empty(prediction.shape(), prediction.dtype(), bw.arena());
                         dispatch_real("squared_hinge", dx.dtype(), [&](auto zero) {
                           using T = decltype(zero);
                           kernels::squared_hinge_backward(pointer<T>(prediction), pointer<std::int32_t>(labels), rows,
                                                           classes, bw.dy().item(), pointer<T>(dx));
                         });
                         return dx;
                       });
                     });
}

}  // namespace detent::autograd
