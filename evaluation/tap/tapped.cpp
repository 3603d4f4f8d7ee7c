#include "detent/evaluation/tap/tapped.h"

#include <optional>

#include "detent/evaluation/evaluate.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/lower.h"
#include "detent/runtime/plan.h"

namespace detent::evaluation {
namespace {

class TappedModel : public Tapped {
 public:
  explicit TappedModel(runtime::Model model) : model_(std::move(model)) {}

  std::vector<std::pair<std::string, Shape>> layers() const override {
    std::vector<std::pair<std::string, Shape>> result;
    for (const runtime::Node& node : model_.nodes) {
      result.emplace_back(node.name, node.output.shape);
    }
    return result;
  }

  std::vector<Tensor> run(const Tensor& examples) override {
    runtime::Plan& plan = plan_for(plan_, model_, examples.shape()[0], runtime::PlanOptions{.keeps_values = true});
    const Tensor result = plan.run(examples);
    std::vector<Tensor> values;
    for (std::size_t i = 0; i < model_.nodes.size(); ++i) {
      const Tensor value = plan.value(model_.value_of(i));
      const runtime::ValueType& type = model_.nodes[i].output;
      values.push_back(type.is_codes() ? value.with_qparams(type.qparams) : value);
    }
    values.push_back(result);
    return values;
  }

 private:
  runtime::Model model_;
  std::optional<runtime::Plan> plan_;
};

class TappedGraph : public Tapped {
 public:
  explicit TappedGraph(const nn::Graph& graph) : graph_(graph.clone(quant::factories_of(quant::standard_kinds()))) {}

  std::vector<std::pair<std::string, Shape>> layers() const override {
    std::vector<std::pair<std::string, Shape>> result;
    for (const nn::Graph::Node& node : graph_.nodes()) {
      if (node.module) {
        result.emplace_back(node.name, node.shape);
      }
    }
    return result;
  }

  std::vector<Tensor> run(const Tensor& examples) override {
    std::vector<Tensor> values;
    nn::Tape tape(&arena_, nn::Tape::Mode::Inference);
    nn::Context context{.tape = tape};
    const Tensor result = graph_
                              .forward(context, tape.constant(examples),
                                       [&](const nn::Graph::Node& node, const nn::Variable& value) {
                                         if (node.module) {
                                           values.push_back(value.value());
                                         }
                                       })
                              .value();
    values.push_back(result);
    return values;
  }

 private:
  nn::Graph graph_;
  Arena arena_;
};

}  // namespace

std::unique_ptr<Tapped> tap(const quant::OpenedModel& model, FloatLayers layers) {
  if (model.model() != nullptr) {
    return std::make_unique<TappedModel>(*model.model());
  }
  if (model.kind == "fp32" && layers == FloatLayers::AsInInt8) {
    return std::make_unique<TappedModel>(quant::lower(*model.graph(), quant::standard_kinds(), quant::Sums::Apart));
  }
  if (model.kind != "fp32") {
    quant::convert(*model.graph());  // refuses what is not frozen
  }
  return std::make_unique<TappedGraph>(*model.graph());
}

}  // namespace detent::evaluation
