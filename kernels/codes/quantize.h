#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "detent/core/qparams.h"

/// The one equation of the project, real = scale * (q - zero_point), and everything that rounds.
///
/// rne is round to nearest, ties to even. Every operation below is rounded to f32 by itself: sources that include the
/// definitions are compiled without contraction to fused multiply-add. No other file of the project rounds to codes.
namespace detent {

/// The map that covers the reals [min, max] with `codes`:
///   affine:    lo = min(min, 0), hi = max(max, 0), scale = (hi - lo) / (qmax - qmin),
///              zero_point = clamp(qmin - rne(lo / scale), qmin, qmax)
///   symmetric: scale = max(|lo|, |hi|) / qmax, zero_point = 0
/// scale is at least 2^-60, so that a product of two is a normal f32. REQUIRES: min <= max, both finite; throws Error
/// otherwise.
ScaleZero choose_qparams(float min, float max, CodeRange codes, Scheme scheme);
/// The same with a scale that is given; where it is at least that of choose_qparams, the map covers [min, max] but for
/// half a step at its ends. Throws Error for a scale that is not finite or below 2^-60.
ScaleZero qparams_of_scale(float min, float scale, CodeRange codes, Scheme scheme);

/// The largest |bias_s32|: a bias in units of s_x * s_w[o].
inline constexpr std::int32_t kLargestBias = 1 << 30;
/// The scale of weights whose layer adds `bias` and has an input of scale `input_scale`: `scale`, or where
/// |bias| > 2^30 * input_scale * scale, |bias| / (2^30 * input_scale), rounded up, so that bias_s32 fits. What the
/// weights lose could not matter beside such a bias. Throws Error where that is no finite f32.
float scale_for_bias(float scale, float bias, float input_scale);

/// q = clamp(rne(x / scale) + zero_point, qmin, qmax), f32 division. NaN gives qmin; infinities saturate.
/// Agrees with ONNX QuantizeLinear.
std::int32_t quantize(float x, ScaleZero map, CodeRange codes);
/// scale * (q - zero_point)
float dequantize(std::int32_t q, ScaleZero map);

namespace kernels {

/// One bit an element, set where a gradient passes. Bit i % 8 of byte i / 8.
inline constexpr std::int64_t mask_bytes(std::int64_t elements) { return (elements + 7) / 8; }

/// The range of the finite elements of `x`; NaN and infinities are not looked at.
MinMax min_max(std::span<const float> x);

/// q[i] = quantize(x[i]). With `mask`, bit i says that the code before clamping lay in [qmin, qmax]. Q is u8 or s8.
/// Single-threaded, vectorized: for whole tensors call it a slice at a time.
template <typename Q>
void quantize(std::span<const float> x, ScaleZero map, CodeRange codes, Q* q, std::uint8_t* mask = nullptr);
template <typename Q>
void dequantize(std::span<const Q> q, ScaleZero map, float* x);

/// dx[i] = dy[i] where bit i of `mask` is set, else 0. `dx` may be `dy`. T is float, double or bfloat16.
/// Single-threaded, vectorized.
template <typename T>
void apply_mask(std::span<const T> dy, const std::uint8_t* mask, T* dx);

/// What turns the sums of an integer convolution or linear layer with O outputs into codes.
///   M[o]        = float(double(s_x) * s_w[o] / s_y), at most 2^64: sums are integers, so above that all but 0 saturate
///   bias_s32[o] = rne(double(bias[o]) / (double(s_x) * s_w[o]))
///   y_q         = clamp(rne((float(acc) + float(bias_s32)) * M[o] + float(y_zp)), lower, qmax)
/// `lower` is qmin, or with ReLU max(qmin, y_zp): ReLU is the lower clamp. All of it is finite.
///
/// Where a channel's weights have G scales (QParams::group), each of its G sums is scaled by itself, in their order,
/// and the bias is in units of the largest:
///   M[g, o]     = float(double(s_x) * s_w[o, g] / s_y),  M_bias[o] likewise of the largest s_w[o, g]
///   total       = (float(acc_0) * M[0, o] + float(acc_1) * M[1, o]) + ...
///   y_q         = clamp(rne((total + float(bias_s32) * M_bias[o]) + float(y_zp)), lower, qmax)
struct Requantization {
  std::vector<float> multiplier;  ///< M[o], or M[g, o]
  std::vector<float> bias;        ///< float(bias_s32[o]); empty where there is no bias
  std::vector<float> real_scale;  ///< s_x * s_w[o] in f32: what one unit of the sum means, and of the bias
  ScaleZero output;
  CodeRange codes;
  bool relu = false;
  std::int64_t groups = 1;                  ///< G
  std::vector<float> bias_multiplier = {};  ///< M_bias[o], where weights have groups
};

/// bias_s32. Throws Error for one beyond +-2^30, or NaN: see scale_for_bias.
std::vector<std::int32_t> bias_codes(ScaleZero input, const QParams& weight, std::span<const float> bias);

/// `weight` has one scale, or one for each of the `outputs`. `bias` (reals) may be empty; it is not held to +-2^30
/// here, since float(bias_s32) goes beyond. Throws Error for one that is not finite.
Requantization make_requantization(ScaleZero input, const QParams& weight, std::span<const float> bias,
                                   std::int64_t outputs, ScaleZero output, CodeRange codes, bool relu);

/// The same for an average of `count` codes of a tensor with `input`, given the s32 sum of (q - zero_point):
///   M = float(double(s_x) / (count * double(s_y))), at most 2^64, real_scale = float(double(s_x) / count), no bias.
Requantization make_average_requantization(ScaleZero input, std::int64_t count, std::int64_t channels, ScaleZero output,
                                           CodeRange codes);

/// y_q of `rows` rows of O sums each. With `mask` (a byte-aligned bit per element, rows * O of them): set where the
/// gradient passes: the code before clamping lies in [qmin, qmax] and, with ReLU, the real value is > 0. With `seen`:
/// the range of the real values (after ReLU), (acc + bias) * real_scale, is included in it.
void requantize(const std::int32_t* acc, std::int64_t rows, const Requantization& r, std::uint8_t* y,
                std::uint8_t* mask = nullptr, MinMax* seen = nullptr);

/// The same in steps, for groups. total[r, o] = float(acc) * M[group, o], added to what stands there if group > 0.
void add_group(const std::int32_t* acc, std::int64_t rows, const Requantization& r, std::int64_t group, float* total);
/// y_q of totals, with `mask` and `seen` as above. The real value is (total + float(bias_s32) * M_bias[o]) * s_y.
void requantize_totals(const float* total, std::int64_t rows, const Requantization& r, std::uint8_t* y,
                       std::uint8_t* mask = nullptr, MinMax* seen = nullptr);
/// The same real values, f32.
void real_values_of_totals(const float* total, std::int64_t rows, const Requantization& r, float* reals);
/// sums[i] = rne(total[i] * unit), within s32.
void round_totals(const float* total, std::int64_t count, float unit, std::int32_t* sums);

/// The real values that requantize sees: (acc + bias) * real_scale, with ReLU at least 0. Single-threaded, vectorized.
void real_values(const std::int32_t* acc, std::int64_t rows, const Requantization& r, float* reals);

/// `ratio` as a multiplier M: in f32, at most 2^64.
float multiplier_of(double ratio);

/// The sum of two tensors of codes, each with its own map:
///   y_q = clamp(rne((float(a_q - a_zp) * M_a + float(b_q - b_zp) * M_b) + float(y_zp)), lower, qmax)
///   M_a = float(double(s_a) / s_y), M_b = float(double(s_b) / s_y), both at most 2^64
/// `lower`, `mask` and `seen` as in requantize; the real value is (a_q - a_zp) * s_a + (b_q - b_zp) * s_b in f32.
/// REQUIRES: a_q and b_q of one size; y overlaps neither. Single-threaded, vectorized.
void requantize_add(std::span<const std::uint8_t> a_q, ScaleZero a, std::span<const std::uint8_t> b_q, ScaleZero b,
                    ScaleZero output, CodeRange codes, bool relu, std::uint8_t* y, std::uint8_t* mask = nullptr,
                    MinMax* seen = nullptr);

}  // namespace kernels
}  // namespace detent
