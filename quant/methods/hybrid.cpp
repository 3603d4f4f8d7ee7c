#include "detent/quant/methods/hybrid.h"

#include <algorithm>

#include "detent/nn/finite.h"
#include "detent/quant/kinds/product/integer_product.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {
namespace {

std::string with_spaces(std::string text) {
  std::ranges::replace(text, '-', ' ');
  return text;
}

/// The quantizers of a layer, if they are such as the method computes.
QConfig checked(const QConfig& config, Method method) {
  QConfig validated = config;
  if (method == Method::Dynamic) {
    check(!config.activation.range.is_said() && config.activation.map.empty(),
          "activations: dynamic quantization takes the range of each example as it is; write activations = \"",
          to_text(QuantizerSpec{.grid = config.activation.grid, .granularity = PerToken{}}), "\"");
    validated.activation.granularity = PerToken{};
  } else {
    validated.activation = uint8_activations();
  }
  QConfig of_tensor = validated;
  of_tensor.activation.granularity = PerTensor{};
  of_tensor.validate();
  return validated;
}

/// Outputs of a group of a convolution from which on rounding its input pays off; of fewer, such as depthwise ones, the
/// float kernels are many times faster.
constexpr std::int64_t kOutputsOfBf16 = 16;

DType numbers_of(const kernels::ConvShape& shape, const QConfig& config) {
  return shape.groups == 1 || shape.o / shape.groups >= kOutputsOfBf16 ? config.numbers : DType::F32;
}

runtime::HybridProduct hybrid_of(const runtime::Product& product, const QConfig& config, Method method) {
  runtime::HybridProduct hybrid{.shape = product.shape, .bias = product.bias, .relu = product.relu};
  const QuantizedWeight weight = quantize_weight(product.weight, {}, 1.0F, config.weight);
  hybrid.weight = weight.codes.with_qparams(std::make_shared<const QParams>(weight.qparams));
  if (method == Method::Dynamic) {
    hybrid.dynamic = config.activation.codes();
    kernels::ProductCodes{.x = hybrid.dynamic->qmax, .weight = weight.qparams.codes.qmax}.check_depth(
        product.shape.depth());
  } else {
    hybrid.input = numbers_of(product.shape, config);
  }
  return hybrid;
}

LedgerRow row_of(const runtime::HybridProduct& product, const QConfig& config, std::string_view kind) {
  const std::string bits = std::to_string(config.weight.grid.bits);
  const std::string weights = "s8" + (bits == "8" ? "" : " of " + bits + " bits") + " " +
                              with_spaces(to_text(config.weight.granularity)) + (product.relu ? ", relu fused" : "");
  return product.dynamic ? LedgerRow{.kind = "dynamic_" + std::string(kind),
                                     .precision = "int8",
                                     .reason = "u8 of each example's range x " + weights}
                         : LedgerRow{.kind = "weight_only_" + std::string(kind),
                                     .precision = "weights",
                                     .reason = std::string(detent::name_of(product.input)) + " x " + weights};
}

/// A layer as the method has it, and what is said of it.
runtime::Op op_of(const runtime::Product& product, const QConfig& config, Method method, LedgerRow& row) {
  nn::check_finite(product.weight.data<float>(), "with the batch norm folded, weight");
  if (method == Method::Bf16) {
    runtime::Product rounded = product;
    rounded.weight = product.weight.to(DType::BF16);
    row = {.kind = "bf16_" + row.kind,
           .precision = "bf16",
           .reason = std::string("bf16 x bf16, sums of f32") + (product.relu ? ", relu fused" : "")};
    return rounded;
  }
  const QConfig validated = checked(config, method);
  runtime::HybridProduct hybrid = hybrid_of(product, validated, method);
  row = row_of(hybrid, validated, row.kind);
  return hybrid;
}

}  // namespace

Converted quantize_hybrid(const nn::Graph& graph, const QConfigMapping& mapping, Method method, const Kinds& kinds) {
  const std::string what = std::string(name_of(method)) + " quantization";
  nn::check_finite(graph, what);
  check_names(what, graph, mapping);
  Converted result{.model = lower(graph, kinds, Sums::Apart), .ledger = {}};
  for (runtime::Node& node : result.model.nodes) {
    const std::optional<nn::Graph::Handle> source = graph.find(node.name);
    LedgerRow row{.kind = std::string(runtime::name_of(node.op)), .precision = "float", .reason = "on real numbers"};
    const auto* const product = std::get_if<runtime::Product>(&node.op);
    if (source) {
      row.kind = graph.node(*source).module->kind();
    }
    if (source && product != nullptr) {
      const QConfigMapping::Choice choice = mapping.choose(node.name, row.kind);
      if (choice.config) {
        try {
          node.op = op_of(*product, *choice.config, method, row);
        } catch (const Error& error) {
          fail(what, ": ", node.name, ": ", error.what());
        }
      } else {
        row.reason = "kept in float as asked" + (choice.rule.empty() ? " of all without a rule" : " by " + choice.rule);
        node.note = row.reason;
      }
    }
    row.name = node.name;
    result.ledger.push_back(std::move(row));
  }
  result.model.validate();
  return result;
}

}  // namespace detent::quant
