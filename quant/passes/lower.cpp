#include "detent/quant/passes/lower.h"

#include "detent/nn/fusions.h"
#include "detent/nn/modules/add.h"
#include "detent/nn/modules/dropout.h"
#include "detent/quant/passes/fold_batch_norm.h"
#include "detent/quant/passes/module_op.h"

namespace detent::quant {
namespace {

using runtime::ValueId;

/// What nn::find_fusions may find: all but max-pools, which plans do in a product's kernel by themselves, the ReLU of a
/// batch norm that stands by itself, and sums where they stay apart.
nn::MayFuse fusions_with(Sums sums) {
  return [sums](const nn::Graph::Node& taker, const nn::Graph::Node& taken) {
    return nn::exactly<nn::MaxPool2d>(taken.module.get()) == nullptr &&
           nn::exactly<nn::BatchNorm>(taker.module.get()) == nullptr &&
           (sums == Sums::InProducts || nn::exactly<nn::Add>(taken.module.get()) == nullptr);
  };
}

/// The model in the making.
class Lowering {
 public:
  Lowering(const nn::Graph& graph, const Kinds& kinds, Sums sums)
      : graph_(graph),
        kinds_(kinds),
        fusions_(nn::find_fusions(graph, fusions_with(sums))),
        made_(graph.nodes().size()),
        is_fused_(graph.nodes().size(), false) {}

  runtime::Model run() && {
    for (std::size_t index = 0; index < made_.size(); ++index) {
      const nn::Graph::Node& node = graph_.nodes()[index];
      if (!node.module) {  // inputs come before all modules
        made_[index] = model_.inputs.size();
        model_.inputs.push_back({.name = node.name, .type = {.shape = node.shape}});
      } else if (!is_fused_[index]) {
        add(index);
      }
    }
    model_.output = made_[graph_.output().index];
    model_.validate();
    return std::move(model_);
  }

 private:
  Lowered lowered(const nn::Graph::Node& node) const {
    const Kind& kind = kind_of(node, kinds_);
    check(!kind.is_prepared, "lower: ", node.name, " (", node.module->label(),
          ") is of a prepared graph; quant::convert makes a model of it");
    std::vector<runtime::ValueType> types;
    for (const nn::Graph::Handle input : node.inputs) {
      types.push_back(model_.type(made_[input.index]));
    }
    return kind.lower ? kind.lower(node, types) : Lowered{.op = runtime::Custom{module_op(node, kinds_, types)}};
  }

  void add(std::size_t index) {
    const nn::Graph::Node& node = graph_.nodes()[index];
    const nn::Fusion& fusion = fusions_[index];
    Lowered result = lowered(node);
    if (!result.op || nn::exactly<nn::Dropout>(node.module.get()) != nullptr) {
      made_[index] = made_[node.inputs[0].index];
      return;
    }
    runtime::Node made{.name = node.name, .op = std::move(*result.op), .output = {.shape = node.shape}};
    for (const nn::Graph::Handle input : node.inputs) {
      made.inputs.push_back(made_[input.index]);
    }
    if (auto* const product = std::get_if<runtime::Product>(&made.op)) {
      take_in(fusion, *product, made.inputs);
    } else if (auto* const sum = std::get_if<runtime::Add>(&made.op)) {
      sum->relu = sum->relu || fusion.relu;
    }
    std::size_t last = index;
    for (const nn::Graph::Handle taken : fusion.nodes()) {
      is_fused_[taken.index] = true;
      last = taken.index;
    }
    made_[last] = model_.values();
    model_.nodes.push_back(std::move(made));
    if (const auto* const norm = nn::exactly<nn::BatchNorm>(node.module.get());
        norm != nullptr && norm->settings().relu) {
      model_.nodes.push_back({.name = node.name + "_relu",
                              .op = runtime::Activation{},
                              .inputs = {made_[last]},
                              .output = {.shape = node.shape}});
      made_[last] = model_.values() - 1;
    }
  }

  void take_in(const nn::Fusion& fusion, runtime::Product& product, std::vector<ValueId>& inputs) const {
    if (fusion.batch_norm) {
      fold(graph_.node(*fusion.batch_norm), kinds_, product.weight, product.bias);
    }
    if (fusion.residual) {
      inputs.push_back(made_[fusion.residual->index]);
    }
    product.relu = product.relu || fusion.relu;
  }

  const nn::Graph& graph_;
  const Kinds& kinds_;
  std::vector<nn::Fusion> fusions_;  // by node of the graph
  std::vector<ValueId> made_;        // by value of the graph
  std::vector<bool> is_fused_;       // by node of the graph: another does its work
  runtime::Model model_;
};

}  // namespace

runtime::Model lower(const nn::Graph& graph, const Kinds& kinds, Sums sums) {
  check(!graph.nodes().empty(), "lower: the graph is empty");
  return Lowering(graph, kinds, sums).run();
}

}  // namespace detent::quant
