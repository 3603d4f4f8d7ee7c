// Products: Conv of images, Gemm of rows, with weights of codes or real numbers.
#include <algorithm>
#include <cstring>

#include "detent/core/error.h"
#include "detent/interchange/onnx/out/writer.h"

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
    const Padding2d& p = shape_.padding;
    using Numbers = std::vector<std::int64_t>;
    return writer_.node("Conv", std::move(inputs), named("product"),
                        {{"kernel_shape", Numbers{shape_.kh, shape_.kw}},
                         {"strides", Numbers{shape_.stride_h, shape_.stride_w}},
                         {"dilations", Numbers{shape_.dilation_h, shape_.dilation_w}},
                         {"pads", Numbers{p.top, p.left, p.bottom, p.right}},
                         {"group", shape_.groups}});
  }

 private:
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
