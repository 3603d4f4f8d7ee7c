#include "detent/runtime/model.h"

#include <array>

namespace detent::runtime {

std::string_view name_of(const Op& op) {
  constexpr std::array<std::string_view, std::variant_size_v<Op>> kNames{
      "quantize", "dequantize", "product",    "hybrid_product", "add",     "concat", "pool",
      "lookup",   "reshape",    "activation", "batch_norm",     "softmax", "custom"};
  return kNames[op.index()];
}

const kernels::ConvShape* product_shape(const Op& op) {
  const auto* const product = std::get_if<Product>(&op);
  const auto* const hybrid = std::get_if<HybridProduct>(&op);
  return product != nullptr ? &product->shape : hybrid != nullptr ? &hybrid->shape : nullptr;
}

const Tensor* product_weight(const Op& op) {
  const auto* const product = std::get_if<Product>(&op);
  const auto* const hybrid = std::get_if<HybridProduct>(&op);
  return product != nullptr ? &product->weight : hybrid != nullptr ? &hybrid->weight : nullptr;
}

const ValueType& Model::type(ValueId value) const {
  return value < inputs.size() ? inputs[value].type : nodes.at(value - inputs.size()).output;
}

const std::string& Model::name(ValueId value) const {
  return value < inputs.size() ? inputs[value].name : nodes.at(value - inputs.size()).name;
}

const Node* Model::node_of(ValueId value) const {
  return value < inputs.size() ? nullptr : &nodes.at(value - inputs.size());
}

}  // namespace detent::runtime
