#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "detent/core/philox.h"
#include "detent/kernels/codes/softmax_codes.h"
#include "detent/runtime/model.h"

/// Models of random weights and maps, built as they read.
namespace detent::runtime::test {

inline Tensor random_reals(const Shape& shape, RandomStream& random, float low = -1.0F, float high = 1.0F) {
  Tensor t = Tensor::empty(shape, DType::F32);
  std::ranges::generate(t.data<float>(), [&] { return random.uniform(low, high); });
  return t;
}

inline Tensor random_inputs(const Shape& example, std::int64_t batch, std::uint64_t seed) {
  RandomStream random(seed, "inputs");
  return random_reals(example.batched(batch), random, -1.2F, 1.1F);
}

class ModelBuilder {
 public:
  explicit ModelBuilder(std::uint64_t seed) : random_(seed, "model") {}

  Model model;

  RandomStream& random() { return random_; }
  ValueType codes(Shape shape, float scale, int bits = 8) {
    const CodeRange range = unsigned_codes(bits);
    const auto zero_point = static_cast<std::int32_t>(random_.index(static_cast<std::uint32_t>(range.qmax) + 1));
    return {std::move(shape), DType::U8,
            std::make_shared<const QParams>(QParams::per_tensor({scale, zero_point}, range))};
  }
  static ValueType reals(Shape shape) { return {.shape = std::move(shape)}; }

  ValueId input(Shape shape) {
    model.inputs.push_back({"input" + std::to_string(model.inputs.size()), reals(std::move(shape))});
    return model.inputs.size() - 1;
  }
  ValueId add(Op op, std::vector<ValueId> inputs, ValueType output) {
    const std::string name = std::string(name_of(op)) + std::to_string(model.nodes.size());
    model.nodes.push_back(
        {.name = name, .op = std::move(op), .inputs = std::move(inputs), .output = std::move(output)});
    return model.output = model.value_of(model.nodes.size() - 1);
  }

  ValueId quantize(ValueId x, int bits = 8) { return add(Quantize{}, {x}, codes(type(x).shape, 0.011F, bits)); }
  ValueId dequantize(ValueId x) { return add(Dequantize{}, {x}, reals(type(x).shape)); }

  /// `shape` needs no h, w, c: they are those of `x`.
  ValueId conv(ValueId x, kernels::ConvShape shape, bool relu = false, bool has_bias = true, bool per_channel = true,
               int bits = 8, const std::vector<ValueId>& more = {}, std::int64_t group = 0) {
    const auto in = type(x).shape.extents();
    shape.h = in.size() == 3 ? in[0] : 1;
    shape.w = in.size() == 3 ? in[1] : 1;
    shape.c = in.back();
    Product product{.shape = shape, .relu = relu};
    const Shape out = in.size() == 3 ? Shape{shape.out_h(), shape.out_w(), shape.o} : Shape{shape.o};
    const Shape weight = in.size() == 3 ? shape.weight_shape() : Shape{shape.o, shape.c};
    std::vector<ValueId> inputs{x};
    inputs.insert(inputs.end(), more.begin(), more.end());
    if (!type(x).is_codes()) {
      product.weight = random_reals(weight, random_);
      product.bias = has_bias ? random_reals({shape.o}, random_) : Tensor();
      return add(product, inputs, reals(out));
    }
    QParams map{.scale = {}, .zero_point = {}, .axis = per_channel ? 0 : -1, .codes = signed_codes(bits)};
    map.group = group;
    map.groups = group == 0 ? 1 : groups_of(shape.c / shape.groups, group);
    for (std::int64_t i = 0; i < (per_channel ? shape.o * map.groups : 1); ++i) {
      map.scale.push_back(random_.uniform(0.004F, 0.02F));
      map.zero_point.push_back(0);
    }
    product.weight = Tensor::empty(weight, DType::S8);
    const auto levels = static_cast<std::uint32_t>(2 * map.codes.qmax + 1);
    std::ranges::generate(product.weight.data<std::int8_t>(), [&] {
      return static_cast<std::int8_t>(static_cast<std::int32_t>(random_.index(levels)) - map.codes.qmax);
    });
    const float of_weight = static_cast<float>(map.codes.qmax) * 0.012F;
    const float of_input = type(x).qparams->scale[0] * static_cast<float>(type(x).qparams->codes.qmax);
    const float scale = of_weight * of_input * std::sqrt(static_cast<float>(shape.depth())) / 250.0F;
    product.weight = product.weight.with_qparams(std::make_shared<const QParams>(map));
    if (has_bias) {
      product.bias = Tensor::empty({shape.o}, DType::S32);
      std::ranges::generate(product.bias.data<std::int32_t>(),
                            [&] { return static_cast<std::int32_t>(random_.index(8001)) - 4000; });
    }
    return add(product, inputs, codes(out, scale));
  }
  /// As `conv` of f32, with weights of codes and the input's codes `dynamic`.
  ValueId hybrid(ValueId x, kernels::ConvShape shape, std::optional<CodeRange> dynamic, bool relu = false, int bits = 8,
                 std::int64_t group = 0) {
    const ValueId value = conv(x, shape, relu, random_.index(3) > 0);
    auto& product = std::get<Product>(model.nodes.back().op);
    QParams map{.scale = {}, .zero_point = {}, .axis = 0, .codes = signed_codes(bits)};
    map.group = group;
    map.groups = group == 0 ? 1 : groups_of(product.shape.c / product.shape.groups, group);
    for (std::int64_t i = 0; i < product.shape.o * map.groups; ++i) {
      map.scale.push_back(random_.uniform(0.5F, 1.5F) / static_cast<float>(map.codes.qmax) /
                          std::sqrt(static_cast<float>(product.shape.depth())));
      map.zero_point.push_back(0);
    }
    Tensor codes = Tensor::empty(product.weight.shape(), DType::S8);
    std::ranges::generate(codes.data<std::int8_t>(), [&] {
      const auto levels = static_cast<std::uint32_t>(2 * map.codes.qmax + 1);
      return static_cast<std::int8_t>(static_cast<std::int32_t>(random_.index(levels)) - map.codes.qmax);
    });
    model.nodes.back().op = HybridProduct{.shape = product.shape,
                                          .weight = codes.with_qparams(std::make_shared<const QParams>(map)),
                                          .bias = product.bias,
                                          .relu = relu,
                                          .dynamic = dynamic};
    return value;
  }
  ValueId linear(ValueId x, std::int64_t outputs, bool relu = false) {
    return conv(x, {.o = outputs, .kh = 1, .kw = 1}, relu);
  }

  ValueId pool(ValueId x, PoolKind kind, kernels::PoolShape shape) {
    const auto in = type(x).shape.extents();
    shape.h = in[0];
    shape.w = in[1];
    shape.c = in[2];
    const Shape out{shape.out_h(), shape.out_w(), shape.c};
    if (kind == PoolKind::Max || !type(x).is_codes()) {
      ValueType same = type(x);
      same.shape = out;
      return add(Pool{kind, shape}, {x}, same);
    }
    return add(Pool{kind, shape}, {x}, codes(out, type(x).qparams->scale[0] * 0.7F));
  }
  ValueId max_pool(ValueId x, std::int64_t size = 2) {
    return pool(x, PoolKind::Max, {.kh = size, .kw = size, .stride_h = size, .stride_w = size});
  }
  ValueId sum(ValueId a, ValueId b, bool relu = false) {
    return type(a).is_codes() ? add(Add{relu}, {a, b}, codes(type(a).shape, type(a).qparams->scale[0] * 1.3F))
                              : add(Add{relu}, {a, b}, reals(type(a).shape));
  }
  ValueId concat(const std::vector<ValueId>& inputs) {
    std::vector<std::int64_t> extents(type(inputs[0]).shape.extents().begin(), type(inputs[0]).shape.extents().end());
    extents.back() = 0;
    for (const ValueId x : inputs) {
      extents.back() += type(x).shape.extents().back();
    }
    const ValueType& first = type(inputs[0]);
    if (!first.is_codes()) {
      return add(Concat{}, inputs, reals(Shape(extents)));
    }
    ValueType output = codes(Shape(extents), first.qparams->scale[0] * 1.1F);
    output.qparams = random_.index(2) == 0 ? first.qparams : output.qparams;  // now and then on the map of one
    return add(Concat{}, inputs, output);
  }
  ValueId lookup(ValueId x, bool by_channel) {
    const std::int64_t channels = type(x).shape.extents().back();
    Tensor table = Tensor::empty(by_channel ? Shape{channels, 256} : Shape{256}, DType::U8);
    std::ranges::generate(table.data<std::uint8_t>(), [&] { return static_cast<std::uint8_t>(random_.index(256)); });
    return add(Lookup{table}, {x}, codes(type(x).shape, 0.01F));
  }
  ValueId softmax(ValueId x, int bits = 8) {
    if (!type(x).is_codes()) {
      return add(Softmax{}, {x}, type(x));
    }
    const kernels::SoftmaxTable table = kernels::softmax_table(type(x).qparams->tensor().scale);
    const QParams map = QParams::per_tensor({std::ldexp(1.0F, -bits), 0}, unsigned_codes(bits));
    return add(Softmax{Tensor::from(std::vector<std::int32_t>(table.begin(), table.end()), {256})}, {x},
               {type(x).shape, DType::U8, std::make_shared<const QParams>(map)});
  }
  ValueId flatten(ValueId x) {
    ValueType flat = type(x);
    flat.shape = Shape{flat.shape.elements()};
    return add(Reshape{}, {x}, flat);
  }
  ValueId activation(ValueId x, kernels::Activation function) { return add(Activation{function}, {x}, type(x)); }
  ValueId batch_norm(ValueId x) {
    const Shape channels{type(x).shape.extents().back()};
    BatchNorm norm{.mean = random_reals(channels, random_),
                   .variance = random_reals(channels, random_, 0.5F, 2.0F),
                   .weight = random_reals(channels, random_, 0.5F, 2.0F),
                   .bias = random_reals(channels, random_)};
    return add(norm, {x}, type(x));
  }

  const ValueType& type(ValueId value) const { return model.type(value); }

 private:
  RandomStream random_;
};

/// Every operation of codes, and several of floats behind them.
inline Model everything(std::uint64_t seed) {
  ModelBuilder b(seed);
  const ValueId x = b.quantize(b.input({11, 13, 3}), seed % 2 == 0 ? 8 : 6);
  const ValueId first = b.conv(x, {.o = 16, .kh = 3, .kw = 3, .padding = 1}, true);
  const ValueId grouped = b.conv(first, {.o = 16, .kh = 3, .kw = 3, .padding = 1, .groups = 4}, false, true, false);
  const ValueId depthwise =
      b.conv(first, {.o = 16, .kh = 5, .kw = 3, .padding = {4, 1}, .dilation_h = 2, .groups = 16}, seed % 3 == 0);
  const ValueId residual = b.sum(grouped, depthwise, seed % 2 == 1);
  const ValueId fused = b.max_pool(b.conv(residual, {.o = 19, .kh = 3, .kw = 3, .padding = 1}));
  const ValueId strided =
      b.conv(first, {.o = 7, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 2, .padding = 0}, true, false);
  const ValueId other = b.pool(strided, PoolKind::Max, {.kh = 2, .kw = 3, .padding = 1});
  const ValueId shrunk = b.pool(other, PoolKind::Average, {.kh = 2, .kw = 1});
  const ValueId joined = b.concat({fused, shrunk, b.lookup(fused, true)});
  const ValueId table = b.lookup(joined, false);
  const ValueId fourbit = b.conv(table, {.o = 8, .kh = 2, .kw = 2, .dilation_w = 2}, false, true, true, 4);
  const ValueId hidden = b.linear(b.flatten(fourbit), 37, true);
  const ValueId real = b.dequantize(b.softmax(b.lookup(b.linear(hidden, 10), false)));
  const ValueId norm = b.batch_norm(b.activation(real, kernels::Activation::Gelu));
  b.sum(b.linear(norm, 10, true), real, true);
  return b.model;
}

/// Every operation of floats.
inline Model everything_in_float(std::uint64_t seed) {
  ModelBuilder b(seed);
  const ValueId x = b.input({10, 9, 3});
  const ValueId first = b.conv(x, {.o = 8, .kh = 3, .kw = 3, .padding = 1}, true);
  const ValueId branch = b.batch_norm(b.conv(first, {.o = 8, .kh = 1, .kw = 1}));
  const ValueId residual =
      b.conv(first, {.o = 8, .kh = 3, .kw = 3, .padding = 1, .groups = 2}, seed % 2 == 0, true, true, 8, {branch});
  const ValueId sum = b.sum(residual, first, seed % 2 == 1);
  const ValueId joined =
      b.concat({b.max_pool(sum), b.pool(sum, PoolKind::Average, {.kh = 2, .kw = 2, .stride_h = 2, .stride_w = 2})});
  b.softmax(b.linear(b.flatten(b.softmax(b.activation(joined, kernels::Activation::HardSwish))), 10));
  return b.model;
}

}  // namespace detent::runtime::test
