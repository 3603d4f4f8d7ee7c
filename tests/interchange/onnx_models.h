#pragma once

#include <random>
#include <string>
#include <vector>

#include "detent/interchange/onnx/in/import.h"
#include "detent/quant/passes/lower.h"
#include "detent/runtime/reference.h"

namespace detent::onnx {

using Numbers = std::vector<std::int64_t>;

/// A model of the format in the making: of one input "x" and one output "y", opset 13.
struct Making {
  Model model{.ir_version = 7, .opsets = {{"", 13}}};

  explicit Making(Numbers input, std::int64_t opset = 13) {
    model.opsets[""] = opset;
    input.insert(input.begin(), -1);
    model.inputs.push_back({.name = "x", .dims = input, .batch = "N"});
    model.outputs.push_back({.name = "y"});
  }
  Making& node(const std::string& op, std::vector<std::string> inputs, const std::string& output,
               std::vector<Attribute> attributes = {}) {
    model.nodes.push_back({.name = "/" + output + "/" + op,
                           .op = op,
                           .inputs = std::move(inputs),
                           .outputs = {output},
                           .attributes = std::move(attributes)});
    return *this;
  }
  Making& reals(const std::string& name, Numbers dims, const std::vector<float>& values) {
    model.initializers.push_back(Array::of(name, std::move(dims), values));
    return *this;
  }
  /// Numbers in [-1, 1], others for each name.
  Making& random(const std::string& name, const Numbers& dims) {
    std::mt19937 random(static_cast<std::uint32_t>(std::hash<std::string>()(name)));
    std::vector<float> values(static_cast<std::size_t>(Shape(dims).elements()));
    for (float& value : values) {
      value = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
    }
    return reals(name, dims, values);
  }
  Making& wholes(const std::string& name, const Numbers& values) {
    model.initializers.push_back(Array::of(name, {static_cast<std::int64_t>(values.size())}, values));
    return *this;
  }
};

/// What a model or graph gives for one example.
inline std::vector<float> outputs_of(const runtime::Model& model, const std::vector<float>& example) {
  const Tensor x = Tensor::from(example, model.inputs[0].type.shape.batched(1));
  const std::vector<Tensor> values = runtime::run_reference(model, std::span(&x, 1));
  const auto y = values[model.output].data<float>();
  return {y.begin(), y.end()};
}
inline std::vector<float> outputs_of(const nn::Graph& graph, const std::vector<float>& example) {
  return outputs_of(quant::lower(graph), example);
}

inline std::vector<float> imported_outputs(const Making& making, const std::vector<float>& example) {
  return outputs_of(import_graph(making.model).graph, example);
}

}  // namespace detent::onnx
