#include <fmt/format.h>

#include <algorithm>

#include "detent/report/evidence/evidence_table.h"
#include "detent/report/metrics_table.h"

namespace detent::report {
namespace {

constexpr std::size_t kWidth = 76;
const std::string kPreparedAgainstConverted = "  prepared model against converted model, every layer:\n";

std::string bytes_text(std::int64_t bytes, std::int64_t float_bytes) {
  const auto kib = static_cast<double>(bytes) / 1024.0;
  const std::string size = kib < 1024.0 ? fmt::format("{:.0f} KiB", kib) : fmt::format("{:.2f} MiB", kib / 1024.0);
  return fmt::format("{} ({:.3f})", size, static_cast<double>(bytes) / static_cast<double>(float_bytes));
}

// A share in per cent, or R2.
std::string accuracy_text(data::TargetKind targets, double accuracy) {
  return targets == data::TargetKind::kValues ? fmt::format("{:.4f}", accuracy)
                                              : fmt::format("{:.2f} %", 100.0 * accuracy);
}

std::string points_text(data::TargetKind targets, double gain) {
  const int digits = targets == data::TargetKind::kValues ? 4 : 2;
  const std::string text = fmt::format("{:+.{}f}", digits == 4 ? gain : 100.0 * gain, digits);
  return text.find_first_not_of("-0.") == std::string::npos ? "+" + text.substr(1) : text;  // nothing has no sign
}

std::string row(data::TargetKind targets, const std::string& name, double accuracy, const std::string& drop,
                const std::string& size, std::optional<double> seconds) {
  return fmt::format("  {:<26}{:>10}{:>9}{:>20}{:>10}\n", name, accuracy_text(targets, accuracy), drop, size,
                     seconds ? fmt::format("{:.1f} s", *seconds) : "");
}

// What one number does not say of values and flags.
std::string scores_line(const std::string& name, const evaluation::TargetScore& score,
                        const std::vector<std::string>& names) {
  if (score.targets == data::TargetKind::kFlags) {
    return fmt::format("  {:<26}all flags right {:.2f} %, flag by flag {:.2f} %\n", name, 100.0 * score.value(),
                       100.0 * score.mean_accuracy());
  }
  std::string text;
  const auto line = [&](const std::string& of, const evaluation::ValueErrors& errors) {
    text += fmt::format("  {:<26}error: mean absolute {:.4g}, root mean squared {:.4g}\n", of,
                        errors.mean_absolute_error, errors.root_mean_squared_error);
  };
  if (score.columns.size() == 1) {
    line(name, score.errors());
    return text;
  }
  for (std::size_t column = 0; column < score.columns.size(); ++column) {
    line(fmt::format("{}, {}", name, column < names.size() ? names[column] : std::to_string(column)),
         score.errors(column));
  }
  return text;
}

std::string scores_lines(const evaluation::Metrics& metrics) {
  if (metrics.targets == data::TargetKind::kClasses) {
    return "";
  }
  std::string text = scores_line("float", metrics.fp32.score, metrics.target_names);
  if (metrics.int8) {
    text += scores_line(metrics.int8->name, metrics.int8->score, metrics.target_names);
  }
  return text;
}

std::string rule(char symbol) { return "  " + std::string(kWidth - 2, symbol) + "\n"; }

std::string verify_line(const evaluation::Int8Result& model) {
  return fmt::format("  {:<26}{} of {} codes differ, {} of {} predictions\n", model.name,
                     with_separators(model.verify.codes_mismatched), with_separators(model.verify.codes_compared),
                     with_separators(model.verify.predictions_changed), with_separators(model.verify.images));
}

// How the main model was verified.
std::string verify_lines(const evaluation::Int8Result& model) {
  const evaluation::VerifyReport& report = model.verify;
  if (!quant::is_hybrid(model.method)) {
    return kPreparedAgainstConverted + verify_line(model);
  }
  if (report.layers.empty()) {
    return "";
  }
  return fmt::format("  reference executor against plan, every dynamic layer, {} examples:\n",
                     with_separators(report.images)) +
         fmt::format("  {:<26}{} of {} results differ\n", model.name, with_separators(report.codes_mismatched),
                     with_separators(report.codes_compared));
}

// What the checks came to. A run that was asked for nothing has reached nothing.
std::string verdict(const evaluation::Metrics& metrics) {
  if (!metrics.failures.empty()) {
    return "checks failed";
  }
  if (!metrics.checked.empty()) {
    return "all checks passed";
  }
  return std::string("nothing was checked: the recipe has no [check] for this run; write there\n") +
         "  what it must reach, for example " +
         (metrics.targets == data::TargetKind::kValues ? "min_r2 = 0.9" : "fp32_accuracy = 0.97") +
         (metrics.int8 && metrics.int8->verify.codes_compared > 0
              ? "\n  (that no code differs is always checked, and none does)"
              : "") +
         "\n  done";
}

}  // namespace

std::string with_separators(std::int64_t number) {
  std::string digits = std::to_string(number);
  const std::size_t first = digits.starts_with('-') ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3;) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

std::string to_text(const evaluation::Metrics& metrics) {
  const double fp32 = metrics.fp32.test_accuracy;
  const std::int64_t float_bytes = metrics.fp32.model_bytes;
  // With train.epochs = 0 the float model has its initial weights: nothing to compare with.
  const bool is_trained = metrics.fp32.train_seconds > 0.0 || metrics.fp32.was_trained_before;
  const auto drop = [&](double accuracy) {
    return is_trained ? points_text(metrics.targets, accuracy - fp32) : std::string();
  };

  std::string text = fmt::format("\n  {} on {}, seed {}, {} thread{}\n", metrics.recipe, metrics.dataset, metrics.seed,
                                 metrics.threads, metrics.threads == 1 ? "" : "s");
  text += rule('=');
  text += fmt::format("  {:<26}{:>10}{:>9}{:>20}{:>10}\n", "model", evaluation::measure_of(metrics.targets),
                      metrics.targets == data::TargetKind::kValues ? "change" : "points", "size (of float)", "time");
  text += rule('-');
  text +=
      row(metrics.targets, is_trained ? "float" : "float, not trained", fp32, "", bytes_text(float_bytes, float_bytes),
          metrics.fp32.train_seconds > 0.0 ? std::optional(metrics.fp32.train_seconds) : std::nullopt);
  if (metrics.qat) {
    text += row(metrics.targets, "QAT", metrics.qat->test_accuracy, drop(metrics.qat->test_accuracy),
                bytes_text(metrics.qat->model_bytes, float_bytes), metrics.qat->train_seconds);
  }
  if (metrics.int8) {
    text += row(metrics.targets, metrics.int8->name, metrics.int8->test_accuracy, drop(metrics.int8->test_accuracy),
                bytes_text(metrics.int8->model_bytes, float_bytes),
                metrics.qat ? std::nullopt : std::optional(metrics.int8->seconds));
  }
  if (metrics.not_improved) {
    text += row(metrics.targets, metrics.not_improved->name, metrics.not_improved->test_accuracy,
                drop(metrics.not_improved->test_accuracy), bytes_text(metrics.not_improved->model_bytes, float_bytes),
                metrics.not_improved->seconds);
  }
  for (const evaluation::Int8Result& variant : metrics.variants) {
    text += row(metrics.targets, variant.name, variant.test_accuracy, drop(variant.test_accuracy),
                bytes_text(variant.model_bytes, float_bytes), variant.seconds);
  }
  text += rule('-') + scores_lines(metrics);
  const char* const unit = metrics.targets == data::TargetKind::kValues ? "R2" : "points";
  if (metrics.qat && metrics.qat->reestimation) {
    const evaluation::Reestimation& anew = *metrics.qat->reestimation;
    text += fmt::format("  batch norms re-estimated on {} batches: {} before, {} after, {} {}\n",
                        with_separators(anew.batches), accuracy_text(metrics.targets, anew.accuracy_before),
                        accuracy_text(metrics.targets, anew.accuracy_after),
                        points_text(metrics.targets, anew.accuracy_after - anew.accuracy_before), unit);
  }
  if (metrics.int8 && metrics.not_improved) {
    text += fmt::format("  {}: {} {}\n", quant::to_text(metrics.int8->improve),
                        points_text(metrics.targets, metrics.int8->test_accuracy - metrics.not_improved->test_accuracy),
                        unit);
  }
  if (metrics.int8) {
    text += verify_lines(*metrics.int8);
    if (metrics.not_improved) {
      text += verify_line(*metrics.not_improved);
    }
    if (quant::is_hybrid(metrics.int8->method) && !metrics.variants.empty()) {
      text += kPreparedAgainstConverted;
    }
    for (const evaluation::Int8Result& variant : metrics.variants) {
      text += verify_line(variant);
    }
    if (!metrics.int8->verify.codes_sha256.empty()) {
      text += "  codes_sha256 " + metrics.int8->verify.codes_sha256 + "\n";
    }
  }
  if (metrics.evidence) {
    text += brief_text(*metrics.evidence);
  }
  text += rule('=');
  for (const std::string& warning : metrics.warnings) {
    if (std::ranges::find(metrics.failures, warning) == metrics.failures.end()) {
      text += "  WARNING  " + warning + "\n";
    }
  }
  for (const std::string& failure : metrics.failures) {
    text += "  FAILED  " + failure + "\n";
  }
  text += fmt::format("  {} in {:.1f} s\n", verdict(metrics), metrics.total_seconds);
  return text;
}

}  // namespace detent::report
