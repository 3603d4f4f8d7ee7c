#include "detent/train/warnings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detent/train/losses/loss.h"

namespace detent::train {
namespace {

constexpr std::int64_t kFewExamples = 32;  // a calibration of fewer sees too little
constexpr double kFarTarget = 30.0;        // for targets, against 1
constexpr std::size_t kNamedClasses = 8;   // more are counted

// "3"; a flag by its name.
std::string name_of(const data::Dataset& dataset, std::size_t number) {
  return dataset.targets == data::TargetKind::kFlags ? dataset.class_name(static_cast<std::int64_t>(number))
                                                     : std::to_string(number);
}

// Columns of targets that lie or spread far from what a model gives at first: about -1 to 1.
std::vector<std::string> unscaled_targets(const data::Dataset& train) {
  std::vector<std::string> warnings;
  if (train.targets != data::TargetKind::kValues) {
    return warnings;
  }
  const auto width = static_cast<std::size_t>(train.classes);
  const std::span<const float> targets = train.labels.data<float>();
  for (std::size_t column = 0; column < width; ++column) {
    double sum = 0.0, squares = 0.0;
    for (std::size_t at = column; at < targets.size(); at += width) {
      sum += static_cast<double>(targets[at]);
      squares += static_cast<double>(targets[at]) * static_cast<double>(targets[at]);
    }
    const auto count = static_cast<double>(train.size());
    const double mean = sum / count;
    const double deviation = std::sqrt(std::max(0.0, squares / count - mean * mean));
    if (std::abs(mean) > kFarTarget || deviation > kFarTarget || deviation < 1.0 / kFarTarget) {
      warnings.push_back(
          fmt::format("the target \"{}\" has mean {:.4g} and standard deviation {:.4g}: networks learn "
                      "numbers around 0 that spread by about 1; scale it in the data",
                      train.class_name(static_cast<std::int64_t>(column)), mean, deviation));
    }
  }
  return warnings;
}

// "3", "3, 7", "0, 1, 2 and 90 more"; "" if every class has examples.
std::string absent_classes(const data::Dataset& dataset, std::int64_t classes) {
  if (dataset.targets == data::TargetKind::kValues) {
    return "";
  }
  const std::vector<std::int64_t> counts = data::class_counts(dataset, classes);
  std::string text;
  std::size_t absent = 0;
  for (std::size_t label = 0; label < counts.size(); ++label) {
    if (counts[label] == 0 && ++absent <= kNamedClasses) {
      text += (text.empty() ? "" : ", ") + name_of(dataset, label);
    }
  }
  return absent > kNamedClasses ? fmt::format("{} and {} more", text, absent - kNamedClasses) : text;
}

}  // namespace

std::vector<std::string> warnings_before(const Settings& settings, const data::Dataset& train,
                                         const data::Dataset& test) {
  std::vector<std::string> warnings = unscaled_targets(train);
  const std::string what = train.targets == data::TargetKind::kFlags ? "with flag " : "of class ";
  if (const std::string absent = absent_classes(train, train.classes); !absent.empty()) {
    warnings.push_back("the training part has no example " + what + absent + ": they cannot be learned");
  }
  if (const std::string absent = absent_classes(test, train.classes); !absent.empty()) {
    warnings.push_back("the test part has no example " + what + absent + ": accuracies say nothing of them");
  }
  const QuantizeSettings& quantize = settings.quantize;
  const bool calibrates = quantize.method == quant::Method::Static ||
                          (quantize.method == quant::Method::Qat && settings.qat.calibrate_first) ||
                          (quantize.method != quant::Method::None && !quantize.compare_static.empty());
  const std::int64_t examples = std::min(quantize.calibration, train.size());
  if (calibrates && examples < kFewExamples) {
    warnings.push_back(
        fmt::format("calibration takes its ranges from {} example{}; set [quantize] calibration "
                    "to {} or more",
                    examples, examples == 1 ? "" : "s", kFewExamples));
  }
  return warnings;
}

void check_validation(const TrainSettings& train, bool has_validation) {
  check(has_validation || (train.keep == Keep::Last && train.patience == 0), "[train] ",
        train.keep == Keep::Best ? "keep = \"best\"" : "patience",
        " goes by a part of the examples that is held out, and there is none; write [data] validation = 0.1");
}

void check_targets(const Settings& settings, const data::Dataset& train, const evaluation::CheckSettings& checks,
                   bool has_validation) {
  check_validation(settings.train, has_validation);
  settled_for(settings.train, train);
  const bool is_values = train.targets == data::TargetKind::kValues;
  const std::string targets = "the targets of " + train.name + " are " + std::string(data::name_of(train.targets));
  check(!is_values || (!checks.fp32_accuracy && !checks.int8_accuracy), settings.name,
        ": [check] fp32_accuracy and int8_accuracy: ", targets, ", whose measure is R2; write min_r2");
  check(is_values || !checks.min_r2, settings.name, ": [check] min_r2: ", targets,
        "; write fp32_accuracy and int8_accuracy");
  check(settings.quantize.method != quant::Method::Qat || settings.qat.distill == 0.0 ||
            train.targets == data::TargetKind::kClasses,
        settings.name, ": [qat] distill: is for classes, and ", targets, "; remove it");
}

}  // namespace detent::train
