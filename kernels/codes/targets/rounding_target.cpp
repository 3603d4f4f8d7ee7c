#include "detent/kernels/codes/targets/rounding_target.h"

#include <algorithm>
#include <cmath>

namespace detent::kernels {
namespace {

constexpr std::int32_t kInt8 = 128;  // what a code of TFLite's int8 is less than ours
constexpr int kAddShift = 20;        // of TFLite's additions of 8 bits
constexpr float kLargest = 0x1p64F;  // a multiplier

/// clamp(rounded + zero_point), for any f32; NaN gives qmin.
std::int32_t clamped_code(float rounded, std::int32_t zero_point, CodeRange codes) {
  const auto low = static_cast<float>(codes.qmin - zero_point);
  const auto high = static_cast<float>(codes.qmax - zero_point);
  const float above = rounded > low ? rounded : low;
  return static_cast<std::int32_t>(std::min(above, high)) + zero_point;
}

/// The same of a whole number.
std::int32_t clamped_code(std::int32_t number, std::int32_t zero_point, CodeRange codes) {
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(std::int64_t{number} + zero_point, codes.qmin, codes.qmax));
}

}  // namespace

const Names<RoundingTarget>& rounding_targets() {
  static const Names<RoundingTarget> names{{"detent", RoundingTarget::Detent},
                                           {"torch", RoundingTarget::Torch},
                                           {"onnx", RoundingTarget::Onnx},
                                           {"tflite", RoundingTarget::Tflite}};
  return names;
}

std::int32_t quantize(RoundingTarget target, float x, ScaleZero map, CodeRange codes) {
  switch (target) {
    case RoundingTarget::Detent:
      return detent::quantize(x, map, codes);
    case RoundingTarget::Torch:
      return clamped_code(std::nearbyint(x * (1.0F / map.scale)), map.zero_point, codes);
    case RoundingTarget::Onnx:
      return clamped_code(std::nearbyint(x / map.scale), map.zero_point, codes);
    case RoundingTarget::Tflite:
      return clamped_code(std::round(x / map.scale), map.zero_point, codes);
  }
  fail("quantize: a rounding target that it does not know");
}

CodeTable make_code_table(RoundingTarget target, const CodeReals& reals, ScaleZero to, CodeRange codes) {
  CodeTable table{};
  std::ranges::transform(reals, table.begin(), [&](double real) {
    const auto x = static_cast<float>(real);
    return static_cast<std::uint8_t>(target == RoundingTarget::Tflite
                                         ? clamped_code(std::round(x * (1.0F / to.scale)), to.zero_point, codes)
                                         : quantize(target, x, to, codes));
  });
  return table;
}

CodeTable requantization_table(RoundingTarget target, ScaleZero from, ScaleZero to, CodeRange codes) {
  if (target != RoundingTarget::Tflite) {
    return make_code_table(target, reals_of_codes(from), to, codes);
  }
  const fixed_point::Multiplier multiplier = fixed_point::multiplier_of(double{from.scale} / double{to.scale});
  CodeTable table{};
  for (std::size_t q = 0; q < table.size(); ++q) {
    const std::int32_t x = static_cast<std::int32_t>(q) - from.zero_point;
    table[q] = static_cast<std::uint8_t>(clamped_code(fixed_point::multiply(x, multiplier), to.zero_point, codes));
  }
  return table;
}

CodeRange OutputCodes::clamped() const {
  return {.qmin = relu ? std::max(codes.qmin, map.zero_point) : codes.qmin, .qmax = codes.qmax};
}

ProductRounding::ProductRounding(RoundingTarget target, ScaleZero input, const QParams& weight,
                                 std::span<const std::int32_t> bias, std::int64_t outputs, const OutputCodes& output)
    : target_(target), output_(output), bias_(bias.begin(), bias.end()) {
  check(!weight.is_per_group(), "rounding: expected weights with a scale a channel or one for all, got one a group");
  bias_.resize(static_cast<std::size_t>(outputs), 0);
  detents_ = make_requantization(input, weight, {}, outputs, output.map, output.codes, output.relu);
  for (std::size_t o = 0; o < bias_.size(); ++o) {
    const float scale = weight.scale_of(o);
    detents_.bias.push_back(static_cast<float>(bias_[o]));
    multiplier_.push_back(std::min(input.scale * scale / output.map.scale, kLargest));
    fixed_.push_back(fixed_point::multiplier_of(double{input.scale} * double{scale} / double{output.map.scale}));
  }
}

void ProductRounding::codes(const std::int32_t* acc, std::int64_t rows, std::uint8_t* y) const {
  if (target_ == RoundingTarget::Detent) {
    requantize(acc, rows, detents_, y);
    return;
  }
  const CodeRange range = output_.clamped();
  const std::int32_t zero_point = output_.map.zero_point;
  const std::size_t outputs = bias_.size();
  for (std::int64_t r = 0; r < rows; ++r, acc += outputs, y += outputs) {
    for (std::size_t o = 0; o < outputs; ++o) {
      const std::int32_t sum = fixed_point::saturate(std::int64_t{acc[o]} + bias_[o]);
      y[o] = static_cast<std::uint8_t>(
          target_ == RoundingTarget::Tflite
              ? clamped_code(fixed_point::multiply(sum, fixed_[o]), zero_point, range)
              : clamped_code(std::nearbyint(static_cast<float>(sum) * multiplier_[o]), zero_point, range));
    }
  }
}

AddRounding::AddRounding(RoundingTarget target, ScaleZero a, ScaleZero b, const OutputCodes& output)
    : target_(target), a_(a), b_(b), output_(output) {
  const double twice = 2.0 * std::max(double{a.scale}, double{b.scale});
  of_a_ = fixed_point::multiplier_of(double{a.scale} / twice);
  of_b_ = fixed_point::multiplier_of(double{b.scale} / twice);
  of_sum_ = fixed_point::multiplier_of(twice / (std::ldexp(1.0, kAddShift) * double{output.map.scale}));
}

std::int32_t AddRounding::tflite(std::int32_t a_q, std::int32_t b_q) const {
  const std::int32_t a = fixed_point::multiply((a_q - a_.zero_point) * (1 << kAddShift), of_a_);
  const std::int32_t b = fixed_point::multiply((b_q - b_.zero_point) * (1 << kAddShift), of_b_);
  return clamped_code(fixed_point::multiply(a + b, of_sum_), output_.map.zero_point, output_.clamped());
}

void AddRounding::codes(std::span<const std::uint8_t> a_q, std::span<const std::uint8_t> b_q, std::uint8_t* y) const {
  if (target_ == RoundingTarget::Detent) {
    requantize_add(a_q, a_, b_q, b_, output_.map, output_.codes, output_.relu, y);
    return;
  }
  for (std::size_t i = 0; i < a_q.size(); ++i) {
    y[i] = static_cast<std::uint8_t>(
        target_ == RoundingTarget::Tflite
            ? tflite(a_q[i], b_q[i])
            : quantize(target_, dequantize(a_q[i], a_) + dequantize(b_q[i], b_), output_.map, output_.clamped()));
  }
}

AverageRounding::AverageRounding(RoundingTarget target, ScaleZero input, std::int64_t count, ScaleZero output,
                                 CodeRange codes)
    : target_(target),
      input_(input),
      count_(count),
      output_{.map = output, .codes = codes},
      detents_(make_average_requantization(input, count, 1, output, codes)),
      to_output_(requantization_table(RoundingTarget::Tflite, input, output, codes)) {}

std::uint8_t AverageRounding::code(std::span<const std::uint8_t> window) const {
  std::int32_t sum = 0;  // of q - x_zp
  float real = 0.0F;
  for (const std::uint8_t q : window) {
    sum += q - input_.zero_point;
    real += dequantize(q, input_);
  }
  switch (target_) {
    case RoundingTarget::Detent: {
      std::uint8_t code = 0;
      requantize(&sum, 1, detents_, &code);
      return code;
    }
    case RoundingTarget::Torch: {
      const float ratio = input_.scale / output_.map.scale / static_cast<float>(count_);
      const float code = std::nearbyint(static_cast<float>(sum) * std::min(ratio, kLargest));
      return static_cast<std::uint8_t>(clamped_code(code, output_.map.zero_point, output_.codes));
    }
    case RoundingTarget::Onnx:
      return static_cast<std::uint8_t>(
          quantize(target_, real / static_cast<float>(count_), output_.map, output_.codes));
    case RoundingTarget::Tflite: {
      const std::int64_t of_int8 = sum + count_ * (input_.zero_point - kInt8);
      const std::int64_t half = of_int8 > 0 ? count_ / 2 : -(count_ / 2);
      const std::int64_t average = (of_int8 + half) / count_ + kInt8;
      return to_output_[static_cast<std::size_t>(std::clamp<std::int64_t>(average, 0, 255))];
    }
  }
  fail("average: a rounding target that it does not know");
}

bool has_softmax(RoundingTarget target) { return target == RoundingTarget::Torch || target == RoundingTarget::Onnx; }

void softmax(RoundingTarget target, std::span<const std::uint8_t> x_q, ScaleZero input, ScaleZero output,
             CodeRange codes, std::uint8_t* y) {
  const double most{dequantize(std::ranges::max(x_q), input)};
  const auto power = [&](std::uint8_t q) { return std::exp(double{dequantize(q, input)} - most); };
  double sum = 0.0;
  for (const std::uint8_t q : x_q) {
    sum += power(q);
  }
  for (std::size_t c = 0; c < x_q.size(); ++c) {
    y[c] = static_cast<std::uint8_t>(quantize(target, static_cast<float>(power(x_q[c]) / sum), output, codes));
  }
}

}  // namespace detent::kernels
