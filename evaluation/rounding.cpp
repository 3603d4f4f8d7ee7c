#include "detent/evaluation/rounding.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "detent/core/threads/parallel.h"
#include "detent/evaluation/targets/answers.h"
#include "detent/runtime/plan.h"

namespace detent::evaluation {
namespace {

/// The nodes whose codes are compared.
std::vector<std::size_t> nodes_of_codes(const runtime::Model& model) {
  std::vector<std::size_t> nodes;
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const runtime::Node& node = model.nodes[i];
    if (node.output.is_codes() && !std::holds_alternative<runtime::Reshape>(node.op)) {
      nodes.push_back(i);
    }
  }
  return nodes;
}

void compare_codes(const Tensor& detents, const Tensor& targets, LayerRounding& layer) {
  const std::span<const std::uint8_t> a = detents.data<std::uint8_t>();
  const std::span<const std::uint8_t> b = targets.data<std::uint8_t>();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int step = std::abs(int{a[i]} - int{b[i]});
    layer.differing += step != 0 ? 1 : 0;
    layer.largest = std::max(layer.largest, step);
  }
  layer.codes += detents.elements();
}

/// A model under one target's rules, and what was counted.
class Target {
 public:
  Target(const runtime::Model& model, kernels::RoundingTarget target, const std::vector<std::size_t>& nodes,
         data::TargetKind targets)
      : model_(model), nodes_(nodes) {
    result_.target = target;
    result_.score.targets = targets;
    answers_.targets = targets;
    for (const std::size_t node : nodes_) {
      result_.layers.push_back(
          {.name = model.nodes[node].name, .operation = std::string(runtime::name_of(model.nodes[node].op))});
    }
  }

  void feed(const data::Batch& batch, const runtime::Plan& detents) {
    const std::vector<Tensor> values =
        plan_for(plan_, model_, batch.size(), result_.target).run(std::span(&batch.examples, 1));
    parallel_slices(static_cast<std::int64_t>(nodes_.size()), [&](std::int64_t slice) {
      const auto i = static_cast<std::size_t>(slice);
      const runtime::ValueId value = model_.value_of(nodes_[i]);
      compare_codes(detents.value(value), values[value], result_.layers[i]);
    });
    result_.score.add(values[model_.output], batch.labels);
    answers_.add(values[model_.output]);
    result_.images += batch.size();
  }

  TargetRounding result(const Answers& detents) const {
    TargetRounding result = result_;
    result.predictions_changed = count_changed(detents, answers_);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      LayerRounding& layer = result.layers[i];
      layer.rule = plan_ ? plan_->rule(nodes_[i]) : layer.rule;
      result.total.codes += layer.codes;
      result.total.differing += layer.differing;
      result.total.largest = std::max(result.total.largest, layer.largest);
    }
    return result;
  }

 private:
  const runtime::Model& model_;
  const std::vector<std::size_t>& nodes_;
  std::optional<runtime::TargetPlan> plan_;
  TargetRounding result_;
  Answers answers_;
};

}  // namespace

std::vector<std::string> TargetRounding::detents_layers() const {
  std::vector<std::string> names;
  for (const LayerRounding& layer : layers) {
    if (layer.rule == runtime::RuleUsed::Detents) {
      names.push_back(layer.name);
    }
  }
  return names;
}

std::vector<TargetRounding> evaluate_rounding(const runtime::Model& model,
                                              std::span<const kernels::RoundingTarget> targets,
                                              const data::Dataset& dataset, const data::Normalization& normalization,
                                              Reporter& reporter) {
  const std::vector<std::size_t> nodes = nodes_of_codes(model);
  check(!nodes.empty(), "rounding: the model has no codes to round between its layers: expected an int8 model of ",
        "static quantization or QAT");
  std::vector<Target> runs;
  for (const kernels::RoundingTarget target : targets) {
    runs.emplace_back(model, target, nodes, dataset.targets);
  }
  Answers answers{.targets = dataset.targets};
  std::optional<runtime::Plan> plan;
  for_each_batch(dataset, normalization, "evaluate", reporter, [&](const data::Batch& batch) {
    runtime::Plan& detents = plan_for(plan, model, batch.size(), runtime::PlanOptions{.keeps_values = true});
    answers.add(detents.run(batch.examples));
    for (Target& run : runs) {
      run.feed(batch, detents);
    }
  });
  std::vector<TargetRounding> results;
  std::ranges::transform(runs, std::back_inserter(results), [&](const Target& run) { return run.result(answers); });
  return results;
}

}  // namespace detent::evaluation
