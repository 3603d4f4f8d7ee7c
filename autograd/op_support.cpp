#include "detent/autograd/op_support.h"

#include "detent/core/conversion.h"
#include "detent/kernels/layers/elementwise.h"

namespace detent::autograd {

Variable real_input(std::string_view op, const Variable& x) {
  Tape& tape = tape_of(op, x);
  if (x.dtype() == DType::BF16) {
    // y = x in f32  =>  dx = dy
    return tape.record("cast", x.value().as(DType::F32, tape.arena()), {x},
                       [](Backward& bw) { bw.grad(0, [&] { return bw.dy(); }); });
  }
  check(x.dtype() == DType::F32 || x.dtype() == DType::F64, op, ": expected f32 or f64, got ", x.dtype(),
        is_floating(x.dtype()) ? "" : "; dequantize the codes first");
  return x;
}

void round_to_f16(Tensor& x) {
  const std::span<float> values = x.data<float>();
  for_each_slice(x.elements(), [&](Range range) {
    round_to_float16(values.subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size())));
  });
}

}  // namespace detent::autograd
