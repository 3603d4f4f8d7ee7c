#pragma once

#include "detent/autograd/tape.h"
#include "detent/core/philox.h"
#include "detent/kernels/codes/step_sums.h"
#include "detent/kernels/layers/pool.h"
#include "detent/quant/quantizers/fake_quant.h"

/// Differentiable operations that make codes or take them. Gradients are those of the real values that codes stand
/// for, straight through the rounding: dy where the unclamped code lies in [qmin, qmax], else 0.
namespace detent::quant {

using autograd::Variable;

/// The one map that codes have. Throws Error, naming `what`, for plain numbers.
ScaleZero map_of(const Tensor& codes, std::string_view what);

/// y_q = quantize(x), x f32. `seen`, if not null, gets the range of x.
Variable quantize_op(const Variable& x, const std::shared_ptr<const QParams>& map, MinMax* seen = nullptr);
/// y = scale * (x_q - zero_point), f32.
Variable dequantize_op(const Variable& x);
/// y_q = max(x_q, zero_point): ReLU, exactly, on the map that the codes have.
Variable relu_codes(const Variable& x);
/// Codes of a dropped element are zero_point; the map's scale is multiplied by 1 / (1 - p).
Variable dropout_codes(const Variable& x, double p, const RandomStream& random);
/// y_q = requantize(a + b), with ReLU as the lower clamp.
Variable add_codes(const Variable& a, const Variable& b, const std::shared_ptr<const QParams>& map, bool relu,
                   MinMax* seen = nullptr);
/// y_q [N, ...result] = requantize(mean over each window). `result` is the shape of one example.
Variable average_codes(const Variable& x, const kernels::PoolShape& shape, const Shape& result,
                       const std::shared_ptr<const QParams>& map, MinMax* seen = nullptr);
/// What the gradient of that map needs of the means that it quantized; `dy` is the gradient of the codes, f32 or bf16.
kernels::StepSums step_sums_of_average(const Tensor& x, const kernels::PoolShape& shape, const QParams& map,
                                       const Tensor& dy);

}  // namespace detent::quant
