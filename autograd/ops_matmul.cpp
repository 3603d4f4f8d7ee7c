#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"

namespace detent::autograd {
namespace {

/// `x` with the numbers of `dtype`; those of f16 as f32, which is how they are multiplied.
Tensor factor_of(const Tensor& x, DType dtype, Arena* arena) {
  return dtype == DType::F16 ? x.as(DType::F16, arena).as(DType::F32, arena) : x.as(dtype, arena);
}

Tensor multiply(const kernels::MatmulShape& shape, const Tensor& a, const Tensor& b, DType out, Arena* arena) {
  Tensor y = Tensor::empty({shape.m, shape.n}, out, arena);
  if (out == DType::F64) {
    kernels::reference_matmul(shape, pointer<double>(a), pointer<double>(b), pointer<double>(y));
  } else {
    kernels::matmul(shape, a.dtype(), a.raw(), b.raw(), out, y.raw());
  }
  return y;
}

}  // namespace

Variable matmul(const Variable& given_a, const Variable& given_b, DType given_dtype) {
  check(given_dtype == DType::F32 || given_dtype == DType::BF16 || given_dtype == DType::F16,
        "matmul: products are computed in f32, bf16 or f16, not in ", given_dtype);
  const auto operand = [&](const Variable& x) {
    tape_of("matmul", x);
    return given_dtype == DType::BF16 && x.dtype() == DType::BF16 ? x : real_input("matmul", x);
  };
  const Variable a = operand(given_a), b = operand(given_b);
  Tape& tape = a.tape();
  const bool is_f64 = a.dtype() == DType::F64;
  check(a.shape().rank() == 2 && b.shape().rank() == 2 && a.shape()[1] == b.shape()[0] &&
            is_f64 == (b.dtype() == DType::F64),
        "matmul: expected [M, K] and [K, N] of one type, got ", a.dtype(), ' ', a.shape(), " and ", b.dtype(), ' ',
        b.shape());
  const std::int64_t m = a.shape()[0], k = a.shape()[1], n = b.shape()[1];
  check(m >= 1 && k >= 1 && n >= 1, "matmul: an extent is 0: ", a.shape(), " and ", b.shape());

  const DType dtype = is_f64 ? DType::F64 : given_dtype;
  const Tensor factor_a = factor_of(a.value(), dtype, tape.arena()),
               factor_b = factor_of(b.value(), dtype, tape.arena());
  // y = A B  =>  dA = dy B^T,  dB = A^T dy
  return tape.record(
      "matmul", multiply({.m = m, .k = k, .n = n}, factor_a, factor_b, factor_a.dtype(), tape.arena()), {a, b},
      [=, a_type = a.dtype(), b_type = b.dtype()](Backward& bw) {
        const Tensor dy = factor_of(bw.dy(), dtype, bw.arena());
        const auto gradient = [&](const kernels::MatmulShape& shape, const Tensor& left, const Tensor& right,
                                  DType type) {
          Tensor d = multiply(shape, left, right, type, bw.arena());
          if (dtype == DType::F16) {
            round_to_f16(d);
          }
          return d;
        };
        bw.grad(0, [&] { return gradient({.m = m, .k = n, .n = k, .transpose_b = true}, dy, factor_b, a_type); });
        bw.grad(1, [&] { return gradient({.m = k, .k = m, .n = n, .transpose_a = true}, factor_a, dy, b_type); });
      });
}

}  // namespace detent::autograd
