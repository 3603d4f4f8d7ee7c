#pragma once

#include <string_view>

#include "detent/autograd/tape.h"

/// What the sources of the ops share. Private to autograd.
namespace detent::autograd {

/// The tape that `x` belongs to. Throws Error, naming the op, if `x` is a default Variable.
inline Tape& tape_of(std::string_view op, const Variable& x) {
  check(x.value().defined(), op, ": an input is a default Variable; make it with a tape");
  return x.tape();
}

/// An optional input as `record` wants it: a default Variable becomes a constant without elements.
inline Variable optional_input(Tape& tape, const Variable& x) {
  return x.value().defined() ? x : tape.constant(Tensor());
}

/// The input of an op that computes in f32 or f64: `x` itself, or, of the bf16 result of a product, its value in f32.
/// Throws Error, naming the op, for other types and for a default Variable.
Variable real_input(std::string_view op, const Variable& x);

/// Throws Error unless `other` has the shape and the type that `role` must have.
inline void check_operand(std::string_view op, std::string_view role, const Tensor& other, const Shape& shape,
                          DType dtype) {
  check(other.shape() == shape && other.dtype() == dtype, op, ": ", role, ": expected ", dtype, ' ', shape, ", got ",
        other.dtype(), ' ', other.shape());
}

/// The gradient of the op's output in the type that its kernels compute with. Whoever used the output may have sent
/// f32 or bf16.
inline Tensor dy_as(const Backward& bw, DType dtype) { return bw.dy().as(dtype, bw.arena()); }

/// Rounds f32 elements to the nearest numbers of f16.
void round_to_f16(Tensor& x);

/// The elements, or null for a tensor that is undefined.
template <typename T>
const T* pointer(const Tensor& x) {
  return x.defined() ? x.data<T>().data() : nullptr;
}
template <typename T>
T* pointer(Tensor& x) {
  return x.defined() ? x.data<T>().data() : nullptr;
}

}  // namespace detent::autograd
