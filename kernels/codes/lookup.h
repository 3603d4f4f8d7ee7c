#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "detent/core/qparams.h"

/// Functions of one value, of codes, as tables of 256 codes.
namespace detent::kernels {

/// y_q = table[x_q]
using CodeTable = std::array<std::uint8_t, 256>;

/// What each of 256 codes means, or becomes, in double.
using CodeReals = std::array<double, 256>;
/// reals[q] = dequantize(q, from)
CodeReals reals_of_codes(ScaleZero from);
/// table[q] = quantize(float(reals[q]), to). NaN gives qmin.
CodeTable make_code_table(const CodeReals& reals, ScaleZero to, CodeRange codes);

/// table[q] = quantize(float(f(double(dequantize(q, from)))), to), f evaluated in double and rounded to f32 once.
CodeTable make_code_table(const std::function<double(double)>& f, ScaleZero from, ScaleZero to, CodeRange codes);

/// The table that takes codes of the map `from` to those of `to`: table[q] = quantize(dequantize(q, from), to). Of one
/// map and codes within their range it is the identity.
CodeTable requantization_table(ScaleZero from, ScaleZero to, CodeRange codes);

/// Whether table[q] = q for every q up to `largest`.
bool is_identity(const CodeTable& table, std::int32_t largest = 255);

/// y[r * y_stride + i] = table[x[r * columns + i]] for `rows` rows of `columns` codes. `table`: 256 codes. `y` may be
/// `x` where y_stride is `columns`. Single-threaded, vectorized.
void lookup(const std::uint8_t* table, const std::uint8_t* x, std::int64_t rows, std::int64_t columns, std::uint8_t* y,
            std::int64_t y_stride);

/// y[r * channels + c] = tables[c * 256 + x[r * channels + c]]: a table a channel. `y` may be `x`. Single-threaded.
void lookup_by_channel(const std::uint8_t* tables, const std::uint8_t* x, std::int64_t rows, std::int64_t channels,
                       std::uint8_t* y);

}  // namespace detent::kernels
