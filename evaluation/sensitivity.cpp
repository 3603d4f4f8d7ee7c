#include "detent/evaluation/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "detent/evaluation/evaluate.h"
#include "detent/evaluation/targets/target_loss.h"
#include "detent/nn/fusions.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/prepare.h"
#include "detent/runtime/plan.h"

namespace detent::evaluation {
namespace {

constexpr std::int64_t kMillionths = 1'000'000;
constexpr double kLargestDrop = 1e12;

bool is_product(const nn::Graph::Node& node) {
  return node.module && (node.module->kind() == "conv2d" || node.module->kind() == "linear");
}

bool ends_in_softmax(const nn::Graph& graph) {
  const nn::Graph::Node& output = graph.node(graph.output());
  return output.module && output.module->kind() == "softmax";
}

/// What a layer consists of, as the passes see it.
struct Layer {
  std::vector<std::string> names;  ///< of its module's nodes
  std::vector<std::string> fused;  ///< of the nodes that are done with them
  std::string kind;
};

std::vector<Layer> layers_of(const nn::Graph& graph) {
  const std::vector<nn::Fusion> fusions =
      nn::find_fusions(graph, [](const nn::Graph::Node& taker, const nn::Graph::Node& taken) {
        return is_product(taker) && (nn::is_relu(taken) || taken.module->kind() == "batch_norm");
      });
  std::vector<Layer> layers;
  for (const nn::Graph::Node& owner : graph.nodes()) {
    if (!is_product(owner) || !owner.owns_module()) {
      continue;
    }
    Layer layer{.names = {}, .fused = {}, .kind = std::string(owner.module->kind())};
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
      if (graph.nodes()[i].module == owner.module) {
        layer.names.push_back(graph.nodes()[i].name);
        for (const nn::Graph::Handle taken : fusions[i].nodes()) {
          layer.fused.push_back(graph.node(taken).name);
        }
      }
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

LayerSize size_of_product(const runtime::Model& model, const std::string& name) {
  const auto node = std::ranges::find(model.nodes, name, &runtime::Node::name);
  const auto* const product = node == model.nodes.end() ? nullptr : std::get_if<runtime::Product>(&node->op);
  check(product != nullptr && product->weight.qparams(), "sensitivity: ", name, " has no weights on codes");
  return {.weights = product->weight.elements(),
          .biases = product->bias.defined() ? product->bias.elements() : 0,
          .scales = static_cast<std::int64_t>(product->weight.qparams()->scale.size())};
}

}  // namespace

const Names<QuantizedPart>& quantized_part_names() {
  static const Names<QuantizedPart> names{
      {"weights", QuantizedPart::Weights}, {"activations", QuantizedPart::Activations}, {"both", QuantizedPart::Both}};
  return names;
}

quant::QConfig SensitivitySettings::config(int width) const {
  quant::QConfig config{.weight = weights, .activation = activations};
  config.weight.grid = {.bits = what == QuantizedPart::Activations ? 8 : width, .is_signed = true};
  config.activation.grid.bits = what == QuantizedPart::Weights ? 8 : width;
  return config;
}

Trial::Trial(const nn::Graph& graph, const data::Dataset& train, const data::Normalization& normalization,
             const TrialSettings& settings)
    : graph_(graph), train_(train), normalization_(normalization), settings_(settings) {
  check(settings.calibration >= 1 && settings.images >= 1, "trial: expected examples to calibrate and to measure on");
  check(settings.calibration + settings.images <= train.size(), "trial: ", settings.calibration, " examples to ",
        "calibrate and ", settings.images, " others to measure on are more than the ", train.size(), " of ",
        train.name);
  // evaluation::calibrate takes the first ones of this order.
  const std::vector<std::int64_t> order = data::shuffled_order(train.size(), settings.seed, 0);
  held_out_ = train.subset(std::span(order).subspan(static_cast<std::size_t>(settings.calibration),
                                                    static_cast<std::size_t>(settings.images)));
  float_answers_.targets = train.targets;
  float_score_ = run(quant::lower(graph_), float_answers_);
}

runtime::Model Trial::quantize(const quant::QConfigMapping& mapping) const {
  Reporter silent;
  nn::Graph prepared = quant::prepare(graph_, mapping);
  calibrate(prepared, train_, normalization_, settings_.calibration, settings_.seed, silent);
  quant::freeze_observers(prepared);
  return quant::convert(prepared).model;
}

Score Trial::score(const runtime::Model& model) const {
  Answers answers{.targets = held_out_.targets};
  Score score = run(model, answers);
  score.predictions_changed = count_changed(float_answers_, answers);
  return score;
}

Score Trial::run(const runtime::Model& model, Answers& answers) const {
  const bool is_softmax = ends_in_softmax(graph_);
  Score score{.fit = {.targets = held_out_.targets}};
  Reporter silent;
  std::optional<runtime::Plan> plan;
  for_each_batch(held_out_, normalization_, "measure", silent, [&](const data::Batch& batch) {
    const Tensor outputs = plan_for(plan, model, batch.size()).run(batch.examples);
    score.fit.add(outputs, batch.labels);
    answers.add(outputs);
    score.loss += target_loss(outputs, batch.labels, held_out_.targets, is_softmax) * static_cast<double>(batch.size());
  });
  score.loss /= static_cast<double>(held_out_.size());
  check(std::isfinite(score.loss), "trial: the loss of the model is not finite");
  return score;
}

std::int64_t Sensitivity::drop(const Score& score) const {
  if (targets() != data::TargetKind::kValues) {
    return float_score.fit.correct - score.fit.correct;
  }
  const double millionths = (float_score.fit.value() - score.fit.value()) * static_cast<double>(kMillionths);
  return static_cast<std::int64_t>(std::clamp(millionths, -kLargestDrop, kLargestDrop));
}

std::int64_t Sensitivity::whole() const { return targets() == data::TargetKind::kValues ? kMillionths : trial.images; }

Sensitivity measure_sensitivity(const Trial& trial, const SensitivitySettings& settings, Reporter& reporter) {
  const std::vector<int>& bits = settings.bits;
  check(!bits.empty() && std::ranges::adjacent_find(bits, std::less_equal<>()) == bits.end() && bits.front() <= 8 &&
            bits.back() >= 1,
        "sensitivity: expected falling bit widths from 1 to 8");
  const std::vector<Layer> layers = layers_of(trial.graph());
  check(!layers.empty(), "sensitivity: the model has no convolution and no linear layer");
  Sensitivity result{.settings = settings, .trial = trial.settings(), .float_score = trial.float_score(), .layers = {}};
  const auto trials = static_cast<std::int64_t>(layers.size() * bits.size());
  PhaseClock clock(reporter, "sensitivity", 0, trials, trials * trial.settings().images);
  for (const Layer& layer : layers) {
    LayerSensitivity measured{.names = layer.names, .kind = layer.kind};
    for (const int width : bits) {
      quant::QConfigMapping mapping(std::nullopt);
      for (const std::vector<std::string>* const names : {&layer.names, &layer.fused}) {
        for (const std::string& name : *names) {
          mapping.set_name(name, settings.config(width));
        }
      }
      const runtime::Model model = trial.quantize(mapping);
      measured.size = size_of_product(model, layer.names.front());
      measured.points.push_back({width, trial.score(model)});
      clock.batch_done(trial.settings().images);
    }
    result.layers.push_back(std::move(measured));
  }
  return result;
}

}  // namespace detent::evaluation
