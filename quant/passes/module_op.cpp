#include "detent/quant/passes/module_op.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/nn/finite.h"
#include "detent/quant/passes/copy_module.h"

namespace detent::quant {
namespace {

std::vector<Shape> shapes_of(std::span<const runtime::ValueType> types) {
  std::vector<Shape> shapes;
  std::ranges::transform(types, std::back_inserter(shapes), &runtime::ValueType::shape);
  return shapes;
}

/// The forward pass of a module in inference, which only reads the module.
class ModuleOp : public runtime::CustomOp {
 public:
  /// `module` is bound and has its tensors.
  explicit ModuleOp(std::shared_ptr<nn::Module> module) : module_(std::move(module)) {}

  std::string_view kind() const override { return module_->kind(); }
  nlohmann::json options() const override { return module_->options(); }
  std::map<std::string, Tensor> tensors() const override {
    std::map<std::string, Tensor> tensors;
    for (const nn::Slot& slot : module_->slots()) {
      tensors[slot.name] = *slot.tensor;
    }
    return tensors;
  }
  Tensor run(std::span<const Tensor> inputs, const runtime::ValueType& output, Arena* arena) const override {
    nn::Tape tape(arena, nn::Tape::Mode::Inference);
    nn::Context context{.tape = tape, .node = module_->name()};
    std::vector<nn::Variable> values;
    std::ranges::transform(inputs, std::back_inserter(values), [&](const Tensor& x) { return tape.constant(x); });
    Tensor y = module_->forward(context, values).value();
    check(y.dtype() == output.dtype && y.shape() == output.shape.batched(inputs[0].shape()[0]), module_->name(), " (",
          kind(), "): expected its forward pass to give ", output.dtype, " [N] of ", output.shape, ", got ", y.dtype(),
          " ", y.shape());
    return y;
  }

 private:
  std::shared_ptr<nn::Module> module_;
};

}  // namespace

std::shared_ptr<const runtime::CustomOp> module_op(const nn::Graph::Node& node, const Kinds& kinds,
                                                   std::span<const runtime::ValueType> inputs) {
  std::shared_ptr<nn::Module> module = clone_module(node, kinds);
  module->set_name(node.name);
  module->bind(shapes_of(inputs));
  return std::make_shared<ModuleOp>(std::move(module));
}

runtime::CustomFactory custom_ops_of(const Kinds& kinds) {
  return [&kinds](const runtime::CustomDescription& described) -> runtime::MadeCustom {
    const auto row = kinds.find(described.kind);
    check(row != kinds.end(), "unknown kind '", described.kind,
          "'; pass custom_ops_of a copy of quant::standard_kinds() with a row for it");
    std::shared_ptr<nn::Module> module = row->second.make(described.options);
    check(module != nullptr, "the kinds' row '", described.kind, "' makes no module");
    module->set_name(described.node);
    check(described.inputs.size() == module->arity(), "expected ", module->arity(), " inputs, got ",
          described.inputs.size());
    const std::vector<Shape> shapes = shapes_of(described.inputs);
    module->bind(shapes);
    const Shape shape = module->output_shape(shapes);
    std::size_t known = 0;
    for (const nn::Slot& slot : module->slots()) {
      const auto found = described.tensors.find(slot.name);
      if (found == described.tensors.end() && slot.is_optional) {
        continue;
      }
      check(found != described.tensors.end(), "no tensor '", slot.name, "'");
      const Tensor& tensor = found->second;
      check(slot.shape.elements() == 0 || (tensor.shape() == slot.shape && tensor.dtype() == slot.dtype), slot.name,
            ": expected ", slot.dtype, " ", slot.shape, ", got ", tensor.dtype(), " ", tensor.shape());
      *slot.tensor = tensor;
      ++known;
    }
    check(known == described.tensors.size(), "it has tensors that do not belong to a ", described.kind);
    nn::check_finite(*module, described.node);
    module->loaded();
    return {std::make_shared<ModuleOp>(std::move(module)), shape};
  };
}

}  // namespace detent::quant
