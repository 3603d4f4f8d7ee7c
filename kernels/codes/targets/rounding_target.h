#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "detent/core/names.h"
#include "detent/kernels/codes/lookup.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/targets/fixed_point.h"

/// How others round where Detent rounds, so that one can tell what a model's codes become on them. Scales, zero points
/// and codes of weights and biases are the model's; sums are exact everywhere. rne: ties to even; away: ties away from
/// zero. Detent's own rules are those of docs/numerics.md.
///
///   torch    PyTorch's quantized operations on the CPU (ATen/native/quantized/cpu, AffineQuantizerBase.cpp;
///            fbgemm/QuantUtils.h, RefImplementations.cc):
///     quantize   rne(x * (1 / s)) + zp
///     product    rne(float(acc + bias) * M) + zp,  M = s_x * s_w / s_y in f32
///     add        quantize(dequantize(a) + dequantize(b)),  in f32
///     average    rne(float(sum of (q - x_zp)) * M) + zp,  M = s_x / s_y / count in f32
///   onnx     ONNX's QuantizeLinear between operations in f32, products by ONNX Runtime's QLinearConv:
///     quantize   rne(x / s) + zp
///     product    rne(float(acc + bias) * M) + zp,  M = s_x * s_w / s_y in f32
///     add        quantize(dequantize(a) + dequantize(b)),  in f32
///     average    quantize(sum of dequantize(q), in f32 and in their order, / count)
///   tflite   TFLite's reference kernels for int8 (tflite/kernels/internal/reference), whose codes are these less 128;
///            multiply(x, m) is that of fixed_point.h:
///     quantize   away(x / s) + zp
///     product    multiply(acc + bias, s_x * s_w / s_y) + zp
///     add        multiply(multiply((a - a_zp) * 2^20, s_a / t) + multiply((b - b_zp) * 2^20, s_b / t),
///                t / (2^20 * s_y)) + zp,  t = 2 * max(s_a, s_b)
///     average    away(sum of (q - 128) / count) + 128 on the input's map (AVERAGE_POOL_2D has one map; what it pads is
///                padded before, with x_zp), then to the output's map
///     map to map multiply(q - x_zp, s_x / s_y) + zp  (QUANTIZE of codes); others: quantize(dequantize(q))
///     table      away(f(dequantize(q)) * (1 / s)) + zp  (LUTPopulate); others: quantize(f(dequantize(q)))
///
/// All are clamped to [qmin, qmax], with a ReLU from the zero point on. acc + bias saturates at 32 bits. M is at most
/// 2^64, as Detent's. NaN gives qmin.
namespace detent::kernels {

enum class RoundingTarget : std::uint8_t { Detent, Torch, Onnx, Tflite };
/// "detent", "torch", "onnx", "tflite".
const Names<RoundingTarget>& rounding_targets();

std::int32_t quantize(RoundingTarget target, float x, ScaleZero map, CodeRange codes);

/// As kernels/codes/lookup.h makes them: of what f gives for each code, and from map to map.
CodeTable make_code_table(RoundingTarget target, const CodeReals& reals, ScaleZero to, CodeRange codes);
CodeTable requantization_table(RoundingTarget target, ScaleZero from, ScaleZero to, CodeRange codes);

/// Where the codes of an operation lie on its output's map.
struct OutputCodes {
  ScaleZero map = {};
  CodeRange codes = {};
  bool relu = false;
  /// With a ReLU the smallest code is the zero point, if that is above.
  CodeRange clamped() const;
};

/// From the sums of a product to codes. Immutable.
class ProductRounding {
 public:
  /// `weight` has one scale, or one for each of the `outputs`; `bias` may be empty. Throws Error for weights that have
  /// a scale a group: the targets have no such product of codes.
  ProductRounding(RoundingTarget target, ScaleZero input, const QParams& weight, std::span<const std::int32_t> bias,
                  std::int64_t outputs, const OutputCodes& output);
  /// y_q of `rows` rows of O sums each. Single-threaded.
  void codes(const std::int32_t* acc, std::int64_t rows, std::uint8_t* y) const;

 private:
  RoundingTarget target_;
  OutputCodes output_;
  std::vector<std::int32_t> bias_;
  Requantization detents_;
  std::vector<float> multiplier_;               // torch, onnx
  std::vector<fixed_point::Multiplier> fixed_;  // tflite
};

/// The sum of two codes.
class AddRounding {
 public:
  AddRounding(RoundingTarget target, ScaleZero a, ScaleZero b, const OutputCodes& output);
  void codes(std::span<const std::uint8_t> a_q, std::span<const std::uint8_t> b_q, std::uint8_t* y) const;

 private:
  std::int32_t tflite(std::int32_t a_q, std::int32_t b_q) const;

  RoundingTarget target_;
  ScaleZero a_, b_;
  OutputCodes output_;
  fixed_point::Multiplier of_a_, of_b_, of_sum_;
};

/// The average over windows of `count` pixels.
class AverageRounding {
 public:
  AverageRounding(RoundingTarget target, ScaleZero input, std::int64_t count, ScaleZero output, CodeRange codes);
  /// The code of one window: `window` are the codes in it, in their order, without those of padding, which are real 0.
  std::uint8_t code(std::span<const std::uint8_t> window) const;

 private:
  RoundingTarget target_;
  ScaleZero input_;
  std::int64_t count_;
  OutputCodes output_;
  Requantization detents_;
  CodeTable to_output_{};  // tflite
};

/// Whether the target has a softmax of codes that is stated exactly: torch and onnx quantize one of f32. (TFLite's
/// computes exponentials in fixed point.)
bool has_softmax(RoundingTarget target);
/// y_q[c] = quantize(float(exp(x[c] - max) / sum)), x = dequantize(x_q), exponentials and their sum in double.
/// REQUIRES: has_softmax(target).
void softmax(RoundingTarget target, std::span<const std::uint8_t> x_q, ScaleZero input, ScaleZero output,
             CodeRange codes, std::uint8_t* y);

}  // namespace detent::kernels
