// Operations that move and rename values: Flatten, Reshape, Squeeze, Transpose, Identity, Pad and the like.
#include <algorithm>
#include <numeric>

#include "detent/interchange/onnx/in/operations.h"
#include "detent/nn/modules/dropout.h"
#include "detent/nn/modules/flatten.h"

namespace detent::onnx {
namespace {

constexpr std::int64_t kMostPadding = std::int64_t{1} << 31;

/// Where the elements of an image [C, H, W], flattened, lie once it is [H, W, C]; null: at the same places.
std::shared_ptr<const std::vector<std::int64_t>> order_of(const Dims& dims) {
  const std::int64_t channels = dims[0], pixels = elements_of(dims) / channels;
  if (channels == 1 || pixels == 1) {
    return nullptr;
  }
  check(elements_of(dims) <= kLargestRow, "it makes a row of ", elements_of(dims),
        " elements of an image; expected at most ", kLargestRow);
  auto order = std::make_shared<std::vector<std::int64_t>>();
  order->reserve(static_cast<std::size_t>(channels * pixels));
  for (std::int64_t p = 0; p < pixels; ++p) {
    for (std::int64_t c = 0; c < channels; ++c) {
      order->push_back(c * pixels + p);
    }
  }
  return order;
}

bool is_one_pixel(const Dims& dims) {
  return std::ranges::count_if(dims, [](std::int64_t extent) { return extent != 1; }) <= 1;
}

void flatten(Builder& builder, const Node& node) {
  const Value& x = builder.computed(node, 0);
  const std::int64_t axis = node.integer("axis", 1);
  check(axis == 1 || axis == -static_cast<std::int64_t>(x.dims.size()), "it flattens from axis ", axis,
        "; expected axis 1, so that examples stay apart");
  give_reshaped(builder, node, {elements_of(x.dims)});
}

/// The extents that a Reshape asks for, of one example.
Dims wanted_dims(Builder& builder, const Node& node, const Value& x) {
  Dims wanted = builder.constant(node, 1, "new shape").integers();
  check(wanted.size() >= 2, "its new shape ", to_text(wanted), " has no axis of examples in front");
  const bool zero_is_zero = node.integer("allowzero", 0) != 0;
  for (std::size_t i = 1; i < wanted.size(); ++i) {
    if (wanted[i] == 0 && !zero_is_zero && i <= x.dims.size()) {
      wanted[i] = x.dims[i - 1];
    }
  }
  const std::int64_t elements = elements_of(x.dims);
  const auto open = std::ranges::find(wanted.begin() + 1, wanted.end(), -1);
  std::int64_t rest = 1;
  for (auto extent = wanted.begin() + 1; extent != wanted.end(); ++extent) {
    const bool is_fit = extent == open || (*extent > 0 && *extent <= elements && rest <= elements / *extent);
    check(is_fit, "its new shape does not keep the ", elements, " elements of an example");
    rest *= extent == open ? 1 : *extent;
  }
  const bool keeps_examples = wanted[0] == kBatch || wanted[0] == -1 || (wanted[0] == 0 && !zero_is_zero) ||
                              (builder.batch() > 0 && wanted[0] == builder.batch()) ||
                              (wanted[0] == 1 && builder.batch() == 1);
  if (open != wanted.end()) {
    check(wanted[0] != -1 && elements % rest == 0, "its new shape does not keep the ", elements,
          " elements of an example");
    *open = elements / rest;
    rest = elements;
  }
  check(keeps_examples && rest == elements, "its new shape mixes examples: each has ", elements,
        " elements; export the model with an open batch");
  return {wanted.begin() + 1, wanted.end()};
}

void reshape(Builder& builder, const Node& node) {
  if (!give_folded(builder, node)) {
    const Value& x = builder.computed(node, 0);
    give_reshaped(builder, node, wanted_dims(builder, node, x));
  }
}

void squeeze(Builder& builder, const Node& node) {
  if (give_folded(builder, node)) {
    return;
  }
  const auto axes = builder.integers(node, 1, "axes");
  const Value& x = builder.computed(node, 0);
  Dims dims;
  std::vector<bool> is_dropped(x.dims.size() + 1, false);
  for (const std::int64_t axis : axes.value_or(std::vector<std::int64_t>())) {
    is_dropped[axis_of(axis, is_dropped.size())] = true;
  }
  check(axes.has_value() && !is_dropped[0], "it drops the axis of examples, or does not say which axes");
  for (std::size_t i = 0; i < x.dims.size(); ++i) {
    check(!is_dropped[i + 1] || x.dims[i] == 1, "it drops axis ", i + 1, ", whose extent is ", x.dims[i]);
    if (!is_dropped[i + 1]) {
      dims.push_back(x.dims[i]);
    }
  }
  give_reshaped(builder, node, dims);
}

void unsqueeze(Builder& builder, const Node& node) {
  if (give_folded(builder, node)) {
    return;
  }
  const auto axes = builder.integers(node, 1, "axes");
  const Value& x = builder.computed(node, 0);
  check(axes.has_value(), "it does not say which axes");
  std::vector<bool> is_new(x.dims.size() + 1 + axes->size(), false);
  for (const std::int64_t axis : *axes) {
    is_new[axis_of(axis, is_new.size())] = true;
  }
  check(!is_new[0], "it puts an axis in front of the examples");
  Dims dims;
  std::size_t next = 0;
  for (std::size_t i = 1; i < is_new.size(); ++i) {
    check(is_new[i] || next < x.dims.size(), "it names an axis twice");
    dims.push_back(is_new[i] ? 1 : x.dims[next++]);
  }
  give_reshaped(builder, node, dims);
}

void transpose(Builder& builder, const Node& node) {
  if (give_folded(builder, node)) {
    return;
  }
  const Value x = builder.computed(node, 0);
  Dims same(x.dims.size() + 1);
  std::iota(same.begin(), same.end(), 0);
  const Dims order = node.integers("perm", {});
  if (order == same) {
    builder.give_same(node);
    return;
  }
  const bool to_last = x.dims.size() == 3 && x.channels_first && order == Dims{0, 2, 3, 1};
  const bool to_first = x.dims.size() == 3 && !x.channels_first && order == Dims{0, 3, 1, 2};
  check(to_last || to_first, "it turns ", to_text(order),
        "; expected one that turns images [N, C, H, W] to [N, H, W, "
        "C] or back");
  const Dims dims = to_last ? Dims{x.dims[1], x.dims[2], x.dims[0]} : Dims{x.dims[2], x.dims[0], x.dims[1]};
  builder.give(node, builder.at(node, 0), dims, to_first);
}

void same(Builder& builder, const Node& node) { builder.give_same(node); }

void dropout(Builder& builder, const Node& node) {
  const Value& x = builder.computed(node, 0);
  check(!node.has_input(2) || builder.constant(node, 2, "training_mode").integers() == std::vector<std::int64_t>{0},
        "it drops values in inference, too (training_mode)");
  double p = static_cast<double>(node.real("ratio", 0.5F));
  if (node.has_input(1)) {
    const std::vector<float> ratio = builder.constant(node, 1, "ratio").reals();
    p = ratio.size() == 1 ? static_cast<double>(ratio[0]) : 0.5;
  }
  check(p >= 0.0 && p < 1.0, "its ratio is ", p);
  const nn::Graph::Handle handle = builder.at(node, 0);
  builder.give_like(node, builder.add(node, std::make_shared<nn::Dropout>(nn::Dropout::Options{.p = p}), {handle}), x);
}

void pad(Builder& builder, const Node& node) {
  const Value x = builder.computed(node, 0, true);
  const auto pads = builder.integers(node, 1, "pads");
  check(node.text("mode", "constant") == "constant", "it pads by mode '", node.text("mode", ""),
        "'; expected zeros (constant)");
  const bool is_zero = !node.has_input(2) || builder.constant(node, 2, "value").reals() == std::vector<float>{0.0F};
  check(is_zero, "it pads with another value than 0");
  const bool is_of_images = x.dims.size() == 3 && x.channels_first && pads && pads->size() == 8 && !node.has_input(3);
  check(is_of_images, "expected a padding of images [N, C, H, W] with 8 numbers, got examples of ", to_text(x.dims));
  const Dims& p = *pads;
  for (const std::size_t i : {0, 1, 4, 5}) {
    check(p[i] == 0, "it pads examples or channels");
  }
  for (const std::size_t i : {2, 3, 6, 7}) {
    check(0 <= p[i] && p[i] < kMostPadding, "it pads by ", p[i], "; expected numbers of at least 0");
  }
  Value made{.dims = {x.dims[0], x.dims[1] + p[2] + p[6], x.dims[2] + p[3] + p[7]}, .channels_first = true};
  made.padding = {x.padding.top + p[2], x.padding.left + p[3], x.padding.bottom + p[6], x.padding.right + p[7]};
  made.handle = builder.at(node, 0);
  builder.give(node, std::move(made));
}

/// Between real numbers and codes: the importer makes a float graph.
void pass_quantization(Builder& builder, const Node& node) {
  if (give_folded(builder, node)) {
    return;
  }
  const bool makes_codes = node.op == "QuantizeLinear";
  (void)builder.computed(node, 0, true);
  check(makes_codes || builder.are_codes(node.inputs[0]), "it dequantizes what is no value of QuantizeLinear");
  builder.pass_over_quantization(node, makes_codes);
}

void cast(Builder& builder, const Node& node) {
  if (give_folded(builder, node)) {
    return;
  }
  const auto to = static_cast<ElementType>(node.integer("to", 0));
  check(is_real(to), "it makes computed values ", name_of(to), "; expected real numbers");
  builder.give_same(node);
}

}  // namespace

void give_reshaped(Builder& builder, const Node& node, const Dims& dims) {
  const Value x = builder.computed(node, 0);
  if (dims == x.dims) {
    builder.give_same(node);
    return;
  }
  nn::Graph::Handle handle = builder.at(node, 0);
  const bool is_image = x.dims.size() == 3 && dims.size() == 3;
  const bool to_first = is_image && !x.channels_first && dims == Dims{1, x.dims[0], x.dims[1]} && x.dims[2] == 1;
  const bool to_last = is_image && x.channels_first && dims == Dims{x.dims[1], x.dims[2], 1} && x.dims[0] == 1;
  if (to_first || to_last) {  // a transpose of images of one channel
    builder.give(node, handle, dims, to_first);
    return;
  }
  const std::int64_t elements = elements_of(x.dims);
  const bool is_row = dims.size() == 1;
  const bool is_pixel = is_one_pixel(dims) && is_one_pixel(x.dims) && elements == elements_of(dims);
  check(is_row || is_pixel, "it makes examples of ", to_text(dims), " of ", to_text(x.dims),
        "; expected rows: a reshape to anything else would take a module for it");
  if (builder.graph.node(handle).shape.rank() > 1) {
    handle = builder.add(node, std::make_shared<nn::Flatten>(), {handle});
  }
  Value made{.dims = dims, .order = x.order, .handle = handle};
  made.channels_first = dims.size() == 3 && dims[0] == elements;
  if (x.channels_first && x.dims.size() == 3 && !x.order) {
    made.order = order_of(x.dims);
  }
  builder.give(node, std::move(made));
}

void add_shapes(Operations& table) {
  table["Flatten"] = flatten;
  table["Reshape"] = reshape;
  table["Squeeze"] = squeeze;
  table["Unsqueeze"] = unsqueeze;
  table["Transpose"] = transpose;
  table["Identity"] = same;
  table["ai.onnx.ml.ZipMap"] = same;  // the same numbers, each called by its class
  table["Dropout"] = dropout;
  table["Pad"] = pad;
  table["Cast"] = cast;
  table["QuantizeLinear"] = pass_quantization;
  table["DequantizeLinear"] = pass_quantization;
}

}  // namespace detent::onnx
