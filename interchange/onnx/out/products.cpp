// Products: Conv of images, Gemm of rows, with weights of codes or real numbers.
#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "detent/core/error.h"
#include "detent/interchange/onnx/out/writer.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/targets/rounding_target.h"

namespace detent::onnx {
namespace {

using runtime::ValueId;

/// Codes of at most 4 bits.
constexpr std::int32_t kLargestInt4 = 7;

/// Bytes of O KH KW I as those of O I KH KW.
std::vector<std::byte> channels_first(const Tensor& weight, const kernels::ConvShape& s) {
  const auto channels = static_cast<std::size_t>(s.c / s.groups), pixels = static_cast<std::size_t>(s.kh * s.kw);
  const std::size_t item = size_of(weight.dtype());
  std::vector<std::byte> bytes(weight.bytes());
  for (std::size_t o = 0; o < static_cast<std::size_t>(s.o); ++o) {
    for (std::size_t p = 0; p < pixels; ++p) {
      for (std::size_t c = 0; c < channels; ++c) {
        std::memcpy(bytes.data() + ((o * channels + c) * pixels + p) * item,
                    weight.raw() + ((o * pixels + p) * channels + c) * item, item);
      }
    }
  }
  return bytes;
}

/// Two codes in a byte, the first in the lower half.
std::vector<std::byte> packed(const std::vector<std::byte>& codes) {
  std::vector<std::byte> bytes((codes.size() + 1) / 2);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    bytes[i / 2] |= (codes[i] & std::byte{0xF}) << (i % 2 == 0 ? 0 : 4);
  }
  return bytes;
}

/// A product as one node of the format.
class ProductWriter {
 public:
  ProductWriter(Writer& writer, const runtime::Node& node, const kernels::ConvShape& shape, ValueId value)
      : writer_(writer), shape_(shape), value_(value), is_linear_(writer.type(node.inputs[0]).shape.rank() == 1) {
    check(!is_linear_ || shape.is_linear(), "its product of one pixel has a window of ", shape.kh, " x ", shape.kw);
  }

  std::vector<std::int64_t> weight_dims() const {
    const std::int64_t channels = shape_.c / shape_.groups;
    return is_linear_ ? std::vector{shape_.o, channels} : std::vector{shape_.o, channels, shape_.kh, shape_.kw};
  }

  std::string real_weight(const Tensor& weight) {
    const Tensor values = weight.as(DType::F32, nullptr);
    return writer_.constant({.name = named("weight"), .dims = weight_dims(), .bytes = channels_first(values, shape_)});
  }

  std::string weight_of_codes(const Tensor& weight) {
    const QParams& map = *weight.qparams();
    Array codes{.name = named("weight"), .type = ElementType::S8, .dims = weight_dims()};
    codes.bytes = channels_first(weight, shape_);
    const bool is_int4 = map.codes.qmax <= kLargestInt4 && writer_.opset() >= kOpsetOfBlocks;
    if (is_int4) {
      codes.type = ElementType::S4;
      codes.bytes = packed(codes.bytes);
    }
    std::vector<Attribute> attributes;
    if (map.is_per_group()) {
      check(writer_.opset() >= kOpsetOfBlocks, "its weights have a scale a group, which ONNX has from opset ",
            kOpsetOfBlocks, " on");
      attributes = {{"axis", std::int64_t{1}}, {"block_size", map.group}};
    } else if (map.is_per_channel()) {
      attributes = {{"axis", std::int64_t{0}}};
    }
    const std::vector<std::string> inputs{writer_.constant(std::move(codes)), writer_.constant(scales(map))};
    return writer_.node("DequantizeLinear", inputs, named("weight_real"), std::move(attributes));
  }

  /// In units of the input's scale times the weights'.
  std::string bias_of_codes(const Tensor& bias, const Tensor& weight, float input_scale) {
    const QParams& map = *weight.qparams();
    const auto numbers = bias.data<std::int32_t>();
    const std::string codes = writer_.constant(
        Array::of(named("bias"), {shape_.o}, std::vector<std::int32_t>(numbers.begin(), numbers.end())));
    std::vector<float> scale(map.is_per_channel() ? static_cast<std::size_t>(shape_.o) : 1);
    for (std::size_t o = 0; o < scale.size(); ++o) {
      scale[o] = input_scale * map.scale_of(o);
    }
    const std::vector<std::int64_t> dims = map.is_per_channel() ? std::vector{shape_.o} : std::vector<std::int64_t>{};
    std::vector<Attribute> attributes;
    if (map.is_per_channel()) {
      attributes = {{"axis", std::int64_t{0}}};
    }
    return writer_.node("DequantizeLinear", {codes, writer_.constant(Array::of(named("bias_scale"), dims, scale))},
                        named("bias_real"), std::move(attributes));
  }

  std::string real_bias(const Tensor& bias) {
    const auto numbers = bias.data<float>();
    return writer_.constant(Array::of(named("bias"), {shape_.o}, std::vector<float>(numbers.begin(), numbers.end())));
  }

  std::string write(const std::string& x, const std::string& weight, const std::string& bias) {
    std::vector<std::string> inputs{x, weight};
    if (!bias.empty()) {
      inputs.push_back(bias);
    }
    if (is_linear_) {
      return writer_.node("Gemm", std::move(inputs), named("product"), {{"transB", std::int64_t{1}}});
    }
    return writer_.node("Conv", std::move(inputs), named("product"), windows());
  }

  /// Gives the value as QLinearConv does, or of rows without a bias QLinearMatMul.
  void write_q_operator(const runtime::Product& product, ValueId x) {
    const QParams& map = *product.weight.qparams();
    const bool is_pixel = is_linear_ && product.bias.defined();
    const bool is_product = is_linear_ && !is_pixel;
    const std::int64_t channels = shape_.c / shape_.groups;
    std::string codes = writer_.name(x);
    const std::string axes =
        is_pixel ? writer_.constant(Array::of(named("axes"), {2}, std::vector<std::int64_t>{2, 3})) : std::string();
    Array weight = is_product ? turned_codes(product.weight) : plain_codes(product.weight);
    if (is_pixel) {
      codes = writer_.node("Unsqueeze", {codes, axes}, named("pixel"));
      weight.dims = {shape_.o, channels, 1, 1};
    }
    Array zeros{.name = named("weight_zero_point"), .type = ElementType::S8};
    if (map.is_per_channel()) {
      zeros.dims = {shape_.o};
    }
    zeros.bytes.resize(static_cast<std::size_t>(zeros.elements()));
    const std::vector<std::string> from = writer_.map_of(x), to = writer_.map_of(value_);
    std::vector<std::string> inputs{codes,
                                    from[0],
                                    from[1],
                                    writer_.constant(std::move(weight)),
                                    writer_.constant(scales(map)),
                                    writer_.constant(std::move(zeros)),
                                    to[0],
                                    to[1]};
    if (is_product) {
      writer_.node("QLinearMatMul", std::move(inputs), named("product"));
    } else {
      if (product.bias.defined()) {
        const auto numbers = product.bias.data<std::int32_t>();
        inputs.push_back(writer_.constant(
            Array::of(named("bias"), {shape_.o}, std::vector<std::int32_t>(numbers.begin(), numbers.end()))));
      }
      writer_.node("QLinearConv", std::move(inputs), named("product"), windows());
    }
    finish_codes(product.relu, axes);
  }

  /// The sum of products and the bias, in units of the value's scale.
  std::string write_integer(const runtime::Product& product, ValueId x, std::span<const float> multipliers) {
    const std::string& codes = writer_.name(x);
    const std::string zero_point = writer_.map_of(x)[1];
    std::string sum =
        is_linear_ ? writer_.node("MatMulInteger", {codes, writer_.constant(turned_codes(product.weight)), zero_point},
                                  named("product"))
                   : writer_.node("ConvInteger", {codes, writer_.constant(plain_codes(product.weight)), zero_point},
                                  named("product"), windows());
    sum = writer_.node("Cast", {sum}, named("product_real"), {{"to", static_cast<std::int64_t>(ElementType::F32)}});
    const std::vector<std::int64_t> dims =
        is_linear_ ? std::vector{shape_.o} : std::vector<std::int64_t>{shape_.o, 1, 1};
    if (product.bias.defined()) {
      const auto numbers = product.bias.data<std::int32_t>();
      const std::vector<float> bias(numbers.begin(), numbers.end());
      sum = writer_.node("Add", {sum, writer_.constant(Array::of(named("bias"), dims, bias))}, named("biased"));
    }
    const std::vector<float> values(multipliers.begin(), multipliers.end());
    return writer_.node("Mul", {sum, writer_.constant(Array::of(named("multiplier"), dims, values))}, named("scaled"));
  }

 private:
  std::vector<Attribute> windows() const {
    const Padding2d& p = shape_.padding;
    if (is_linear_) {
      return {};
    }
    return {{"kernel_shape", Numbers{shape_.kh, shape_.kw}},
            {"strides", Numbers{shape_.stride_h, shape_.stride_w}},
            {"dilations", Numbers{shape_.dilation_h, shape_.dilation_w}},
            {"pads", Numbers{p.top, p.left, p.bottom, p.right}},
            {"group", shape_.groups}};
  }

  /// The weights' codes in the format's order, int8.
  Array plain_codes(const Tensor& weight) const {
    return {.name = named("weight"),
            .type = ElementType::S8,
            .dims = weight_dims(),
            .bytes = channels_first(weight, shape_)};
  }
  /// Of rows [O, I] as [I, O].
  Array turned_codes(const Tensor& weight) const {
    Array codes = plain_codes(weight);
    const std::vector<std::byte> bytes = codes.bytes;
    const auto inputs = static_cast<std::size_t>(codes.dims[1]), outputs = static_cast<std::size_t>(codes.dims[0]);
    for (std::size_t i = 0; i < inputs; ++i) {
      for (std::size_t o = 0; o < outputs; ++o) {
        codes.bytes[i * outputs + o] = bytes[o * inputs + i];
      }
    }
    std::swap(codes.dims[0], codes.dims[1]);
    return codes;
  }

  /// The codes that were made last as the value: clipped where they are fewer than 256, and without the `axes` of an
  /// image.
  void finish_codes(bool relu, const std::string& axes) {
    const QParams& map = *writer_.type(value_).qparams;
    const CodeRange range = kernels::OutputCodes{.map = map.tensor(), .codes = map.codes, .relu = relu}.clamped();
    std::string last = named("product");
    constexpr std::int32_t kLargestCode = 255;
    if (range.qmin > 0 || range.qmax < kLargestCode) {
      const auto code = [&](const char* what, std::int32_t value) {
        Array array{.name = named(what), .type = ElementType::U8};
        array.bytes.push_back(static_cast<std::byte>(value));
        return writer_.constant(std::move(array));
      };
      last = writer_.node("Clip", {last, code("lowest", range.qmin), code("highest", range.qmax)}, named("clipped"));
    }
    if (!axes.empty()) {
      writer_.node("Squeeze", {last, axes}, named("row"));
    }
    writer_.finish_unchanged(value_);
  }

  std::string named(const char* what) const { return writer_.between(value_, what); }

  Array scales(const QParams& map) const {
    if (!map.is_per_group()) {
      const auto count = static_cast<std::int64_t>(map.scale.size());
      return Array::of(named("weight_scale"), map.is_per_channel() ? std::vector{count} : std::vector<std::int64_t>{},
                       map.scale);
    }
    // One for every pixel of the window, too.
    std::vector<std::int64_t> dims = weight_dims();
    dims[1] = map.groups;
    const std::int64_t pixels = is_linear_ ? 1 : shape_.kh * shape_.kw;
    std::vector<float> scale;
    for (std::size_t o = 0; o < static_cast<std::size_t>(shape_.o); ++o) {
      for (std::int64_t group = 0; group < map.groups; ++group) {
        scale.insert(scale.end(), static_cast<std::size_t>(pixels), map.scale_of(o, group));
      }
    }
    return Array::of(named("weight_scale"), std::move(dims), scale);
  }

  Writer& writer_;
  const kernels::ConvShape& shape_;
  ValueId value_;
  bool is_linear_;
};

/// What stands behind the product: the sum with another value, and the ReLU.
void finish(Writer& writer, const runtime::Node& node, std::string result, bool relu, ValueId value) {
  if (node.inputs.size() > 1) {
    result = writer.node("Add", {result, writer.real(node.inputs[1])}, writer.between(value, "sum"));
  }
  if (relu) {
    result = writer.node("Relu", {result}, writer.between(value, "relu"));
  }
  writer.finish(value, result);
}

/// Real numbers `x` as products of `dtype` take them.
std::string rounded_to(DType dtype, Writer& writer, std::string x, ValueId value) {
  if (dtype == DType::BF16) {
    x = writer.node("Cast", {x}, writer.between(value, "input_bf16"),
                    {{"to", static_cast<std::int64_t>(ElementType::BF16)}});
    x = writer.node("Cast", {x}, writer.between(value, "input_rounded"),
                    {{"to", static_cast<std::int64_t>(ElementType::F32)}});
  }
  return x;
}

}  // namespace

void write_product(Writer& writer, const runtime::Node& node, const runtime::Product& product, ValueId value) {
  ProductWriter made(writer, node, product.shape, value);
  std::string x = writer.real(node.inputs[0]);
  std::string weight, bias;
  if (writer.type(value).is_codes()) {
    weight = made.weight_of_codes(product.weight);
    if (product.bias.defined()) {
      bias = made.bias_of_codes(product.bias, product.weight, writer.type(node.inputs[0]).qparams->tensor().scale);
    }
  } else {
    x = rounded_to(product.weight.dtype(), writer, x, value);
    weight = made.real_weight(product.weight);
    bias = product.bias.defined() ? made.real_bias(product.bias) : std::string();
  }
  finish(writer, node, made.write(x, weight, bias), product.relu, value);
}

bool write_product_of_codes(Writer& writer, const runtime::Node& node, const runtime::Product& product, ValueId value) {
  const runtime::ValueType& to = writer.type(value);
  if (!to.is_codes() || product.weight.qparams()->is_per_group()) {
    return false;
  }
  ProductWriter made(writer, node, product.shape, value);
  const ValueId x = node.inputs[0];
  if (writer.form() == Form::QOperator) {
    made.write_q_operator(product, x);
    return true;
  }
  const kernels::Requantization requantization =
      kernels::make_requantization(writer.type(x).qparams->tensor(), *product.weight.qparams(), {}, product.shape.o,
                                   to.qparams->tensor(), to.qparams->codes, product.relu);
  finish_sum(writer, value, made.write_integer(product, x, requantization.multiplier), product.relu);
  return true;
}

void write_product(Writer& writer, const runtime::Node& node, const runtime::HybridProduct& product, ValueId value) {
  check(!product.dynamic,
        "it is quantized dynamically, each example on a map of its own, for which ONNX has no "
        "operation; quantize by --method static, qat or weight-only");
  ProductWriter made(writer, node, product.shape, value);
  const std::string x = rounded_to(product.input, writer, writer.real(node.inputs[0]), value);
  const std::string weight = made.weight_of_codes(product.weight);
  const std::string bias = product.bias.defined() ? made.real_bias(product.bias) : std::string();
  finish(writer, node, made.write(x, weight, bias), product.relu, value);
}

}  // namespace detent::onnx
