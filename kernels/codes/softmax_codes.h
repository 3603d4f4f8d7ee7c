#pragma once

#include <array>
#include <cstdint>

#include "detent/core/qparams.h"

/// Softmax of rows of codes, in integers but for one division an element.
///
/// Softmax sees differences to the row's largest value alone, and those of codes are d * scale, d in [0, 255]: their
/// exponentials are a table, in units of 2^-30.
///
///   e[d] = rne(2^30 * exp(-scale * d))
///   p    = float(e[max_q - x_q]) / float(sum over the row of e[max_q - x_q]),   the sum in s64, exact in any order
///   y_q  = quantize(p)
///
/// e[0] is 2^30, so the sum is never 0.
namespace detent::kernels {

using SoftmaxTable = std::array<std::int32_t, 256>;
inline constexpr std::int32_t kSoftmaxOne = 1 << 30;

/// e of codes with this scale, by additions, multiplications and divisions alone: the same table of every C library.
SoftmaxTable softmax_table(float scale);

/// The operation: `table` has 256 numbers of [0, 2^30], the first 2^30.
struct SoftmaxCodes {
  const std::int32_t* table = nullptr;
  ScaleZero output = {};
  CodeRange codes = {};
};

/// y_q of `rows` rows of `channels` codes. `y` may be `x`. Single-threaded, without memory of its own.
void softmax_codes(const SoftmaxCodes& softmax, const std::uint8_t* x, std::int64_t rows, std::int64_t channels,
                   std::uint8_t* y);

/// dx[c] = p[c] * (g[c] - sum over k of g[k] * p[k]), g = dy where the code before clamping lies in [qmin, qmax], else
/// 0; p as above, computed again, the sum in double in the order of the channels. `dx` may be `dy`. Single-threaded,
/// without memory of its own.
void softmax_codes_backward(const SoftmaxCodes& softmax, const std::uint8_t* x, const float* dy, std::int64_t rows,
                            std::int64_t channels, float* dx);

}  // namespace detent::kernels
