#include <algorithm>
#include <cmath>
#include <set>

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/softmax_codes.h"
#include "detent/runtime/model.h"

namespace detent::runtime {
namespace {

/// Extents, strides and the like are below this, so that sums and products of two of them fit 64 bits.
constexpr std::int64_t kLargestExtent = std::int64_t{1} << 31;

void check_type(const ValueType& type) {
  for (const std::int64_t extent : type.shape.extents()) {
    check(extent >= 1 && extent < kLargestExtent, "expected a shape of extents in [1, 2^31), got ", type.shape);
  }
  (void)type.shape.elements();  // throws where the product is too large
  if (!type.is_codes()) {
    check(type.dtype == DType::F32, "expected values of f32, or of u8 with a map, got ", type.dtype, " without one");
    return;
  }
  type.qparams->validate();
  const CodeRange codes = type.qparams->codes;
  check(type.dtype == DType::U8, "expected codes of u8, got ", type.dtype);
  check(!type.qparams->is_per_channel(), "expected one scale for all codes of a value, got one a channel");
  check(codes.qmin >= 0 && codes.qmax <= 255, "expected codes in [0, 255], got [", codes.qmin, ", ", codes.qmax, "]");
}

void check_tensor(const char* what, const Tensor& tensor, DType dtype, const Shape& shape) {
  check(tensor.defined(), what, ": expected ", dtype, " ", shape, ", it is missing");
  check(tensor.dtype() == dtype && tensor.shape() == shape, what, ": expected ", dtype, " ", shape, ", got ",
        tensor.dtype(), " ", tensor.shape());
}

void check_finite(const char* what, const Tensor& tensor, const Shape& shape, DType dtype = DType::F32) {
  check_tensor(what, tensor, dtype, shape);
  const Tensor as_f32 = tensor.as(DType::F32, nullptr);
  const auto numbers = as_f32.data<float>();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    check(std::isfinite(numbers[i]), what, ": element ", i, ": expected a finite number, got ", numbers[i]);
  }
}

template <typename T>
void check_range(const char* what, const Tensor& tensor, std::int32_t low, std::int32_t high) {
  const auto numbers = tensor.data<T>();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto number = static_cast<std::int32_t>(numbers[i]);
    check(low <= number && number <= high, what, ": element ", i, ": expected a number in [", low, ", ", high,
          "], got ", number);
  }
}

void check_extents(const char* what, std::initializer_list<std::int64_t> numbers) {
  for (const std::int64_t number : numbers) {
    check(number < kLargestExtent, what, ": expected numbers below 2^31, got ", number);
  }
}

/// Whether codes or f32, as a message says it.
const char* kind_of(const ValueType& type) { return type.is_codes() ? "codes" : "f32"; }

/// The checks of one node, each against the types of its inputs.
struct CheckNode {
  const Model& model;
  const Node& node;

  const ValueType& in(std::size_t i = 0) const { return model.type(node.inputs[i]); }
  const ValueType& out() const { return node.output; }

  void arity(std::size_t least, std::size_t most) const {
    check(least <= node.inputs.size() && node.inputs.size() <= most, "expected ", least,
          most > least ? " or more inputs, got " : " inputs, got ", node.inputs.size());
  }
  void expect(const ValueType& type, bool codes, const char* what) const {
    check(type.is_codes() == codes, what, ": expected ", codes ? "codes" : "f32", ", got ", kind_of(type));
  }
  /// All inputs and the output are codes, or all are f32.
  void expect_one_kind() const {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      check(in(i).is_codes() == out().is_codes(), "expected codes to codes or f32 to f32, got ", kind_of(in(i)), " to ",
            kind_of(out()));
    }
  }
  void expect_same_shape() const {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      check(in(i).shape == out().shape, "expected one shape, got ", in(i).shape, " to ", out().shape);
    }
  }
  void expect_same_map() const {
    const bool same = in().is_codes() == out().is_codes() && (!in().is_codes() || *in().qparams == *out().qparams);
    check(same, "expected the output on the map of the input");
  }
  /// Images [H, W, C] under any shape with C as the last axis.
  void expect_images(const char* what, const Shape& shape, const Shape& images) const {
    check(shape.rank() >= 1 && shape.extents().back() == images[2] && shape.elements() == images.elements(), what,
          ": expected images ", images, ", got ", shape);
  }
  std::int64_t channels() const {
    check(out().shape.rank() >= 1, "expected an axis of channels, got a scalar");
    return out().shape.extents().back();
  }

  void operator()(const Quantize&) const {
    arity(1, 1);
    expect(in(), false, "input");
    expect(out(), true, "output");
    expect_same_shape();
  }
  void operator()(const Dequantize&) const {
    arity(1, 1);
    expect(in(), true, "input");
    expect(out(), false, "output");
    expect_same_shape();
  }

  void operator()(const Product& product) const {
    const bool of_codes = out().is_codes();
    arity(1, of_codes ? 1 : 2);
    expect_one_kind();
    check_geometry(product.shape);
    check(node.inputs.size() == 1 || in(1).shape == out().shape, "second input: expected the shape of the output, ",
          out().shape, ", got ", in(node.inputs.size() - 1).shape);
    if (of_codes) {
      check_codes(product);
      return;
    }
    const bool is_bf16 = product.weight.defined() && product.weight.dtype() == DType::BF16;
    check_finite("weight", product.weight, weight_shape(product.shape, product.weight),
                 is_bf16 ? DType::BF16 : DType::F32);
    if (product.bias.defined()) {
      check_finite("bias", product.bias, {product.shape.o});
    }
  }
  void operator()(const HybridProduct& product) const {
    arity(1, 1);
    expect(in(), false, "input");
    expect(out(), false, "output");
    check_geometry(product.shape);
    check_weight_codes(product.shape, product.weight);
    if (product.bias.defined()) {
      check_finite("bias", product.bias, {product.shape.o});
    }
    const bool may_round = product.input == DType::BF16 && !product.dynamic;
    check(product.input == DType::F32 || may_round, "input: expected f32",
          product.dynamic ? ", from which codes are made" : " or bf16", ", got ", product.input);
    if (product.dynamic) {
      const CodeRange codes = *product.dynamic;
      check(codes.qmin == 0 && 1 <= codes.qmax && codes.qmax <= 255, "input: expected codes in [0, 255], got [",
            codes.qmin, ", ", codes.qmax, "]");
      check_depth(product.shape, product.weight, codes);
    }
  }
  void check_geometry(const kernels::ConvShape& s) const {
    check_extents("product", {s.h, s.w, s.c, s.o, s.kh, s.kw, s.stride_h, s.stride_w, s.padding.top, s.padding.left,
                              s.padding.bottom, s.padding.right, s.dilation_h, s.dilation_w, s.groups});
    s.validate();
    check(s.n == 1, "product: expected the shape of one image, got one of ", s.n);
    expect_images("input", in().shape, {s.h, s.w, s.c});
    expect_images("output", out().shape, {s.out_h(), s.out_w(), s.o});
    (void)s.weight_shape().elements();  // throws where the product is too large
  }
  static Shape weight_shape(const kernels::ConvShape& s, const Tensor& weight) {
    const bool is_flat = s.kh == 1 && s.kw == 1 && weight.shape().rank() == 2;
    return is_flat ? Shape{s.o, s.c / s.groups} : s.weight_shape();
  }
  static void check_depth(const kernels::ConvShape& s, const Tensor& weight, CodeRange x) {
    kernels::ProductCodes{.x = x.qmax, .weight = weight.qparams()->codes.qmax}.check_depth(s.depth());
  }
  void check_codes(const Product& product) const {
    check_weight_codes(product.shape, product.weight);
    check_depth(product.shape, product.weight, in().qparams->codes);
    if (product.bias.defined()) {
      check_tensor("bias", product.bias, DType::S32, {product.shape.o});
      check_range<std::int32_t>("bias", product.bias, -kLargestBias, kLargestBias);
    }
  }
  static void check_weight_codes(const kernels::ConvShape& s, const Tensor& weight) {
    const std::int64_t outputs = s.o;
    check_tensor("weight", weight, DType::S8, weight_shape(s, weight));
    check(weight.qparams() != nullptr, "weight: expected codes with their scales, it has none");
    const QParams& map = *weight.qparams();
    map.validate();
    check(map.codes.qmin >= -127 && map.codes.qmin < 0 && map.codes.qmax <= 127, "weight: expected codes in ",
          "[-127, 127], got [", map.codes.qmin, ", ", map.codes.qmax, "]");
    check(map.axis <= 0 && (!map.is_per_channel() || static_cast<std::int64_t>(map.channels()) == outputs),
          "weight: expected one scale, or one for each of ", outputs, " outputs, got ", map.channels(), " along axis ",
          map.axis);
    const std::int64_t channels = s.c / s.groups;
    check(!map.is_per_group() || map.groups == groups_of(channels, map.group), "weight: expected a scale for ",
          "each group of ", map.group, " of ", channels, " input channels, got ", map.groups);
    for (const std::int32_t zero_point : map.zero_point) {
      check(zero_point == 0, "weight: expected zero points of 0, got ", zero_point);
    }
    check_range<std::int8_t>("weight", weight, map.codes.qmin, map.codes.qmax);
  }

  void operator()(const Add&) const {
    arity(2, 2);
    expect_one_kind();
    expect_same_shape();
  }

  void operator()(const Concat&) const {
    arity(1, model.values());
    expect_one_kind();
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto given = in(i).shape.extents();
      const auto wanted = out().shape.extents();
      check(
          !given.empty() && given.size() == wanted.size() && std::equal(given.begin(), given.end() - 1, wanted.begin()),
          "expected shapes that differ in the last axis alone, got ", in(i).shape, " to ", out().shape);
      sum += given.back();
    }
    check(sum == channels(), "expected ", sum, " channels of its inputs in all, got ", channels());
  }

  void operator()(const Pool& pool) const {
    const kernels::PoolShape& s = pool.shape;
    arity(1, 1);
    expect_one_kind();
    check_extents("pool", {s.h, s.w, s.c, s.kh, s.kw, s.stride_h, s.stride_w, s.padding.top, s.padding.left,
                           s.padding.bottom, s.padding.right});
    s.validate();
    check(s.n == 1, "pool: expected the shape of one image, got one of ", s.n);
    expect_images("input", in().shape, {s.h, s.w, s.c});
    expect_images("output", out().shape, {s.out_h(), s.out_w(), s.c});
    if (pool.kind == PoolKind::Max) {
      check(s.window() <= 256, "pool: expected a window of at most 256 pixels, got ", s.window());
      expect_same_map();
    } else {
      check(s.window() < kLargestExtent / 256, "pool: expected a window of fewer than 2^23 pixels, got ", s.window());
    }
  }

  void operator()(const Lookup& lookup) const {
    arity(1, 1);
    expect(in(), true, "input");
    expect(out(), true, "output");
    expect_same_shape();
    const bool is_by_channel = lookup.table.shape().rank() == 2;
    check_tensor("table", lookup.table, DType::U8, is_by_channel ? Shape{channels(), 256} : Shape{256});
    check_range<std::uint8_t>("table", lookup.table, out().qparams->codes.qmin, out().qparams->codes.qmax);
  }

  void operator()(const Softmax& softmax) const {
    arity(1, 1);
    expect_one_kind();
    expect_same_shape();
    (void)channels();
    if (!out().is_codes()) {
      check(!softmax.table.defined(), "table: expected none, of f32");
      return;
    }
    check_tensor("table", softmax.table, DType::S32, {256});
    check_range<std::int32_t>("table", softmax.table, 0, kernels::kSoftmaxOne);
    const std::int32_t first = softmax.table.data<std::int32_t>()[0];
    check(first == kernels::kSoftmaxOne, "table: element 0: expected 2^30, got ", first);
  }

  void operator()(const Reshape&) const {
    arity(1, 1);
    check(in().shape.elements() == out().shape.elements(), "expected as many elements as ", in().shape, ", got ",
          out().shape);
    expect_same_map();
  }

  void operator()(const Activation& activation) const {
    arity(1, 1);
    expect(in(), false, "input");
    expect(out(), false, "output");
    expect_same_shape();
    check(activation.function <= kernels::Activation::Sign, "expected a function of activation.h, got number ",
          static_cast<int>(activation.function));
    check(std::isfinite(activation.slope), "expected a finite slope, got ", activation.slope);
  }

  void operator()(const BatchNorm& norm) const {
    arity(1, 1);
    expect(in(), false, "input");
    expect(out(), false, "output");
    expect_same_shape();
    const Shape of_channels{channels()};
    check_finite("mean", norm.mean, of_channels);
    check_finite("variance", norm.variance, of_channels);
    const auto variance = norm.variance.data<float>();
    for (std::size_t c = 0; c < variance.size(); ++c) {
      check(variance[c] >= 0, "variance: element ", c, ": expected a number of at least 0, got ", variance[c]);
    }
    check(std::isfinite(norm.epsilon) && norm.epsilon > 0, "expected a finite epsilon above 0, got ", norm.epsilon);
    for (const Tensor* tensor : {&norm.weight, &norm.bias}) {
      if (tensor->defined()) {
        check_finite(tensor == &norm.weight ? "weight" : "bias", *tensor, of_channels);
      }
    }
  }

  void operator()(const Custom& custom) const {
    arity(1, model.values());
    check(custom.op != nullptr, "expected an operation, it has none");
  }
};

/// Runs `fn`; its Error gets the name in front.
template <typename Fn>
void named(const std::string& name, Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    fail("model: ", name, ": ", error.what());
  }
}

}  // namespace

bool Model::is_integer() const {
  return std::ranges::any_of(nodes, [](const Node& node) {
    const bool converts = std::holds_alternative<Quantize>(node.op) || std::holds_alternative<Dequantize>(node.op) ||
                          std::holds_alternative<Reshape>(node.op);
    return !converts && node.output.is_codes();
  });
}

void Model::validate() const {
  check(!inputs.empty(), "model: expected at least one input");
  check(output < values(), "model: expected an output below ", values(), ", got ", output);
  std::set<std::string_view> names;
  for (ValueId value = 0; value < values(); ++value) {
    check(!name(value).empty(), "model: value ", value, ": expected a name");
    check(names.insert(name(value)).second, "model: ", name(value), ": expected a name of its own, two have it");
    named(name(value), [&] { check_type(type(value)); });
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    named(node.name, [&] {
      for (const ValueId input : node.inputs) {
        check(input < value_of(i), "expected inputs that come before it, below ", value_of(i), ", got ", input);
      }
      std::visit(CheckNode{*this, node}, node.op);
    });
  }
}

}  // namespace detent::runtime
