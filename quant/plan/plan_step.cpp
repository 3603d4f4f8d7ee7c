#include "detent/quant/plan/plan_step.h"
#include "detent/kernels/codes/quantize.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "detent/kernels/product/int8_conv.h"
#include "detent/quant/kinds/int8_modules.h"
#include "detent/quant/passes/copy_module.h"

namespace detent::quant {
namespace {

using Inputs = std::vector<const PlanValue*>;
using Node = nn::Graph::Node;
using Bytes = std::span<const std::uint8_t>;

/// A step of one output, with helpers to find its memory.
class Step : public PlanStep {
 public:
  Step(Inputs inputs, const PlanValue& output) : inputs_(std::move(inputs)), output_(output) {}

 protected:
  const PlanValue& input(std::size_t i = 0) const { return *inputs_[i]; }
  const PlanValue& output() const { return output_; }
  template <typename T>
  const T* in(Range images, std::int64_t task, std::size_t i = 0) const {
    return inputs_[i]->place->at<const T>(images, task);
  }
  template <typename T>
  T* out(Range images, std::int64_t task) const {
    return output_.place->at<T>(images, task);
  }
  std::size_t out_elements(Range images) const {
    return static_cast<std::size_t>(images.size() * output_.shape.elements());
  }
  ScaleZero map(const PlanValue& value) const { return value.qparams->tensor(); }

 private:
  Inputs inputs_;
  const PlanValue& output_;
};

/// Real numbers, or pixels, to codes.
class QuantizeStep : public Step {
 public:
  QuantizeStep(Inputs inputs, const PlanValue& value) : Step(std::move(inputs), value) {
    for (std::size_t p = 0; p < table_.size(); ++p) {
      table_[p] =
          static_cast<std::uint8_t>(quantize(static_cast<float>(p) / 255.0F, map(output()), output().qparams->codes));
      is_identity_ = is_identity_ && table_[p] == p;
    }
  }
  void run(Range images, std::int64_t task, Range) const override {
    const std::size_t count = out_elements(images);
    auto* const q = out<std::uint8_t>(images, task);
    if (!input().place->holds_pixels) {
      kernels::quantize(std::span(in<float>(images, task), count), map(output()), output().qparams->codes, q);
      return;
    }
    const auto* const pixels = in<std::uint8_t>(images, task);
    if (is_identity_) {
      std::memcpy(q, pixels, count);
    } else {
      std::transform(pixels, pixels + count, q, [this](std::uint8_t p) { return table_[p]; });
    }
  }

 private:
  std::array<std::uint8_t, 256> table_{};
  bool is_identity_ = true;
};

class DequantizeStep : public Step {
 public:
  using Step::Step;
  void run(Range images, std::int64_t task, Range) const override {
    kernels::dequantize(Bytes(in<std::uint8_t>(images, task), out_elements(images)), map(input()),
                        out<float>(images, task));
  }
};

class CodeReluStep : public Step {
 public:
  using Step::Step;
  void run(Range images, std::int64_t task, Range) const override {
    const auto* const x = in<std::uint8_t>(images, task);
    const auto zero = static_cast<std::uint8_t>(map(input()).zero_point);
    std::transform(x, x + out_elements(images), out<std::uint8_t>(images, task),
                   [zero](std::uint8_t q) { return std::max(q, zero); });
  }
};

class AddStep : public Step {
 public:
  AddStep(const Int8Add& add, Inputs inputs, const PlanValue& value)
      : Step(std::move(inputs), value), relu_(add.relu()) {}
  void run(Range images, std::int64_t task, Range) const override {
    const std::size_t count = out_elements(images);
    kernels::requantize_add(Bytes(in<std::uint8_t>(images, task, 0), count), map(input(0)),
                            Bytes(in<std::uint8_t>(images, task, 1), count), map(input(1)), map(output()),
                            output().qparams->codes, relu_, out<std::uint8_t>(images, task));
  }

 private:
  bool relu_;
};

class AverageStep : public Step {
 public:
  AverageStep(const Int8AvgPool2d& pool, Inputs inputs, const PlanValue& value)
      : Step(std::move(inputs), value),
        shape_(pool.geometry().pool_shape(input().shape, 1)),
        requantization_(kernels::make_average_requantization(map(input()), shape_.window(), shape_.c, map(output()),
                                                             output().qparams->codes)) {}
  Grain grain() const override { return Grain::Image; }
  void run(Range images, std::int64_t task, Range) const override {
    kernels::PoolShape shape = shape_;
    shape.n = images.size();
    kernels::avg_pool_codes(shape, in<std::uint8_t>(images, task), map(input()).zero_point, requantization_,
                            out<std::uint8_t>(images, task));
  }

 private:
  kernels::PoolShape shape_;
  kernels::Requantization requantization_;
};

template <typename T>
class MaxPoolStep : public Step {
 public:
  MaxPoolStep(const nn::MaxPool2d& pool, Inputs inputs, const PlanValue& value)
      : Step(std::move(inputs), value), shape_(pool.pool_shape(input().shape, 1)) {}
  Grain grain() const override { return Grain::Image; }
  void run(Range images, std::int64_t task, Range) const override {
    kernels::PoolShape shape = shape_;
    shape.n = images.size();
    kernels::max_pool_forward(shape, in<T>(images, task), out<T>(images, task), nullptr);
  }

 private:
  kernels::PoolShape shape_;
};

/// What integer and float products share.
class ProductStep : public Step {
 public:
  ProductStep(const kernels::ConvShape& shape, Inputs inputs, const PlanValue& value)
      : Step(std::move(inputs), value), shape_(shape) {}
  Grain grain() const override {
    return shape_.h * shape_.w * shape_.kh * shape_.kw == 1 ? Grain::Batch : Grain::Image;
  }
  std::int64_t work() const override { return shape_.output_row() * shape_.depth(); }

 protected:
  kernels::ConvShape of(Range images) const {
    kernels::ConvShape shape = shape_;
    shape.n = images.size();
    return shape;
  }

 private:
  kernels::ConvShape shape_;
};

/// Sums, codes and pool in one kernel.
class Int8Step : public ProductStep {
 public:
  Int8Step(kernels::Int8Conv layer, const kernels::ConvShape& shape, Inputs inputs, const PlanValue& value)
      : ProductStep(shape, std::move(inputs), value), layer_(std::move(layer)) {}
  std::int64_t parts() const override { return layer_.parts(); }
  void run(Range images, std::int64_t task, Range parts) const override {
    layer_.run(in<std::uint8_t>(images, task), images.size(), parts, out<std::uint8_t>(images, task));
  }
  std::size_t bytes() const override { return layer_.bytes(); }

 private:
  kernels::Int8Conv layer_;
};

/// What Int8Conv does not serve: the functions that the module runs.
class GeneralInt8Step : public ProductStep {
 public:
  GeneralInt8Step(const Int8Product& product, const kernels::ConvShape& shape, Inputs inputs, const PlanValue& value)
      : ProductStep(shape, std::move(inputs), value),
        packed_(kernels::pack_integer(shape, product.weight().data<std::int8_t>().data(), nullptr,
                                      {.x = input().qparams->codes.qmax, .weight = product.weight_codes().qmax})),
        requantization_(product.requantization()),
        bytes_(product.weight().bytes()) {}
  void run(Range images, std::int64_t task, Range) const override {
    const kernels::ConvShape shape = of(images);
    auto* const y = out<std::uint8_t>(images, task);
    kernels::conv2d_integer(shape, in<std::uint8_t>(images, task), map(input()).zero_point, packed_,
                            [&](std::int64_t, Range slice, const std::int32_t* acc) {
                              kernels::requantize(acc, slice.size() * shape.out_h() * shape.out_w(), requantization_,
                                                  y + slice.begin * shape.output_row());
                            });
  }
  std::size_t bytes() const override { return bytes_; }

 private:
  kernels::PackedWeight packed_;
  kernels::Requantization requantization_;
  std::size_t bytes_;
};

class FloatStep : public ProductStep {
 public:
  FloatStep(const kernels::ConvShape& shape, const Tensor& weight, const Tensor& bias, bool relu, Inputs inputs,
            const PlanValue& value)
      : ProductStep(shape, std::move(inputs), value),
        packed_(kernels::pack_forward(shape, DType::F32, weight.raw())),
        bias_(bias.defined() ? bias.clone() : Tensor()),
        relu_(relu),
        bytes_(weight.bytes()) {}
  void run(Range images, std::int64_t task, Range) const override {
    const float* const bias = bias_.defined() ? bias_.data<float>().data() : nullptr;
    kernels::conv2d_forward(of(images), DType::F32, in<std::byte>(images, task), packed_, bias, relu_, DType::F32,
                            out<std::byte>(images, task));
  }
  std::size_t bytes() const override { return bytes_; }

 private:
  kernels::PackedWeight packed_;
  Tensor bias_;
  bool relu_;
  std::size_t bytes_;
};

using Made = std::unique_ptr<PlanStep>;

template <typename S>
Made make_plain(const Node&, const Inputs& inputs, const PlanValue& output, bool) {
  return std::make_unique<S>(inputs, output);
}

// Rows go by the class of the module, so that the casts hold.

template <typename S, typename Module>
Made make_of(const Node& node, const Inputs& inputs, const PlanValue& output, bool) {
  return std::make_unique<S>(static_cast<const Module&>(*node.module), inputs, output);
}

Made make_max_pool(const Node& node, const Inputs& inputs, const PlanValue& output, bool) {
  const auto& pool = static_cast<const nn::MaxPool2d&>(*node.module);
  if (inputs[0]->dtype == DType::U8) {
    return std::make_unique<MaxPoolStep<std::uint8_t>>(pool, inputs, output);
  }
  return std::make_unique<MaxPoolStep<float>>(pool, inputs, output);
}

Made make_int8(const Node& node, const Inputs& inputs, const PlanValue& output, bool pool) {
  const auto& product = static_cast<const Int8Product&>(*node.module);
  const kernels::ConvShape shape = product.conv_shape(inputs[0]->shape, 1);
  kernels::Int8Conv layer = kernels::Int8Conv::make(shape, product.weight().data<std::int8_t>().data(),
                                                    product.input_map().zero_point, product.requantization(), pool);
  if (layer.defined()) {
    return std::make_unique<Int8Step>(std::move(layer), shape, inputs, output);
  }
  return pool ? nullptr : std::make_unique<GeneralInt8Step>(product, shape, inputs, output);
}

template <typename Layer>
Made make_float(const Node& node, const Inputs& inputs, const PlanValue& output, bool) {
  auto& layer = static_cast<Layer&>(*node.module);
  return std::make_unique<FloatStep>(layer.conv_shape(inputs[0]->shape, 1), layer.weight().value, layer.bias().value,
                                     layer.settings().relu, inputs, output);
}

using Maker = Made (*)(const Node&, const Inputs&, const PlanValue&, bool);

const std::map<std::type_index, Maker>& makers() {
  static const std::map<std::type_index, Maker> rows{
      {typeid(Quantize), &make_plain<QuantizeStep>},
      {typeid(Dequantize), &make_plain<DequantizeStep>},
      {typeid(CodeRelu), &make_plain<CodeReluStep>},
      {typeid(Int8Add), &make_of<AddStep, Int8Add>},
      {typeid(Int8AvgPool2d), &make_of<AverageStep, Int8AvgPool2d>},
      {typeid(nn::MaxPool2d), &make_max_pool},
      {typeid(Int8Conv2d), &make_int8},
      {typeid(Int8Linear), &make_int8},
      {typeid(nn::Conv2d), &make_float<nn::Conv2d>},
      {typeid(nn::Linear), &make_float<nn::Linear>},
  };
  return rows;
}

}  // namespace

Made make_step(const Node& node, const Inputs& inputs, const PlanValue& output, bool pool) {
  const auto row = makers().find(type_of(*node.module));
  const bool can_pool = row != makers().end() && row->second == &make_int8;
  return row == makers().end() || (pool && !can_pool) ? nullptr : row->second(node, inputs, output, pool);
}

bool is_passed_on(const Node& node, const PlanValue& input) {
  const std::type_index type = type_of(*node.module);
  return type == typeid(nn::Flatten) || type == typeid(nn::Dropout) || (type == typeid(Dequantize) && !input.qparams);
}

}  // namespace detent::quant
