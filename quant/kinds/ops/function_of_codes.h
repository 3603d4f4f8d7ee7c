#pragma once

#include <functional>
#include <span>

#include "detent/autograd/tape.h"
#include "detent/kernels/codes/lookup.h"
#include "detent/runtime/model.h"

/// Any function of one value, on codes: a table of 256 codes, which training and the converted model both read.
namespace detent::quant {

using autograd::Variable;

/// y[i] = f(x[i]) and, where `derivative` is not empty, derivative[i] = f'(x[i]), in double. The same numbers for the
/// same x, whenever and wherever it is called.
using FunctionOfOne = std::function<void(std::span<const double> x, std::span<double> y, std::span<double> derivative)>;

/// table[q] = quantize(float(f(dequantize(q, from))), to): f in double, rounded to f32 once. NaN gives qmin.
kernels::CodeTable table_of(const FunctionOfOne& function, ScaleZero from, ScaleZero to, CodeRange codes);

/// The operation that ships of it.
runtime::Lookup lookup_of(const kernels::CodeTable& table);

/// y_q = table_of(...)[x_q]; `name` is a literal, for messages. dx = dy * f'(x) where the code before clamping lies in
/// [qmin, qmax], else 0. `seen`, if not null, gets the range of the finite f(x).
Variable function_of_codes(std::string_view name, const Variable& x, const FunctionOfOne& function,
                           const std::shared_ptr<const QParams>& map, MinMax* seen = nullptr);

}  // namespace detent::quant
