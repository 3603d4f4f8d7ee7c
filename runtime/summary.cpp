#include "detent/runtime/summary.h"

#include "detent/io/layer_table.h"

namespace detent::runtime {
namespace {

std::int64_t elements_of(const Tensor& tensor) { return tensor.defined() ? tensor.elements() : 0; }

/// "int8 product", "dynamic hybrid_product", "bf16 product"
std::string prefix_of(const Node& node) {
  if (const Tensor* const weight = product_weight(node.op); weight != nullptr && weight->dtype() == DType::BF16) {
    return "bf16 ";
  }
  const auto* const hybrid = std::get_if<HybridProduct>(&node.op);
  return hybrid != nullptr ? (hybrid->dynamic ? "dynamic " : "weight-only ") : node.output.is_codes() ? "int8 " : "";
}

}  // namespace

std::int64_t parameter_count(const Node& node) {
  if (const auto* const product = std::get_if<Product>(&node.op)) {
    return elements_of(product->weight) + elements_of(product->bias);
  }
  if (const auto* const product = std::get_if<HybridProduct>(&node.op)) {
    return elements_of(product->weight) + elements_of(product->bias);
  }
  if (const auto* const norm = std::get_if<BatchNorm>(&node.op)) {
    return elements_of(norm->weight) + elements_of(norm->bias);
  }
  std::int64_t count = 0;
  if (const auto* const custom = std::get_if<Custom>(&node.op)) {
    for (const auto& [name, tensor] : custom->op->tensors()) {
      count += elements_of(tensor);
    }
  }
  return count;
}

std::int64_t parameter_count(const Model& model) {
  std::int64_t count = 0;
  for (const Node& node : model.nodes) {
    count += parameter_count(node);
  }
  return count;
}

std::size_t parameter_bytes(Plan& plan) {
  std::size_t bytes = 0;
  const std::vector<Node>& nodes = plan.model().nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const std::span<std::byte> memory : plan.packed_memory_of(i)) {
      bytes += memory.size();
    }
    if (const auto* const norm = std::get_if<BatchNorm>(&nodes[i].op)) {
      for (const Tensor* const tensor : {&norm->mean, &norm->variance, &norm->weight, &norm->bias}) {
        bytes += tensor->bytes();
      }
    } else if (const auto* const custom = std::get_if<Custom>(&nodes[i].op)) {
      for (const auto& [name, tensor] : custom->op->tensors()) {
        bytes += tensor.bytes();
      }
    }
  }
  return bytes;
}

std::string summary(const Model& model) {
  std::vector<LayerRow> rows;
  for (const Input& input : model.inputs) {
    rows.push_back({input.name, "", with_crosses(input.type.shape), "", ""});
  }
  std::int64_t all_multiply_adds = 0;
  for (const Node& node : model.nodes) {
    const kernels::ConvShape* const product = product_shape(node.op);
    const std::int64_t multiply_adds = product != nullptr ? product->output_row() * product->depth() : 0;
    all_multiply_adds += multiply_adds;
    rows.push_back({node.name, prefix_of(node) + std::string(name_of(node.op)), with_crosses(node.output.shape),
                    grouped_digits(parameter_count(node)), grouped_digits(multiply_adds)});
  }
  rows.push_back({"total", "", "", grouped_digits(parameter_count(model)), grouped_digits(all_multiply_adds)});
  return layer_table(std::move(rows));
}

}  // namespace detent::runtime
