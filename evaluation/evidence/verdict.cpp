#include <fmt/format.h>

#include <tuple>

#include "detent/core/error.h"
#include "detent/evaluation/evidence/evidence.h"

namespace detent::evaluation {
namespace {

// Shares are counts over counts: this is far below one example, and above the rounding of a difference.
constexpr double kTolerated = 1e-9;

/// Adds to a verdict.
class Judge {
 public:
  explicit Judge(Verdict& verdict) : verdict_(verdict) {}

  /// A bound that was given, and what must keep to it.
  void checks(const char* what, const char* relation, double bound) {
    verdict_.checked.push_back(fmt::format("{} {} {:g}", what, relation, bound));
    what_ = what;
    relation_ = relation;
    bound_ = bound;
  }
  void at_most(double value, const std::string& of) { add(value > bound_ + kTolerated, value, of); }
  void at_least(double value, const std::string& of) { add(value < bound_ - kTolerated, value, of); }

 private:
  void add(bool fails, double value, const std::string& of) {
    if (fails) {
      verdict_.failures.push_back(
          fmt::format("{}: expected {} {:g}, got {:.6g} ({})", what_, relation_, bound_, value, of));
    }
  }

  Verdict& verdict_;
  const char* what_ = "";
  const char* relation_ = "";
  double bound_ = 0.0;
};

bool is_small(std::int64_t examples) { return examples < kSmallSlice; }

void check_slice_drops(Judge& judge, const Evidence& evidence) {
  if (!evidence.pairs.empty()) {
    const PairEvidence& pair = evidence.pairs.front();
    for (const SliceChange& slice : pair.slices) {
      if (!is_small(slice.examples)) {
        judge.at_most(-slice.change(),
                      fmt::format("slice '{}', {} examples: {} {:g}, {} {:g}", slice.slice, slice.examples, pair.a,
                                  slice.accuracy_a(), pair.b, slice.accuracy_b()));
      }
    }
    return;
  }
  const ModelEvidence& model = evidence.models.front();
  for (const SliceScore& slice : model.slices) {
    if (!is_small(slice.examples)) {
      judge.at_most(model.accuracy() - slice.accuracy(),
                    fmt::format("slice '{}', {} examples: {:g}, all {:g}", slice.slice, slice.examples,
                                slice.accuracy(), model.accuracy()));
    }
  }
}

/// The model that is judged: b of the first pair, or the only one.
const ModelEvidence& judged(const Evidence& evidence) { return evidence.models.back(); }

}  // namespace

void require_classes(const CheckSettings& bounds, data::TargetKind targets) {
  const bool has_bounds =
      bounds.max_slice_drop || bounds.min_slice_accuracy || bounds.max_flips || bounds.max_calibration_error;
  check(!has_bounds || targets == data::TargetKind::kClasses,
        "check: max_slice_drop, min_slice_accuracy, max_flips and ",
        "max_calibration_error are of classes, and the targets are ", data::name_of(targets), "; leave them out");
}

Verdict verdict_of(const CheckSettings& check, const Evidence& evidence) {
  Verdict verdict;
  if (evidence.models.empty()) {
    return verdict;
  }
  Judge judge(verdict);
  const ModelEvidence& model = judged(evidence);
  require_classes(check, model.targets);
  if (check.max_slice_drop) {
    judge.checks("max_slice_drop", "<=", *check.max_slice_drop);
    check_slice_drops(judge, evidence);
  }
  if (check.min_slice_accuracy) {
    judge.checks("min_slice_accuracy", ">=", *check.min_slice_accuracy);
    for (const SliceScore& slice : model.slices) {
      if (!is_small(slice.examples)) {
        judge.at_least(slice.accuracy(),
                       fmt::format("slice '{}', {} examples of {}", slice.slice, slice.examples, model.name));
      }
    }
  }
  if (check.max_flips && !evidence.pairs.empty()) {
    const PairEvidence& pair = evidence.pairs.front();
    judge.checks("max_flips", "<=", *check.max_flips);
    judge.at_most(static_cast<double>(pair.flips.size()) / static_cast<double>(pair.whole.examples),
                  fmt::format("{} of {} predictions differ between {} and {}", pair.flips.size(), pair.whole.examples,
                              pair.a, pair.b));
  }
  if (check.max_calibration_error) {
    judge.checks("max_calibration_error", "<=", *check.max_calibration_error);
    judge.at_most(model.calibration_error, model.name);
  }
  return verdict;
}

Verdict whole_verdict_of(const CheckSettings& check, const Evidence& evidence) {
  Verdict verdict;
  Judge judge(verdict);
  if (evidence.models.empty() || evidence.models.front().targets != data::TargetKind::kClasses) {
    return verdict_of(check, evidence);
  }
  for (const auto& [kind, what, bound] : {std::tuple("fp32", "fp32_accuracy", check.fp32_accuracy),
                                          std::tuple("int8", "int8_accuracy", check.int8_accuracy)}) {
    for (const ModelEvidence& model : evidence.models) {
      if (bound && model.kind == kind) {
        judge.checks(what, ">=", *bound);
        judge.at_least(model.accuracy(), model.name);
      }
    }
  }
  if (check.max_drop && !evidence.pairs.empty()) {
    const PairEvidence& pair = evidence.pairs.front();
    judge.checks("max_drop", "<=", *check.max_drop);
    judge.at_most(-pair.whole.change(),
                  fmt::format("{} {:g}, {} {:g}", pair.a, pair.whole.accuracy_a(), pair.b, pair.whole.accuracy_b()));
  }
  const Verdict rest = verdict_of(check, evidence);
  verdict.checked.insert(verdict.checked.end(), rest.checked.begin(), rest.checked.end());
  verdict.failures.insert(verdict.failures.end(), rest.failures.begin(), rest.failures.end());
  return verdict;
}

}  // namespace detent::evaluation
