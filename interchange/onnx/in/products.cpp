// Conv, Gemm, MatMul: products with constant weights.
#include "detent/interchange/onnx/in/operations.h"
#include "detent/interchange/onnx/in/windows.h"
#include "detent/nn/modules/conv2d.h"
#include "detent/nn/modules/linear.h"

namespace detent::onnx {
namespace {

/// The bias that an Add behind the node adds to each of its outputs, which is then taken in; nullopt: none does.
std::optional<std::vector<float>> bias_behind(Builder& builder, const Node& node, const Value& made) {
  const Node* const sum = builder.sole_reader(node, "Add");
  if (sum == nullptr || sum->inputs.size() != 2) {
    return std::nullopt;
  }
  const std::size_t other = sum->inputs[0] == node.outputs[0] ? 1 : 0;
  const Value* value = nullptr;
  try {
    value = &builder.in(*sum, other);
  } catch (const Error&) {
    return std::nullopt;  // it is computed later
  } catch (const Skipped&) {
    return std::nullopt;
  }
  if (!value->constant || value->constant->dims.empty()) {
    return std::nullopt;
  }
  std::optional<std::vector<float>> bias = per_channel(*value->constant, made);
  if (bias) {
    builder.take_in(*sum, node);
  }
  return bias;
}

Tensor tensor_of(const std::vector<float>& values, Shape shape) { return Tensor::from(values, std::move(shape)); }

/// y = W x + b of rows, W [O, I] in the order of the format.
void give_linear(Builder& builder, const Node& node, std::size_t weight_input, std::vector<float> weight,
                 std::int64_t outputs, std::optional<std::vector<float>> bias, Dims dims) {
  const nn::Graph::Handle x = builder.at(node, 0);
  const std::int64_t inputs = static_cast<std::int64_t>(weight.size()) / outputs;
  if (const auto order = builder.in(node, 0).order) {
    std::vector<float> ordered(weight.size());
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        const std::int64_t from = (*order)[static_cast<std::size_t>(i)];
        ordered[static_cast<std::size_t>(o * inputs + i)] = weight[static_cast<std::size_t>(o * inputs + from)];
      }
    }
    weight = std::move(ordered);
  }
  auto module = std::make_shared<nn::Linear>(
      nn::Linear::Options{.out_features = outputs, .bias = bias.has_value(), .in_features = inputs});
  module->weight().value = tensor_of(weight, {outputs, inputs});
  if (bias) {
    module->bias().value = tensor_of(*bias, {outputs});
  }
  const bool channels_first = dims.size() == 3;
  builder.give(node, builder.add(node, std::move(module), {x}, weight_input), std::move(dims), channels_first);
}

/// W [I, O], or [O, I] if it is turned already, as [O, I].
std::vector<float> outputs_first(const Array& weight, bool is_turned) {
  std::vector<float> values = finite_reals(weight, "weights");
  if (is_turned) {
    return values;
  }
  const auto inputs = static_cast<std::size_t>(weight.dims[0]), outputs = static_cast<std::size_t>(weight.dims[1]);
  std::vector<float> turned(values.size());
  for (std::size_t i = 0; i < inputs; ++i) {
    for (std::size_t o = 0; o < outputs; ++o) {
      turned[o * inputs + i] = values[i * outputs + o];
    }
  }
  return turned;
}

void check_rows(const Value& x, const Array& weight, bool is_turned) {
  check(x.dims.size() == 1, "expected rows [N, K], got examples of ", to_text(x.dims),
        "; matrix products of more axes would take a module for them");
  check(weight.dims.size() == 2 && weight.elements() > 0, "its weights '", weight.name, "' have the shape ",
        to_text(weight.dims), "; expected a matrix");
  const std::int64_t inputs = weight.dims[is_turned ? 1 : 0];
  check(inputs == x.dims[0], "its weights '", weight.name, "' are for rows of ", inputs, ", it gets rows of ",
        x.dims[0]);
}

void gemm(Builder& builder, const Node& node) {
  const Value& x = builder.computed(node, 0);
  const Array& weight = builder.constant(node, 1, "weights");
  const bool is_turned = node.integer("transB", 0) != 0;
  check(node.integer("transA", 0) == 0, "its first factor is turned (transA); expected rows as they are");
  check_rows(x, weight, is_turned);
  std::vector<float> values = outputs_first(weight, is_turned);
  for (float& value : values) {
    value *= node.real("alpha", 1.0F);
  }
  const std::int64_t outputs = weight.dims[is_turned ? 0 : 1];
  const Value made{.dims = {outputs}};
  std::optional<std::vector<float>> bias;
  if (node.has_input(2)) {
    const Array& added = builder.constant(node, 2, "bias");
    bias = per_channel(added, made);
    check(bias.has_value(), "its bias '", added.name, "' has the shape ", to_text(added.dims),
          "; expected a number for each of ", outputs, " outputs");
    for (float& value : *bias) {
      value *= node.real("beta", 1.0F);
    }
  } else {
    bias = bias_behind(builder, node, made);
  }
  give_linear(builder, node, 1, std::move(values), outputs, std::move(bias), {outputs});
}

void mat_mul(Builder& builder, const Node& node) {
  const Value& x = builder.computed(node, 0);
  const Array& weight = builder.constant(node, 1, "weights");
  check_rows(x, weight, false);
  const std::int64_t outputs = weight.dims[1];
  give_linear(builder, node, 1, outputs_first(weight, false), outputs, bias_behind(builder, node, {.dims = {outputs}}),
              {outputs});
}

/// O I/g KH KW as O KH KW I/g.
std::vector<float> channels_last(const Array& weight) {
  const std::vector<float> values = finite_reals(weight, "weights");
  const auto extent = [&](std::size_t axis) { return static_cast<std::size_t>(weight.dims[axis]); };
  const std::size_t channels = extent(1), pixels = extent(2) * extent(3);
  std::vector<float> turned(values.size());
  for (std::size_t o = 0; o < extent(0); ++o) {
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t p = 0; p < pixels; ++p) {
        turned[(o * pixels + p) * channels + c] = values[(o * channels + c) * pixels + p];
      }
    }
  }
  return turned;
}

void conv(Builder& builder, const Node& node) {
  const Array& weight = builder.constant(node, 1, "weights");
  const Value& x = builder.computed(node, 0, true);
  check(x.dims.size() == 3 && x.channels_first, "expected images [N, C, H, W], got examples of ", to_text(x.dims),
        x.dims.size() == 3 ? " with the channel last" : "");
  check(weight.dims.size() == 4 && weight.elements() > 0, "its weights '", weight.name, "' have the shape ",
        to_text(weight.dims), "; expected [O, I, KH, KW]");
  const std::int64_t groups = node.integer("group", 1);
  check(groups > 0 && weight.dims[1] * groups == x.dims[0] && weight.dims[0] % groups == 0, "its weights ",
        to_text(weight.dims), " in ", groups, " groups do not fit ", x.dims[0], " channels");
  const Extent2d kernel{weight.dims[2], weight.dims[3]};
  const Windows windows = windows_of(node, kernel, {x.dims[1], x.dims[2]}, x.padding);
  const std::int64_t outputs = weight.dims[0];
  const Value made{.dims = {outputs, windows.out.h, windows.out.w}, .channels_first = true};
  std::optional<std::vector<float>> bias;
  if (node.has_input(2)) {
    bias = finite_reals(builder.constant(node, 2, "bias"), "bias");
    check(static_cast<std::int64_t>(bias->size()) == outputs, "its bias has ", bias->size(), " numbers, expected ",
          outputs);
  } else {
    bias = bias_behind(builder, node, made);
  }
  const nn::Graph::Handle image = builder.at(node, 0);
  if (builder.graph.node(image).shape.rank() == 1) {
    const bool is_of_pixels = kernel == Extent2d(1) && groups == 1 && windows.padding == Padding2d();
    check(is_of_pixels, "it is a convolution of an image of one pixel, imported only with a window of 1 x 1");
    give_linear(builder, node, 1, channels_last(weight), outputs, std::move(bias), {outputs, 1, 1});
    return;
  }
  auto module = std::make_shared<nn::Conv2d>(nn::Conv2d::Options{.out_channels = outputs,
                                                                 .kernel = kernel,
                                                                 .stride = windows.stride,
                                                                 .padding = windows.padding,
                                                                 .dilation = windows.dilation,
                                                                 .groups = groups,
                                                                 .bias = bias.has_value(),
                                                                 .in_channels = weight.dims[1] * groups});
  module->weight().value = tensor_of(channels_last(weight), {outputs, kernel.h, kernel.w, weight.dims[1]});
  if (bias) {
    module->bias().value = tensor_of(*bias, {outputs});
  }
  builder.give(node, builder.add(node, std::move(module), {image}, 1), made.dims, true);
}

}  // namespace

void add_products(Operations& table) {
  table["Conv"] = conv;
  table["Gemm"] = gemm;
  table["MatMul"] = mat_mul;
}

}  // namespace detent::onnx
