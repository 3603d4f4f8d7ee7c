#include "detent/evaluation/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace detent::evaluation {
namespace {

constexpr std::int64_t kEnoughSteps = 100;  // after so many, a network that learns is above chance
constexpr double kHighLoss = 100.0;         // no loss of a network that learns is near it
constexpr double kAbsurdLoss = 1e6;
constexpr double kGrossDrop = 0.10;    // of accuracy; half of it is told
constexpr double kMuchClipped = 0.02;  // of the values that are not zero
constexpr double kDeadShare = 0.25;    // of a layer's channels: a few do no harm
constexpr double kMuchGrowth = 0.10;   // of a range's width
constexpr std::size_t kNamedChannels = 4;

// Accuracies differ by chance: by up to 1 / sqrt(examples) often, by twice that hardly ever.
double gross_drop(const Int8Result& model) {
  return std::max(kGrossDrop, 2.0 / std::sqrt(static_cast<double>(std::max<std::int64_t>(1, model.verify.images))));
}

// "29.0 points below float: accuracy 0.7 against 0.99"; R2 has no points.
std::string below_text(data::TargetKind targets, const std::string& other, double accuracy, double other_accuracy) {
  const double drop = other_accuracy - accuracy;
  return targets == data::TargetKind::kValues
             ? fmt::format("{:.3g} below {}: R2 {:g} against {:g}", drop, other, accuracy, other_accuracy)
             : fmt::format("{:.1f} points below {}: accuracy {:g} against {:g}", 100.0 * drop, other, accuracy,
                           other_accuracy);
}

// How often each combination of flags occurs.
std::map<std::vector<float>, std::int64_t> count_combinations(const data::Dataset& dataset) {
  std::map<std::vector<float>, std::int64_t> counts;
  const std::span<const float> flags = dataset.labels.data<float>();
  const auto width = static_cast<std::size_t>(dataset.classes);
  for (std::size_t at = 0; at < flags.size(); at += width) {
    const std::span<const float> row = flags.subspan(at, width);
    ++counts[std::vector<float>(row.begin(), row.end())];
  }
  return counts;
}

void find_in_training(std::vector<Finding>& findings, const std::string& what, const TrainedResult& result,
                      double chance) {
  if (result.steps == 0) {
    return;
  }
  const bool has_unit = result.score.targets == data::TargetKind::kValues;  // of the targets: no size is absurd
  if (result.loss > kHighLoss && !has_unit) {
    findings.push_back({fmt::format("{}: the loss of the last step is {:.3g}; lower learning_rate, or set clip_norm",
                                    what, result.loss),
                        result.loss > kAbsurdLoss});
  }
  if (result.test_accuracy <= chance) {
    const bool are_enough = result.steps >= kEnoughSteps;
    findings.push_back({fmt::format("{}: nothing was learned in {} steps: {} {:.4g}, by chance {:.4g}{}", what,
                                    result.steps, measure_of(result.score.targets), result.test_accuracy, chance,
                                    are_enough ? "" : "; train longer"),
                        are_enough && chance <= 0.5});
  }
}

void find_in_accuracy(std::vector<Finding>& findings, const Int8Result& model, const std::string& other,
                      double other_accuracy, bool may_fail) {
  const double drop = other_accuracy - model.test_accuracy;
  const double gross = gross_drop(model);
  if (drop > gross / 2) {
    findings.push_back({model.name + ": " + below_text(model.score.targets, other, model.test_accuracy, other_accuracy),
                        may_fail && drop > gross});
  }
}

std::string mend_of_clipping(const Int8Result& model) {
  return model.method == quant::Method::Static
             ? "raise [quantize] calibration, or write activations = \"uint8 min-max\""
             : "lower [qat] learning_rate, or freeze_observers_at later";
}

// "3, 7, 12 and 90 more"
std::string list_of(const std::vector<std::int64_t>& channels) {
  std::string text;
  for (std::size_t i = 0; i < std::min(channels.size(), kNamedChannels); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(channels[i]);
  }
  return channels.size() > kNamedChannels ? fmt::format("{} and {} more", text, channels.size() - kNamedChannels)
                                          : text;
}

std::string outliers_text(const quant::ChannelReport& channels) {
  return fmt::format(
      "{} of {} channels ({}) reach more than {:g} times as far as the median one, up to {:.4g} against "
      "{:.4g}",
      channels.outliers.size(), channels.count, list_of(channels.outliers), quant::kOutlierRatio, channels.largest,
      channels.median);
}

void find_in_channels(std::vector<Finding>& findings, const Int8Result& model) {
  for (const quant::RangeReport& report : model.ranges) {
    const std::string where = model.name + ": " + report.name + ": ";
    if (!report.channels.outliers.empty()) {
      findings.push_back({where + outliers_text(report.channels) +
                          "; they share one scale: train with weight_decay, or give the layer a range rule that clips "
                          "(\"uint8 mse\" in [quantize.layers])"});
    }
    if (report.shares_weight_scale && !report.weights.outliers.empty()) {
      findings.push_back({where + "weights: " + outliers_text(report.weights) +
                          "; they share one scale: write weights = \"int8 per-channel\""});
    }
    const auto is_much = [](const quant::ChannelReport& channels) {
      return static_cast<double>(channels.dead.size()) > kDeadShare * static_cast<double>(channels.count);
    };
    if (report.is_product && is_much(report.weights)) {
      findings.push_back(
          {where + fmt::format("the weights of {} of {} channels ({}) are all 0; lower weight_decay or "
                               "learning_rate, or make the layer narrower",
                               report.weights.dead.size(), report.weights.count, list_of(report.weights.dead))});
    } else if (report.is_product && is_much(report.channels) &&
               report.channels.dead.size() < static_cast<std::size_t>(report.channels.count)) {
      findings.push_back(
          {where + fmt::format("{} of {} channels ({}) are always 0; lower learning_rate, or make the "
                               "layer narrower",
                               report.channels.dead.size(), report.channels.count, list_of(report.channels.dead))});
    }
  }
}

void find_in_calibration(std::vector<Finding>& findings, const Int8Result& model) {
  for (const Calibration::Growth& growth : model.calibration->growths) {
    if (growth.share() > kMuchGrowth) {
      findings.push_back(
          {fmt::format("{}: {}: its range still grew by {:.0f} % over the last {} of {} calibration "
                       "examples; set [quantize] calibration to {} or more",
                       model.name, growth.name, 100.0 * growth.share(), model.calibration->last,
                       model.calibration->examples, 2 * model.calibration->examples)});
    }
  }
}

void find_in_ranges(std::vector<Finding>& findings, const Int8Result& model) {
  for (const quant::RangeReport& report : model.ranges) {
    const MinMax& seen = report.measured.seen;
    const std::string ranges = fmt::format("its range is [{:.4g}, {:.4g}], training examples reach [{:.4g}, {:.4g}]",
                                           report.range.min, report.range.max, seen.min, seen.max);
    if (report.measured.codes.min == report.measured.codes.max) {
      findings.push_back({fmt::format("{}: {}: all values become one code; {}; lower learning_rate, or set clip_norm",
                                      model.name, report.name, ranges)});
    } else if (report.measured.clipped_share() > kMuchClipped && !report.is_learned) {
      findings.push_back({fmt::format("{}: {}: {:.1f} % of the values are clipped; {}; {}", model.name, report.name,
                                      100.0 * report.measured.clipped_share(), ranges, mend_of_clipping(model))});
    }
  }
}

}  // namespace

double chance_of(const data::Dataset& test) {
  if (test.targets == data::TargetKind::kValues) {
    return 0.0;
  }
  if (test.targets == data::TargetKind::kFlags) {
    std::int64_t most = 0;
    for (const auto& [combination, count] : count_combinations(test)) {
      most = std::max(most, count);
    }
    return static_cast<double>(most) / static_cast<double>(test.size());
  }
  return static_cast<double>(std::ranges::max(data::class_counts(test, test.classes))) /
         static_cast<double>(test.size());
}

std::vector<Finding> findings_of(const CheckSettings& check, const Metrics& metrics) {
  std::vector<Finding> findings;
  find_in_training(findings, "float", metrics.fp32, metrics.chance);
  if (metrics.qat) {
    find_in_training(findings, "QAT", *metrics.qat, metrics.chance);
  }
  const bool has_float = metrics.fp32.steps > 0 || metrics.fp32.was_trained_before;
  const auto find_in_model = [&](const Int8Result& model, bool may_fail) {
    if (has_float) {
      find_in_accuracy(findings, model, "float", metrics.fp32.test_accuracy, may_fail);
    }
    find_in_ranges(findings, model);
  };
  if (metrics.int8) {
    const bool may_fail = !check.max_drop;
    find_in_model(*metrics.int8, may_fail);
    find_in_channels(findings, *metrics.int8);
    if (metrics.not_improved) {
      find_in_accuracy(findings, *metrics.int8, metrics.not_improved->name, metrics.not_improved->test_accuracy,
                       may_fail);
    }
    for (const Int8Result& variant : metrics.variants) {
      find_in_accuracy(findings, *metrics.int8, variant.name, variant.test_accuracy, may_fail);
      find_in_model(variant, false);
    }
    // Static models of one float model see the same values: one of them is enough.
    if (metrics.int8->calibration) {
      find_in_calibration(findings, *metrics.int8);
    } else if (!metrics.variants.empty() && metrics.variants[0].calibration) {
      find_in_calibration(findings, metrics.variants[0]);
    }
  }
  return findings;
}

void add_findings(const CheckSettings& check, Metrics& metrics) {
  for (Finding& finding : findings_of(check, metrics)) {
    metrics.warnings.push_back(std::move(finding.text));
  }
}

}  // namespace detent::evaluation
