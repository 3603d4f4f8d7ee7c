#include <algorithm>

#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"
#include "detent/core/conversion.h"
#include "detent/kernels/layers/dropout.h"
#include "detent/kernels/layers/elementwise.h"
#include "detent/kernels/layers/relu_mask.h"

namespace detent::autograd {
namespace {

/// Two operands of one shape and type.
struct Pair {
  Variable a, b;
};

Pair pair_of(std::string_view op, const Variable& a, const Variable& b) {
  check(a.shape() == b.shape() && a.dtype() == b.dtype(), op, ": expected operands of one shape and type, got ",
        a.dtype(), ' ', a.shape(), " and ", b.dtype(), ' ', b.shape());
  return {a, b};
}

Pair real_pair(std::string_view op, const Variable& a, const Variable& b) {
  return pair_of(op, real_input(op, a), real_input(op, b));
}

Tensor product_of(const Tensor& a, const Tensor& b, Arena* arena) {
  Tensor y = Tensor::empty(a.shape(), a.dtype(), arena);
  dispatch_real("mul", a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::multiply(y.elements(), pointer<T>(a), pointer<T>(b), pointer<T>(y));
  });
  return y;
}

Tensor scaled(const Tensor& x, double factor, Arena* arena) {
  Tensor y = Tensor::empty(x.shape(), x.dtype(), arena);
  dispatch_real("scale", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::scale(y.elements(), factor, pointer<T>(x), pointer<T>(y));
  });
  return y;
}

}  // namespace

Variable activation(const Variable& given, kernels::Activation function, double slope) {
  const std::string_view name = kernels::name_of(function);
  const Variable x = real_input(name, given);
  Tape& tape = x.tape();
  Tensor y = tape.empty(x.shape(), x.dtype());
  dispatch_real(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::activation_forward(function, x.value().elements(), pointer<T>(x.value()), pointer<T>(y), slope);
  });
  // y = f(x)  =>  dx = dy f'(x), where f' is a function of y or of x, whichever the kernel asks for
  return tape.record(name, y, {x},
                     [function, slope, saved = kernels::gradient_uses_output(function) ? y : x.value()](Backward& bw) {
                       bw.grad(0, [&] {
                         const Tensor dy = dy_as(bw, saved.dtype());
                         Tensor dx = Tensor::empty(saved.shape(), saved.dtype(), bw.arena());
                         dispatch_real("activation", saved.dtype(), [&](auto zero) {
                           using T = decltype(zero);
                           kernels::activation_backward(function, saved.elements(), pointer<T>(saved), pointer<T>(dy),
                                                        pointer<T>(dx), slope);
                         });
                         return dx;
                       });
                     });
}

Variable widen(const Variable& x) { return real_input("widen", x); }

Variable add(const Variable& given_a, const Variable& given_b, bool relu) {
  tape_of("add", given_a);
  const bool are_bf16 = given_a.dtype() == DType::BF16 && given_b.dtype() == DType::BF16;
  const Pair operands = are_bf16 ? pair_of("add", given_a, given_b) : real_pair("add", given_a, given_b);
  const Variable &a = operands.a, &b = operands.b;
  Tape& tape = a.tape();
  const auto dispatch = [](DType dtype, auto&& fn) {
    dtype == DType::BF16 ? fn(bfloat16()) : dispatch_real("add", dtype, fn);
  };
  Tensor y = tape.empty(a.shape(), a.dtype());
  dispatch(a.dtype(), [&]<typename T>(T) {
    (relu ? kernels::add_relu<T> : kernels::add<T>)(y.elements(), pointer<T>(a.value()), pointer<T>(b.value()),
                                                    pointer<T>(y));
  });
  // y = a + b, or max(0, a + b)  =>  da = db = dy, or dy where y > 0
  return tape.record("add", y, {a, b}, [dispatch, dtype = a.dtype(), y = relu ? y : Tensor()](Backward& bw) {
    Tensor dy = dy_as(bw, dtype);
    if (y.defined()) {
      Tensor passed = Tensor::empty(y.shape(), dtype, bw.arena());
      dispatch(dtype, [&]<typename T>(T) {
        for_each_slice(y.elements(), [&](Range range) {
          kernels::mask_relu(
              y.data<T>().subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size())),
              pointer<T>(std::as_const(dy)) + range.begin, pointer<T>(passed) + range.begin);
        });
      });
      dy = passed;
    }
    bw.grad(0, [&] { return dy; });
    bw.grad(1, [&] { return dy; });
  });
}

Variable sub(const Variable& given_a, const Variable& given_b) {
  const auto [a, b] = real_pair("sub", given_a, given_b);
  return add(a, scale(b, -1.0));
}

Variable mul(const Variable& given_a, const Variable& given_b) {
  const auto [a, b] = real_pair("mul", given_a, given_b);
  Tape& tape = a.tape();
  // y = a b  =>  da = dy b,  db = dy a
  return tape.record("mul", product_of(a.value(), b.value(), tape.arena()), {a, b},
                     [a = a.value(), b = b.value()](Backward& bw) {
                       const Tensor dy = dy_as(bw, a.dtype());
                       bw.grad(0, [&] { return product_of(dy, b, bw.arena()); });
                       bw.grad(1, [&] { return product_of(dy, a, bw.arena()); });
                     });
}

Variable scale(const Variable& given, double factor) {
  const Variable x = real_input("scale", given);
  Tape& tape = x.tape();
  // y = factor x  =>  dx = factor dy
  return tape.record("scale", scaled(x.value(), factor, tape.arena()), {x}, [factor, dtype = x.dtype()](Backward& bw) {
    bw.grad(0, [&] { return scaled(dy_as(bw, dtype), factor, bw.arena()); });
  });
}

Variable sum(const Variable& given) {
  const Variable x = real_input("sum", given);
  Tape& tape = x.tape();
  Tensor y = tape.empty({}, x.dtype());
  dispatch_real("sum", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    y.data<T>()[0] = static_cast<T>(kernels::sum(x.value().elements(), pointer<T>(x.value())));
  });
  // y = sum x  =>  dx = dy at every element
  return tape.record("sum", y, {x}, [shape = x.shape(), dtype = x.dtype()](Backward& bw) {
    bw.grad(0, [&] {
      Tensor dx = Tensor::empty(shape, dtype, bw.arena());
      dispatch_real("sum", dtype, [&](auto zero) {
        using T = decltype(zero);
        std::ranges::fill(dx.data<T>(), static_cast<T>(bw.dy().item()));
      });
      return dx;
    });
  });
}

Variable mean(const Variable& x) {
  tape_of("mean", x);
  check(x.value().elements() > 0, "mean: shape ", x.shape(), " has no elements");
  return scale(sum(x), 1.0 / static_cast<double>(x.value().elements()));
}

Variable reshape(const Variable& x, Shape shape) {
  Tape& tape = tape_of("reshape", x);
  // The gradient has the elements of dy under the shape of x.
  return tape.record("reshape", x.value().reshape(std::move(shape)), {x},
                     [shape = x.shape(), dtype = x.dtype()](Backward& bw) {
                       bw.grad(0, [&] { return (is_floating(dtype) ? dy_as(bw, dtype) : bw.dy()).reshape(shape); });
                     });
}

Variable flatten(const Variable& x) {
  tape_of("flatten", x);
  check(x.shape().rank() >= 1, "flatten: expected [N, ...], got a scalar");
  return reshape(x, {x.shape()[0], x.shape().row_elements()});
}

Variable dropout(const Variable& given, double p, const RandomStream& random) {
  const Variable x = real_input("dropout", given);
  Tape& tape = x.tape();
  check(0 <= p && p < 1, "dropout: expected a probability in [0, 1), got ", p);
  if (p == 0) {
    return x;
  }
  Tensor y = tape.empty(x.shape(), x.dtype());
  Tensor kept = tape.empty({kernels::mask_bytes(y.elements())}, DType::U8);
  dispatch_real("dropout", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::dropout_forward(y.elements(), pointer<T>(x.value()), p, random, pointer<std::uint8_t>(kept),
                             pointer<T>(y));
  });
  // y = x / (1 - p) where kept, else 0  =>  dx = dy / (1 - p) where kept, else 0
  return tape.record("dropout", y, {x}, [p, kept, shape = x.shape(), dtype = x.dtype()](Backward& bw) {
    bw.grad(0, [&] {
      const Tensor dy = dy_as(bw, dtype);
      Tensor dx = Tensor::empty(shape, dtype, bw.arena());
      dispatch_real("dropout", dtype, [&](auto zero) {
        using T = decltype(zero);
        kernels::dropout_backward(dy.elements(), pointer<T>(dy), p, pointer<std::uint8_t>(kept), pointer<T>(dx));
      });
      return dx;
    });
  });
}

}  // namespace detent::autograd
