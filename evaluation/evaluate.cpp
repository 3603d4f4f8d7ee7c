#include "detent/evaluation/evaluate.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "detent/evaluation/evidence/confidence.h"
#include "detent/evaluation/evidence/errors.h"
#include "detent/kernels/layers/loss.h"
#include "detent/quant/methods/adaround.h"
#include "detent/quant/methods/bias_correction.h"
#include "detent/quant/passes/prepare.h"
#include "detent/runtime/plan.h"

namespace detent::evaluation {
namespace {

// Runs `graph` on the first `count` examples of `order`; calls `after_batch` with how many it has seen.
void infer_examples(
    nn::Graph& graph, const data::Dataset& dataset, const data::Normalization& normalization,
    std::vector<std::int64_t> order, std::int64_t count, Reporter& reporter, const nn::Graph::Tap& tap = {},
    const std::function<void(std::int64_t seen)>& after_batch = [](std::int64_t) {}) {
  order.resize(static_cast<std::size_t>(std::min(count, dataset.size())));
  Arena arena;
  std::int64_t seen = 0;
  for_each_batch(dataset.subset(order), normalization, "calibrate", reporter, [&](const data::Batch& batch) {
    nn::Tape tape(&arena, nn::Tape::Mode::Inference);
    nn::Context context{.tape = tape};
    graph.forward(context, tape.constant(batch.examples), tap);
    after_batch(seen += batch.size());
  });
}

double width_with_zero(const MinMax& range) {
  return range.empty() ? 0.0 : std::max(double{range.max}, 0.0) - std::min(double{range.min}, 0.0);
}

std::int64_t count_not_finite(const Tensor& logits) {
  const std::int64_t classes = logits.shape().row_elements();
  const std::span<const float> values = logits.data<float>();
  std::int64_t count = 0;
  for (auto row = values.begin(); row != values.end(); row += classes) {
    count += std::all_of(row, row + classes, [](float x) { return std::isfinite(x); }) ? 0 : 1;
  }
  return count;
}

void add_confidences(const Tensor& logits, std::span<const std::int32_t> predictions, bool are_probabilities,
                     Evaluation& result) {
  const Tensor values = logits.as(DType::F32, nullptr);
  const std::span<const float> outputs = values.data<float>();
  const auto classes = static_cast<std::size_t>(values.shape().row_elements());
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const Confidence sure = confidence_of(outputs.subspan(i * classes, classes), predictions[i], are_probabilities);
    result.confidences.push_back(sure.confidence);
    result.margins.push_back(sure.margin);
  }
}

// Runs `infer(images, use)` on all of `dataset`; it calls `use` with the result.
template <typename Infer>
Evaluation evaluate_by(const data::Dataset& dataset, const data::Normalization& normalization, bool are_probabilities,
                       Reporter& reporter, Infer&& infer) {
  Evaluation result;
  result.score.targets = dataset.targets;
  const auto start = std::chrono::steady_clock::now();
  for_each_batch(dataset, normalization, "evaluate", reporter, [&](const data::Batch& batch) {
    infer(batch.examples, [&](const Tensor& logits) {
      const std::vector<std::int32_t> predictions = predictions_of(logits);
      result.not_finite += count_not_finite(logits);
      if (dataset.targets == data::TargetKind::kClasses) {
        add_confidences(logits, predictions, are_probabilities, result);
      } else {
        append_errors(logits, batch.labels, dataset.targets, result.errors);
      }
      result.score.add(logits, batch.labels);
      result.predictions.insert(result.predictions.end(), predictions.begin(), predictions.end());
    });
  });
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace

std::vector<std::int32_t> predictions_of(const Tensor& logits) {
  const Tensor values = logits.as(DType::F32, nullptr);
  const std::int64_t rows = logits.shape().rank() >= 1 ? logits.shape()[0] : 0;
  std::vector<std::int32_t> predictions(static_cast<std::size_t>(rows));
  kernels::argmax_rows(values.data<float>().data(), rows, logits.shape().row_elements(), predictions.data());
  return predictions;
}

std::int64_t count_correct(std::span<const std::int32_t> predictions, const Tensor& labels) {
  const std::span<const std::int32_t> expected = labels.data<std::int32_t>();
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    correct += predictions[i] == expected[i] ? 1 : 0;
  }
  return correct;
}

std::int64_t count_changed(std::span<const std::int32_t> before, std::span<const std::int32_t> after) {
  std::int64_t changed = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    changed += before[i] != after[i] ? 1 : 0;
  }
  return changed;
}

Evaluation evaluate(nn::Graph& graph, const data::Dataset& dataset, const data::Normalization& normalization,
                    Reporter& reporter) {
  Arena arena;
  return evaluate_by(dataset, normalization, gives_probabilities(graph), reporter,
                     [&](const Tensor& images, auto&& use) {
                       nn::Tape tape(&arena, nn::Tape::Mode::Inference);
                       nn::Context context{.tape = tape};
                       use(graph.forward(context, tape.constant(images)).value());
                     });
}

Evaluation evaluate(const runtime::Model& model, const data::Dataset& dataset, const data::Normalization& normalization,
                    Reporter& reporter) {
  std::optional<runtime::Plan> plan;
  return evaluate_by(
      dataset, normalization, gives_probabilities(model), reporter,
      [&](const Tensor& images, auto&& use) { use(plan_for(plan, model, images.shape()[0]).run(images)); });
}

Evaluation evaluate(quant::OpenedModel& model, const data::Dataset& dataset, const data::Normalization& normalization,
                    Reporter& reporter) {
  return model.model() != nullptr ? evaluate(*model.model(), dataset, normalization, reporter)
                                  : evaluate(*model.graph(), dataset, normalization, reporter);
}

VerifyReport verify(const nn::Graph& prepared, const runtime::Model& int8, const data::Dataset& dataset,
                    const data::Normalization& normalization, Reporter& reporter) {
  Verifier verifier(prepared, int8);
  for_each_batch(dataset, normalization, "verify", reporter,
                 [&](const data::Batch& batch) { verifier.feed(batch.examples); });
  return verifier.report();
}

double Calibration::Growth::share() const {
  const double width = width_with_zero(before);
  return width == 0.0 ? 0.0 : (width_with_zero(after) - width) / width;
}

nn::Graph adaround(const nn::Graph& graph, const quant::QConfigMapping& mapping, const data::Dataset& train,
                   const data::Normalization& normalization, std::int64_t examples, std::uint64_t seed,
                   Reporter& reporter, const quant::Kinds& kinds) {
  const auto run = [&](nn::Graph& of, const nn::Graph::Tap& tap) {
    infer_examples(of, train, normalization, data::shuffled_order(train.size(), seed, 0), examples, reporter, tap);
  };
  return quant::adaround(graph, mapping, run, kinds);
}

Calibration calibrate(nn::Graph& prepared, const data::Dataset& train, const data::Normalization& normalization,
                      std::int64_t examples, std::uint64_t seed, Reporter& reporter) {
  Calibration calibration{.examples = std::min(examples, train.size())};
  const std::int64_t batches = (calibration.examples + kEvaluationBatch - 1) / kEvaluationBatch;
  const std::int64_t first = (batches - std::max<std::int64_t>(1, batches / 4)) * kEvaluationBatch;
  infer_examples(prepared, train, normalization, data::shuffled_order(train.size(), seed, 0), examples, reporter, {},
                 [&](std::int64_t seen) {
                   if (seen == first) {
                     calibration.last = calibration.examples - first;
                     for (const auto& [name, range] : quant::ranges_of(prepared)) {
                       calibration.growths.push_back({.name = name, .before = range, .after = {}});
                     }
                   }
                 });
  if (!calibration.growths.empty()) {
    const auto ranges = quant::ranges_of(prepared);
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      calibration.growths[i].after = ranges[i].second;
    }
  }
  return calibration;
}

Calibration calibrate_and_correct_biases(nn::Graph& prepared, const data::Dataset& train,
                                         const data::Normalization& normalization, std::int64_t examples,
                                         std::uint64_t seed, Reporter& reporter) {
  std::optional<Calibration> calibration;
  quant::calibrate_and_correct_biases(prepared, [&](nn::Graph& graph) {
    Calibration run = calibrate(graph, train, normalization, examples, seed, reporter);
    calibration = calibration ? calibration : std::optional(std::move(run));
  });
  return *calibration;
}

std::vector<quant::RangeReport> measure_ranges(nn::Graph& prepared, const data::Dataset& train,
                                               const data::Normalization& normalization, std::int64_t examples,
                                               std::uint64_t seed, Reporter& reporter) {
  quant::set_measuring(prepared, true);
  infer_examples(prepared, train, normalization, data::shuffled_order(train.size(), seed, 1),
                 std::max(examples, kMeasuredExamples), reporter);
  quant::set_measuring(prepared, false);
  return quant::range_reports(prepared);
}

void settle_ranges(nn::Graph& prepared, const data::Dataset& train, const data::Normalization& normalization,
                   std::int64_t examples, std::uint64_t seed, Reporter& reporter) {
  // A pass settles every range behind settled ones, so there are no more passes than quantizers, and one that is clean.
  do {
    measure_ranges(prepared, train, normalization, examples, seed, reporter);
  } while (quant::widen_clipped(prepared) > 0);
  quant::freeze_observers(prepared);
}

}  // namespace detent::evaluation
