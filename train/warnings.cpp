#include "detent/train/warnings.h"

#include <fmt/format.h>

#include <algorithm>

namespace detent::train {
namespace {

constexpr std::int64_t kFewExamples = 32;  // a calibration of fewer sees too little
constexpr std::size_t kNamedClasses = 8;   // more are counted

// "3", "3, 7", "0, 1, 2 and 90 more"; "" if every class has examples.
std::string absent_classes(const data::Dataset& dataset, std::int64_t classes) {
  const std::vector<std::int64_t> counts = data::class_counts(dataset, classes);
  std::string text;
  std::size_t absent = 0;
  for (std::size_t label = 0; label < counts.size(); ++label) {
    if (counts[label] == 0 && ++absent <= kNamedClasses) {
      text += (text.empty() ? "" : ", ") + std::to_string(label);
    }
  }
  return absent > kNamedClasses ? fmt::format("{} and {} more", text, absent - kNamedClasses) : text;
}

}  // namespace

std::vector<std::string> warnings_before(const Settings& settings, const data::Dataset& train,
                                         const data::Dataset& test) {
  std::vector<std::string> warnings;
  if (const std::string absent = absent_classes(train, train.classes); !absent.empty()) {
    warnings.push_back("the training part has no example of class " + absent + ": they cannot be learned");
  }
  if (const std::string absent = absent_classes(test, train.classes); !absent.empty()) {
    warnings.push_back("the test part has no example of class " + absent + ": accuracies say nothing of them");
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

}  // namespace detent::train
