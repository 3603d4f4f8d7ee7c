#include "detent/evaluation/checks.h"

#include <fmt/format.h>

#include "detent/evaluation/findings.h"
#include "detent/evaluation/metrics.h"

namespace detent::evaluation {
namespace {

// Accuracies are counts over counts: this is far below one image, and above the rounding of their difference.
constexpr double kTolerance = 1e-9;

void check_at_least(std::vector<std::string>& failures, const std::string& what, std::optional<double> minimum,
                    double value) {
  if (minimum && value < *minimum - kTolerance) {
    failures.push_back(fmt::format("{}: expected >= {:g}, got {:g}", what, *minimum, value));
  }
}

void check_model(std::vector<std::string>& failures, const std::string& prefix, const Int8Result& model,
                 double fp32_accuracy, std::optional<double> max_drop, std::int64_t max_mismatched) {
  const double drop = fp32_accuracy - model.test_accuracy;
  if (max_drop && drop > *max_drop + kTolerance) {
    failures.push_back(fmt::format("{}max_drop: expected <= {:g}, got {:.6g} (float {:g}, int8 {:g})", prefix,
                                   *max_drop, drop, fp32_accuracy, model.test_accuracy));
  }
  const VerifyReport& report = model.verify;
  if (report.codes_mismatched > max_mismatched || (max_mismatched == 0 && !report.passed())) {
    failures.push_back(fmt::format("{}codes_mismatched: expected <= {}, got {} of {}; predictions changed: {}; {}",
                                   prefix, max_mismatched, report.codes_mismatched, report.codes_compared,
                                   report.predictions_changed, to_text(report)));
  }
}

}  // namespace

std::vector<std::string> failures_of(const CheckSettings& check, const Metrics& metrics) {
  std::vector<std::string> failures;
  check_at_least(failures, "fp32_accuracy", check.fp32_accuracy, metrics.fp32.test_accuracy);
  check_at_least(failures, "min_r2: float", check.min_r2, metrics.fp32.test_accuracy);
  if (metrics.int8) {
    const std::int64_t mismatched = check.codes_mismatched.value_or(0);
    check_at_least(failures, "int8_accuracy", check.int8_accuracy, metrics.int8->test_accuracy);
    check_at_least(failures, "min_r2: int8", check.min_r2, metrics.int8->test_accuracy);
    check_model(failures, "", *metrics.int8, metrics.fp32.test_accuracy, check.max_drop, mismatched);
    if (metrics.not_improved) {
      check_model(failures, metrics.not_improved->name + ": ", *metrics.not_improved, metrics.fp32.test_accuracy, {},
                  mismatched);
    }
    for (const Int8Result& variant : metrics.variants) {
      check_model(failures, variant.name + ": static_", variant, metrics.fp32.test_accuracy, check.static_max_drop,
                  mismatched);
    }
  }
  if (metrics.evidence) {
    const Verdict& verdict = metrics.evidence->verdict;
    failures.insert(failures.end(), verdict.failures.begin(), verdict.failures.end());
  }
  for (const Finding& finding : findings_of(check, metrics)) {
    if (finding.is_gross) {
      failures.push_back(finding.text);
    }
  }
  return failures;
}

std::vector<std::string> checked_of(const CheckSettings& check, const Metrics& metrics) {
  std::vector<std::string> checked;
  const auto add = [&](const char* what, const char* relation, std::optional<double> bound) {
    if (bound) {
      checked.push_back(fmt::format("{} {} {:g}", what, relation, *bound));
    }
  };
  add("fp32_accuracy", ">=", check.fp32_accuracy);
  add("min_r2", ">=", check.min_r2);
  if (metrics.int8) {
    add("int8_accuracy", ">=", check.int8_accuracy);
    add("max_drop", "<=", check.max_drop);
    if (!metrics.variants.empty()) {
      add("static_max_drop", "<=", check.static_max_drop);
    }
    add("codes_mismatched", "<=", check.codes_mismatched);
  }
  if (metrics.evidence) {
    const Verdict& verdict = metrics.evidence->verdict;
    checked.insert(checked.end(), verdict.checked.begin(), verdict.checked.end());
  }
  return checked;
}

}  // namespace detent::evaluation
