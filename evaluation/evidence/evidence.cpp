#include "detent/evaluation/evidence/evidence.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "detent/core/error.h"
#include "detent/evaluation/evidence/confidence.h"
#include "detent/nn/model_file.h"
#include "detent/quant/passes/lower.h"
#include "detent/runtime/model_file.h"

namespace detent::evaluation {
namespace {

bool is_codes(const runtime::Model& model, runtime::ValueId value) { return model.type(value).is_codes(); }

/// Why an operation of an int8 model computes in float, or nothing where it does not.
std::string why_float(const runtime::Model& model, const runtime::Node& node) {
  const bool touches_codes = node.output.is_codes() || std::ranges::any_of(node.inputs, [&](runtime::ValueId input) {
                               return is_codes(model, input);
                             });
  const auto* const hybrid = std::get_if<runtime::HybridProduct>(&node.op);
  if (touches_codes || std::holds_alternative<runtime::Reshape>(node.op) || (hybrid != nullptr && hybrid->dynamic)) {
    return {};
  }
  if (hybrid != nullptr) {
    return "weight-only: its weights are codes, its products are of " + std::string(name_of(hybrid->input));
  }
  return node.note.empty() ? "what it reads is f32" : node.note;
}

std::vector<std::vector<std::int64_t>> confusion_of(const Evaluation& evaluation, const data::Dataset& dataset,
                                                    std::int64_t outputs) {
  const std::int64_t classes = std::max(dataset.classes, outputs);
  if (classes > kMostConfused) {
    return {};
  }
  const auto side = static_cast<std::size_t>(classes);
  std::vector<std::vector<std::int64_t>> counts(side, std::vector<std::int64_t>(side, 0));
  const std::span<const std::int32_t> labels = dataset.labels.data<std::int32_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ++counts[static_cast<std::size_t>(labels[i])][static_cast<std::size_t>(evaluation.predictions[i])];
  }
  return counts;
}

/// The whole as a slice.
Slice all_of(const data::Dataset& dataset) {
  Slice all{.examples = std::vector<std::int64_t>(static_cast<std::size_t>(dataset.size()))};
  std::iota(all.examples.begin(), all.examples.end(), std::int64_t{0});
  return all;
}

std::int64_t correct_in(const Slice& slice, const Evaluation& evaluation, std::span<const std::int32_t> labels) {
  return std::ranges::count_if(slice.examples, [&](std::int64_t example) {
    const auto i = static_cast<std::size_t>(example);
    return evaluation.predictions[i] == labels[i];
  });
}

Speed speed_of(const quant::OpenedModel& model, const SpeedOptions& options, const quant::Kinds& kinds) {
  if (model.model() != nullptr) {
    return measure_speed(runnable(*model.model()), options);
  }
  return model.kind == "fp32" ? measure_speed(runnable(quant::lower(*model.graph(), kinds)), options)
                              : measure_speed(runnable(*model.graph(), quant::factories_of(kinds)), options);
}

void add_classes(const EvaluatedModel& evaluated, const data::Dataset& dataset, const std::vector<Slice>& slices,
                 ModelEvidence& evidence) {
  const Evaluation& evaluation = evaluated.evaluation;
  const std::span<const std::int32_t> labels = dataset.labels.data<std::int32_t>();
  evidence.correct = count_correct(evaluation.predictions, dataset.labels);
  evidence.confusion = confusion_of(evaluation, dataset, evaluated.model->output_shape().elements());
  evidence.calibration_error = calibration_error(evaluation.confidences, evaluation.predictions, labels);
  for (const Slice& slice : slices) {
    evidence.slices.push_back({.slice = slice.name,
                               .examples = static_cast<std::int64_t>(slice.examples.size()),
                               .correct = correct_in(slice, evaluation, labels)});
  }
}

void add_errors(const Evaluation& evaluation, const data::Dataset& dataset, const std::vector<Slice>& slices,
                ModelEvidence& evidence) {
  evidence.error = mean_error_in(all_of(dataset), evaluation.errors);
  for (const Slice& slice : slices) {
    evidence.slices.push_back({.slice = slice.name,
                               .examples = static_cast<std::int64_t>(slice.examples.size()),
                               .error = mean_error_in(slice, evaluation.errors)});
  }
}

ModelEvidence evidence_of(const EvaluatedModel& evaluated, const data::Dataset& dataset,
                          const std::vector<Slice>& slices, const EvidenceOptions& options, const quant::Kinds& kinds) {
  ModelEvidence evidence{.name = evaluated.name,
                         .kind = evaluated.model->kind,
                         .targets = dataset.targets,
                         .examples = dataset.size(),
                         .file_bytes = evaluated.file_bytes,
                         .parameter_bytes = parameter_bytes_of(*evaluated.model),
                         .float_modules = float_modules_of(*evaluated.model)};
  if (dataset.targets == data::TargetKind::kClasses) {
    add_classes(evaluated, dataset, slices, evidence);
  } else {
    add_errors(evaluated.evaluation, dataset, slices, evidence);
  }
  if (options.speed) {
    evidence.speed = speed_of(*evaluated.model, *options.speed, kinds);
  }
  return evidence;
}

SliceChange change_in(const Slice& slice, const Evaluation& a, const Evaluation& b,
                      std::span<const std::int32_t> labels) {
  SliceChange change{.slice = slice.name, .examples = static_cast<std::int64_t>(slice.examples.size())};
  for (const std::int64_t example : slice.examples) {
    const auto i = static_cast<std::size_t>(example);
    const bool is_right_a = a.predictions[i] == labels[i];
    const bool is_right_b = b.predictions[i] == labels[i];
    change.correct_a += is_right_a ? 1 : 0;
    change.correct_b += is_right_b ? 1 : 0;
    change.lost += is_right_a && !is_right_b ? 1 : 0;
    change.won += is_right_b && !is_right_a ? 1 : 0;
  }
  return change;
}

PairEvidence pair_of_errors(const EvaluatedModel& a, const EvaluatedModel& b, const data::Dataset& dataset,
                            const std::vector<Slice>& slices) {
  PairEvidence pair{.a = a.name, .b = b.name};
  pair.whole_error = error_change_in(all_of(dataset), a.evaluation.errors, b.evaluation.errors);
  for (const Slice& slice : slices) {
    pair.slice_errors.push_back(error_change_in(slice, a.evaluation.errors, b.evaluation.errors));
  }
  return pair;
}

PairEvidence pair_of(const EvaluatedModel& a, const EvaluatedModel& b, const data::Dataset& dataset,
                     const std::vector<Slice>& slices) {
  if (dataset.targets != data::TargetKind::kClasses) {
    return pair_of_errors(a, b, dataset, slices);
  }
  const std::span<const std::int32_t> labels = dataset.labels.data<std::int32_t>();
  const PairedTest test = paired_test(a.evaluation.predictions, b.evaluation.predictions, labels);
  PairEvidence pair{.a = a.name, .b = b.name, .mcnemar_p = test.p_value};
  pair.whole = {.examples = dataset.size(),
                .correct_a = count_correct(a.evaluation.predictions, dataset.labels),
                .correct_b = count_correct(b.evaluation.predictions, dataset.labels),
                .lost = test.lost,
                .won = test.won};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (a.evaluation.predictions[i] != b.evaluation.predictions[i]) {
      pair.flips.push_back({.index = static_cast<std::int64_t>(i),
                            .label = labels[i],
                            .a = a.evaluation.predictions[i],
                            .b = b.evaluation.predictions[i],
                            .margin_a = a.evaluation.margins[i],
                            .margin_b = b.evaluation.margins[i]});
    }
  }
  for (const Slice& slice : slices) {
    pair.slices.push_back(change_in(slice, a.evaluation, b.evaluation, labels));
  }
  return pair;
}

}  // namespace

std::vector<FloatModule> float_modules_of(const quant::OpenedModel& model) {
  std::vector<FloatModule> modules;
  if (const runtime::Model* const int8 = model.model()) {
    for (const runtime::Node& node : int8->nodes) {
      if (std::string why = why_float(*int8, node); !why.empty()) {
        modules.push_back({node.name, std::move(why)});
      }
    }
  } else if (model.kind == "qat") {
    for (const nn::Graph::Node& node : model.graph()->nodes()) {
      if (!node.note.empty()) {
        modules.push_back({node.name, node.note});
      }
    }
  }
  return modules;
}

std::int64_t parameter_bytes_of(const quant::OpenedModel& model) {
  const TensorFile file = model.model() != nullptr ? runtime::to_file({.model = *model.model()})
                                                   : nn::to_file({.graph = *model.graph(), .kind = model.kind});
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : file.tensors) {
    bytes += static_cast<std::int64_t>(tensor.bytes());
  }
  return bytes;
}

Evidence collect_evidence(std::span<const EvaluatedModel> models, const data::Dataset& dataset,
                          const EvidenceOptions& options, const quant::Kinds& kinds) {
  const bool are_classes = dataset.targets == data::TargetKind::kClasses;
  std::set<std::string> names;
  for (const EvaluatedModel& model : models) {
    check(names.insert(model.name).second, "evidence: '", model.name, "' is named twice; name two models");
    const auto size = static_cast<std::size_t>(dataset.size());
    const Evaluation& evaluation = model.evaluation;
    const bool has_all = are_classes ? evaluation.confidences.size() == size && evaluation.margins.size() == size
                                     : evaluation.errors.size() == size;
    check(has_all && evaluation.predictions.size() == size, "evidence: ", model.name, " has predictions for ",
          evaluation.predictions.size(), " examples, and ", dataset.name, " has ", size);
  }
  const std::vector<Slice> slices = slices_of(dataset, options.slices);
  Evidence evidence;
  for (const EvaluatedModel& model : models) {
    evidence.models.push_back(evidence_of(model, dataset, slices, options, kinds));
  }
  for (std::size_t a = 0; a < models.size(); ++a) {
    for (std::size_t b = models.size() - 1; b > a; --b) {
      evidence.pairs.push_back(pair_of(models[a], models[b], dataset, slices));
    }
  }
  return evidence;
}

}  // namespace detent::evaluation
