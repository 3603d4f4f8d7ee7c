#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"
#include "detent/kernels/layers/batch_norm.h"

namespace detent::autograd {

Variable batch_norm(const Variable& given, const Variable& gamma, const Variable& beta, BatchNormStatistics running,
                    const BatchNormOptions& options) {
  const Variable x = real_input("batch_norm", given);
  Tape& tape = x.tape();
  check(x.shape().rank() >= 2, "batch_norm: expected [N, ..., C], got ", x.shape());
  const std::int64_t channels = x.shape()[x.shape().rank() - 1];
  check(x.value().elements() > 0, "batch_norm: shape ", x.shape(), " has no elements");
  const std::int64_t rows = x.value().elements() / channels;
  check(!options.training || rows >= 2, "batch_norm: a single value a channel has no variance to train with, got ",
        x.shape(), "; use larger batches, or leave out the last one");
  const Variable g = optional_input(tape, gamma), b = optional_input(tape, beta);
  for (const Variable* v : {&g, &b}) {
    if (v->value().defined()) {
      check_operand("batch_norm", v == &g ? "gamma" : "beta", v->value(), {channels}, x.dtype());
    }
  }
  check_operand("batch_norm", "running mean", running.mean, {channels}, x.dtype());
  check_operand("batch_norm", "running variance", running.variance, {channels}, x.dtype());

  const bool training = options.training;
  const double epsilon = options.epsilon;
  Tensor y = tape.empty(x.shape(), x.dtype());
  // In training: mean and 1 / sqrt(variance + epsilon) of the batch. Else copies of the running mean and variance,
  // which another step may change before this one runs backward.
  Tensor first = tape.empty({channels}, x.dtype()), second = tape.empty({channels}, x.dtype());
  dispatch_real("batch_norm", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (training) {
      kernels::batch_norm_forward_train(pointer<T>(x.value()), rows, channels, pointer<T>(g.value()),
                                        pointer<T>(b.value()), epsilon, options.momentum, pointer<T>(running.mean),
                                        pointer<T>(running.variance), pointer<T>(first), pointer<T>(second),
                                        pointer<T>(y));
    } else {
      first.copy_from(running.mean);
      second.copy_from(running.variance);
      kernels::batch_norm_forward_eval(pointer<T>(x.value()), rows, channels, pointer<T>(g.value()),
                                       pointer<T>(b.value()), pointer<T>(std::as_const(first)),
                                       pointer<T>(std::as_const(second)), epsilon, pointer<T>(y));
    }
  });
  // x^ = (x - mean) invstd, y = gamma x^ + beta
  //   =>  dbeta = sum dy,  dgamma = sum dy x^,
  //       dx = gamma invstd (dy - dbeta / rows - x^ dgamma / rows) in training, gamma invstd dy with constant
  //       statistics
  return tape.record(
      "batch_norm", y, {x, g, b},
      [rows, channels, training, epsilon, x = x.value(), gamma = g.value(), first, second](Backward& bw) {
        const Tensor dy = dy_as(bw, x.dtype());
        const auto wanted = [&](std::size_t input, const Shape& as) {
          return bw.needs(input) ? Tensor::empty(as, x.dtype(), bw.arena()) : Tensor();
        };
        Tensor dx = wanted(0, x.shape()), dgamma = wanted(1, {channels}), dbeta = wanted(2, {channels});
        dispatch_real("batch_norm", x.dtype(), [&](auto zero) {
          using T = decltype(zero);
          if (training) {
            kernels::batch_norm_backward_train(pointer<T>(dy), pointer<T>(x), rows, channels, pointer<T>(gamma),
                                               pointer<T>(first), pointer<T>(second), pointer<T>(dx),
                                               pointer<T>(dgamma), pointer<T>(dbeta));
          } else {
            kernels::batch_norm_backward_eval(pointer<T>(dy), pointer<T>(x), rows, channels, pointer<T>(gamma),
                                              pointer<T>(first), pointer<T>(second), epsilon, pointer<T>(dx),
                                              pointer<T>(dgamma), pointer<T>(dbeta));
          }
        });
        bw.grad(0, [&] { return dx; });
        bw.grad(1, [&] { return dgamma; });
        bw.grad(2, [&] { return dbeta; });
      });
}

}  // namespace detent::autograd
