#include "detent/runtime/model.h"

#include <array>

namespace detent::runtime {

std::string_view name_of(const Op& op) {
  constexpr std::array<std::string_view, std::variant_size_v<Op>> kNames{
      "quantize", "dequantize", "product",    "add",        "concat",  "pool",
      "lookup",   "reshape",    "activation", "batch_norm", "softmax", "custom"};
  return kNames[op.index()];
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
