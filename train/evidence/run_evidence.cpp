#include "detent/train/evidence/run_evidence.h"

#include <algorithm>
#include <vector>

namespace detent::train {
namespace {

std::vector<std::string> names_of(const evaluation::Metrics& metrics) {
  std::vector<std::string> names;
  if (metrics.fp32.steps > 0 || metrics.fp32.was_trained_before) {
    names.emplace_back("fp32");
  }
  if (metrics.qat) {
    names.emplace_back("qat");
  }
  if (metrics.int8) {
    names.emplace_back("int8");
  }
  return names;
}

/// Of the time that a run took, what it spends on measuring the speed of its models.
constexpr double kSpeedShare = 0.1;

/// How long each of `models` models is measured, so that all take about `seconds`: no longer than the defaults.
evaluation::SpeedOptions speed_within(double seconds, std::size_t models) {
  evaluation::SpeedOptions options;
  const double all = options.latency_seconds + options.batch_seconds * static_cast<double>(options.batches.size());
  const double share = std::min(1.0, seconds / (all * static_cast<double>(std::max<std::size_t>(models, 1))));
  options.latency_seconds *= share;
  options.batch_seconds *= share;
  return options;
}

}  // namespace

void add_evidence(const std::filesystem::path& folder, const Settings& settings, const RunData& data,
                  const quant::Kinds& kinds, Evaluations evaluations, double run_seconds,
                  evaluation::Reporter& reporter, evaluation::Metrics& metrics) {
  const std::vector<std::string> names = names_of(metrics);
  std::vector<quant::OpenedModel> models;
  models.reserve(names.size());  // they are pointed to
  std::vector<evaluation::EvaluatedModel> evaluated;
  for (const std::string& name : names) {
    const std::filesystem::path path = folder / (name + ".h5");
    quant::OpenedModel& model = models.emplace_back(quant::open_model(path, kinds));
    if (!evaluations.contains(name)) {
      evaluations[name] = evaluation::evaluate(model, data.test, data.normalization, reporter);
    }
    evaluated.push_back({.name = name,
                         .model = &model,
                         .file_bytes = static_cast<std::int64_t>(std::filesystem::file_size(path)),
                         .evaluation = std::move(evaluations[name])});
  }
  metrics.evidence = evaluation::collect_evidence(
      evaluated, data.test, {.slices = settings.slices, .speed = speed_within(kSpeedShare * run_seconds, names.size())},
      kinds);
  metrics.evidence->verdict = evaluation::verdict_of(settings.check_for(data.name), *metrics.evidence);
}

}  // namespace detent::train
