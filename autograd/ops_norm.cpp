#include "detent/autograd/batch_norm_gradient.h"
#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"
#include "detent/kernels/layers/batch_norm.h"

namespace detent::autograd {
namespace {

/// fn(elements of x, a number of the type to compute in): f32 for bf16, else that of x.
template <typename Fn>
void dispatch_input(const Tensor& x, Fn&& fn) {
  if (x.dtype() == DType::BF16) {
    fn(pointer<bfloat16>(x), float{});
  } else {
    dispatch_real("batch_norm", x.dtype(), [&](auto zero) { fn(pointer<decltype(zero)>(x), zero); });
  }
}

}  // namespace

Tensor BatchNormInputGradient::dense(Arena* arena) const {
  Tensor dx = Tensor::empty(x.shape(), x.dtype(), arena);
  dispatch_input(x, [&]<typename X, typename T>(const X* in, T) {
    const auto& made_of = std::get<kernels::BatchNormGradient<T>>(coefficients);
    kernels::batch_norm_input_gradient(made_of, pointer<X>(dy), in, x.elements() / made_of.channels, pointer<X>(dx));
  });
  return dx;
}

Variable batch_norm(const Variable& given, const Variable& gamma, const Variable& beta, BatchNormStatistics running,
                    const BatchNormOptions& options) {
  // The bf16 result of a product is normalized as it is, in f32, and gives bf16; parameters and statistics are f32.
  Tape& tape = tape_of("batch_norm", given);
  const bool is_bf16 = given.dtype() == DType::BF16;
  const Variable x = is_bf16 ? given : real_input("batch_norm", given);
  const DType dtype = is_bf16 ? DType::F32 : x.dtype();
  check(x.shape().rank() >= 2, "batch_norm: expected [N, ..., C], got ", x.shape());
  const std::int64_t channels = x.shape()[x.shape().rank() - 1];
  check(x.value().elements() > 0, "batch_norm: shape ", x.shape(), " has no elements");
  const std::int64_t rows = x.value().elements() / channels;
  check(!options.training || rows >= 2, "batch_norm: a single value a channel has no variance to train with, got ",
        x.shape(), "; use larger batches, or leave out the last one");
  const Variable g = optional_input(tape, gamma), b = optional_input(tape, beta);
  for (const Variable* v : {&g, &b}) {
    if (v->value().defined()) {
      check_operand("batch_norm", v == &g ? "gamma" : "beta", v->value(), {channels}, dtype);
    }
  }
  check_operand("batch_norm", "running mean", running.mean, {channels}, dtype);
  check_operand("batch_norm", "running variance", running.variance, {channels}, dtype);

  const bool training = options.training, relu = options.relu;
  const double epsilon = options.epsilon;
  Tensor y = tape.empty(x.shape(), x.dtype());
  // In training: mean and 1 / sqrt(variance + epsilon) of the batch. Else copies of the running mean and variance,
  // which another step may change before this one runs backward.
  Tensor first = tape.empty({channels}, dtype), second = tape.empty({channels}, dtype);
  dispatch_input(x.value(), [&]<typename X, typename T>(const X* in, T) {
    if (training) {
      kernels::batch_norm_forward_train(in, rows, channels, pointer<T>(g.value()), pointer<T>(b.value()), epsilon,
                                        options.momentum, relu, pointer<T>(running.mean), pointer<T>(running.variance),
                                        pointer<T>(first), pointer<T>(second), pointer<X>(y));
    } else {
      first.copy_from(running.mean);
      second.copy_from(running.variance);
      kernels::batch_norm_forward_eval(in, rows, channels, pointer<T>(g.value()), pointer<T>(b.value()),
                                       pointer<T>(std::as_const(first)), pointer<T>(std::as_const(second)), epsilon,
                                       relu, pointer<X>(y));
    }
  });
  // x^ = (x - mean) invstd, y = gamma x^ + beta; after a ReLU, dy is 0 where y <= 0
  //   =>  dbeta = sum dy,  dgamma = sum dy x^,
  //       dx = gamma invstd (dy - dbeta / rows - x^ dgamma / rows) in training, gamma invstd dy with constant
  //       statistics
  return tape.record(
      "batch_norm", y, {x, g, b},
      [rows, channels, training, relu, epsilon, dtype, x = x.value(), gamma = g.value(),
       beta = relu ? b.value() : Tensor(), first, second](Backward& bw) {
        const Tensor dy = dy_as(bw, x.dtype());
        const auto wanted = [&](std::size_t input) {
          return bw.needs(input) ? Tensor::empty({channels}, dtype, bw.arena()) : Tensor();
        };
        Tensor dgamma = wanted(1), dbeta = wanted(2);
        dispatch_input(x, [&]<typename X, typename T>(const X* in, T) {
          auto gradient =
              training ? kernels::batch_norm_backward_train(pointer<X>(dy), in, rows, channels, pointer<T>(gamma),
                                                            pointer<T>(beta), pointer<T>(first), pointer<T>(second),
                                                            relu, pointer<T>(dgamma), pointer<T>(dbeta))
                       : kernels::batch_norm_backward_eval(pointer<X>(dy), in, rows, channels, pointer<T>(gamma),
                                                           pointer<T>(beta), pointer<T>(first), pointer<T>(second),
                                                           epsilon, relu, pointer<T>(dgamma), pointer<T>(dbeta));
          bw.grad(0, [&] { return std::make_unique<const BatchNormInputGradient>(dy, x, std::move(gradient)); });
        });
        bw.grad(1, [&] { return dgamma; });
        bw.grad(2, [&] { return dbeta; });
      });
}

}  // namespace detent::autograd
