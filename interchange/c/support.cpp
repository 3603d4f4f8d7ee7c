#include "detent/interchange/c/support.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "detent/core/error.h"
#include "detent/core/text/list_text.h"

namespace detent::interchange::c {
namespace {

using runtime::Model;
using runtime::Node;
using runtime::ValueId;

/// Why a node has no C form, or nothing.
struct WhyNot {
  const Model& model;
  const Node& node;
  Requantize requantize;

  using Reason = std::optional<std::string>;

  bool is_fixed() const { return requantize == Requantize::Fixed; }
  /// Of what fixed point has for codes alone.
  Reason of_numbers(const std::string& what) const {
    return is_fixed() && !node.output.is_codes()
               ? Reason(what + " of f32: quantize it, or export with f32 requantization")
               : Reason();
  }

  Reason operator()(const runtime::Quantize&) const {
    return is_fixed() && !is_entry(model, node)
               ? Reason("codes of numbers that are computed: export with f32 requantization")
               : Reason();
  }
  Reason operator()(const runtime::Dequantize&) const {
    const bool is_last =
        root_of(model, model.output) == model.value_of(static_cast<std::size_t>(&node - model.nodes.data()));
    return !is_fixed() || is_last ? Reason() : Reason("numbers in between: export with f32 requantization");
  }
  Reason operator()(const runtime::Reshape&) const { return {}; }
  Reason operator()(const runtime::Product& product) const {
    if (!node.output.is_codes()) {
      return of_numbers("a product");
    }
    return is_fixed() && product.weight.qparams()->is_per_group()
               ? Reason("a scale a group of weights has no fixed-point form: export with f32 requantization")
               : Reason();
  }
  Reason operator()(const runtime::HybridProduct& product) const {
    return of_numbers(product.dynamic ? "a dynamic product" : "a product of weight codes and numbers");
  }
  Reason operator()(const runtime::Add&) const { return of_numbers("an addition"); }
  Reason operator()(const runtime::Concat&) const { return of_numbers("a concatenation"); }
  Reason operator()(const runtime::Pool&) const { return of_numbers("a pool"); }
  Reason operator()(const runtime::Lookup&) const { return {}; }
  Reason operator()(const runtime::Softmax&) const {
    if (!node.output.is_codes()) {
      return "a softmax of f32 needs exponentials: quantize it, or end the model before it";
    }
    const ScaleZero map = node.output.qparams->tensor();
    int exponent = 0;
    const bool is_power = std::frexp(map.scale, &exponent) == 0.5F && -7 <= exponent && exponent <= 0;
    return !is_fixed() || (is_power && map.zero_point == 0 && node.output.qparams->codes.qmin == 0)
               ? Reason()
               : Reason("a softmax on a map that is not 2^-b: export with f32 requantization");
  }
  Reason operator()(const runtime::Activation& activation) const {
    switch (activation.function) {
      case kernels::Activation::Sigmoid:
      case kernels::Activation::Tanh:
      case kernels::Activation::Gelu:
      case kernels::Activation::Silu:
        return std::string(kernels::name_of(activation.function)) +
               " of f32 needs exponentials: quantize it, which makes it a table";
      default:
        return of_numbers("an activation");
    }
  }
  Reason operator()(const runtime::BatchNorm&) const { return of_numbers("a batch norm"); }
  Reason operator()(const runtime::Custom& custom) const {
    return "the custom operation '" + std::string(custom.op->kind()) + "': C has no form of it";
  }
};

/// Whether the order of its sums is C's own.
bool sums_numbers(const Node& node) {
  const auto* const hybrid = std::get_if<runtime::HybridProduct>(&node.op);
  return hybrid != nullptr ? !hybrid->dynamic
                           : std::holds_alternative<runtime::Product>(node.op) && !node.output.is_codes();
}

/// Whether it makes codes, or numbers of bf16, of numbers.
bool rounds_numbers(const Node& node) {
  const auto* const hybrid = std::get_if<runtime::HybridProduct>(&node.op);
  return takes_bf16(node.op) || (hybrid != nullptr && hybrid->dynamic) ||
         std::holds_alternative<runtime::Quantize>(node.op);
}

}  // namespace

void check_supported(const Model& model, Requantize requantize) {
  std::vector<std::string> refused;
  for (const Node& node : model.nodes) {
    std::optional<std::string> reason = std::visit(WhyNot{model, node, requantize}, node.op);
    const Tensor* const weight = runtime::product_weight(node.op);
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    if (!reason && (node.output.shape.elements() > kMost || (weight != nullptr && weight->elements() > kMost))) {
      reason = "more than 2^31 elements";
    }
    if (reason) {
      refused.push_back("'" + node.name + "' (" + *reason + ")");
    }
  }
  check(refused.empty(), "export: c: ", refused.size(), refused.size() == 1 ? " layer has" : " layers have",
        " no C form: ", comma_separated(refused));
}

bool is_entry(const Model& model, const Node& node) {
  return std::holds_alternative<runtime::Quantize>(node.op) && model.node_of(root_of(model, node.inputs[0])) == nullptr;
}

bool is_depthwise(const runtime::Product& product) {
  return product.shape.groups == product.shape.c && product.shape.c > 1 && !product.weight.qparams()->is_per_group();
}

bool takes_bf16(const runtime::Op& op) {
  if (const auto* const hybrid = std::get_if<runtime::HybridProduct>(&op)) {
    return hybrid->input == DType::BF16;
  }
  const auto* const product = std::get_if<runtime::Product>(&op);
  return product != nullptr && product->weight.dtype() == DType::BF16;
}

bool is_by_pixel(const kernels::ConvShape& shape) { return shape.groups == 1 && shape.is_matmul(); }

std::int64_t scratch_bytes(const Model& model, const Node& node) {
  const kernels::ConvShape* const shape = runtime::product_shape(node.op);
  if (shape == nullptr) {
    return 0;
  }
  const std::int64_t window = is_by_pixel(*shape) ? 0 : shape->depth();
  if (const auto* const hybrid = std::get_if<runtime::HybridProduct>(&node.op); hybrid != nullptr && hybrid->dynamic) {
    return model.type(node.inputs[0]).shape.elements() + window;
  }
  if (!node.output.is_codes()) {
    const std::int64_t rounded = takes_bf16(node.op) ? model.type(node.inputs[0]).shape.elements() : 0;
    return (rounded + window) * static_cast<std::int64_t>(sizeof(float));
  }
  return is_depthwise(std::get<runtime::Product>(node.op)) ? 0 : window;
}

Agreement agreement_of(const Model& model) {
  std::vector<bool> is_of_sums(model.values(), false);
  Agreement agreement = Agreement::Exact;
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const Node& node = model.nodes[i];
    const bool takes_sums = std::ranges::any_of(node.inputs, [&](ValueId input) { return is_of_sums[input]; });
    is_of_sums[model.value_of(i)] = takes_sums || sums_numbers(node);
    if (sums_numbers(node)) {
      agreement = std::max(agreement, Agreement::Sums);
    }
    if (takes_sums && rounds_numbers(node)) {
      agreement = Agreement::Rounded;
    }
  }
  return agreement;
}

}  // namespace detent::interchange::c
