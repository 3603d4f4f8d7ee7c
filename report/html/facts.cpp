#include "detent/report/html/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

std::string stem_of(const std::string& name) {
  const std::string last = name.substr(name.rfind('/') + 1);  // npos + 1 is 0
  return last.ends_with(".h5") ? last.substr(0, last.size() - 3) : last;
}

bool is_float(const std::string& name) { return model_name(name) == "float"; }
bool is_int8(const std::string& name) { return model_name(name) == "int8"; }

// The first of evidence.models whose name is such.
const Json& evidence_of(const Json& metrics, bool (*is_meant)(const std::string&)) {
  static const Json kNone;
  const Json& models = member(metrics, "evidence.models");
  if (models.is_object()) {
    for (const auto& [name, model] : models.items()) {
      if (is_meant(name)) {
        return model;
      }
    }
  }
  return kNone;
}

void add_once(std::vector<std::string>& lines, const std::vector<std::string>& more) {
  for (const std::string& line : more) {
    if (std::ranges::find(lines, line) == lines.end()) {
      lines.push_back(line);
    }
  }
}

Verdict verdict_of(const Facts& facts, bool has_int8) {
  if (!facts.failures.empty() || facts.codes_different.value_or(0.0) > 0.0) {
    return Verdict::NotSafe;
  }
  return !has_int8 ? Verdict::Float : facts.checks > 0.0 ? Verdict::Safe : Verdict::Unchecked;
}

}  // namespace

std::string model_name(const std::string& name) {
  const std::string stem = stem_of(name);
  return stem == "fp32" ? "float" : stem == "qat" || stem == "prepared" ? "fake-quantized" : stem;
}

std::string Facts::score_text(double accuracy) const {
  return !is_r2 ? percent(accuracy) : fmt::format("{}{:.4f}", accuracy < 0.0 ? "\u2212" : "", std::abs(accuracy));
}

std::string Facts::difference_text(double difference) const {
  if (!is_r2) {
    return points(100.0 * difference);
  }
  const std::string digits = fmt::format("{:.4f}", std::abs(difference));
  return digits == "0.0000" ? digits : (difference < 0.0 ? "\u2212" : "+") + digits;
}

std::string headline(Verdict verdict) {
  switch (verdict) {
    case Verdict::Safe:
      return "Safe to ship";
    case Verdict::NotSafe:
      return "Not safe to ship";
    case Verdict::Unchecked:
      return "Not checked";
    case Verdict::Float:
      break;
  }
  return "A float model";
}

Facts facts_of(const Json& metrics) {
  Facts facts;
  facts.is_r2 = text(metrics, "measure") == "R2";
  facts.recipe = text(metrics, "recipe").value_or("run");
  facts.shipped = text(metrics, "int8.name").value_or("int8");
  facts.dataset = text(metrics, "dataset").value_or("");
  facts.checked = texts(metrics, "check.checked");
  add_once(facts.checked, texts(metrics, "evidence.verdict.bounds"));
  facts.failures = texts(metrics, "check.failures");
  add_once(facts.failures, texts(metrics, "evidence.verdict.failures"));
  for (const std::string& warning : texts(metrics, "warnings")) {
    if (std::ranges::find(facts.failures, warning) == facts.failures.end()) {
      facts.warnings.push_back(warning);
    }
  }
  facts.checks =
      std::max(static_cast<double>(facts.checked.size()), number(metrics, "evidence.verdict.checked").value_or(0.0));
  const Json& trained = member(metrics, "fp32.trained");
  facts.has_float = !trained.is_boolean() || trained.get<bool>();
  facts.accuracy_float = number(metrics, "fp32.test_accuracy");
  facts.accuracy_int8 = number(metrics, "int8.test_accuracy");
  facts.bytes_float = number(metrics, "fp32.model_bytes");
  facts.bytes_int8 = number(metrics, "int8.model_bytes");
  facts.latency_float = number(evidence_of(metrics, is_float), "latency_ms.p50");
  facts.latency_int8 = number(evidence_of(metrics, is_int8), "latency_ms.p50");
  facts.examples = number(metrics, "verify.images");
  facts.codes = number(metrics, "verify.codes_compared");
  facts.codes_different = number(metrics, "verify.codes_mismatched");
  for (const Json& pair : list(metrics, "evidence.pairs")) {
    if (is_float(text(pair, "a").value_or("")) && is_int8(text(pair, "b").value_or(""))) {
      facts.pair = &pair;
      facts.lost = number(pair, "a_only");
      facts.won = number(pair, "b_only");
      facts.flips = number(pair, "predictions_changed");
      if (!facts.flips && member(pair, "flips").is_array()) {
        facts.flips = static_cast<double>(list(pair, "flips").size());
      }
      facts.error_float = number(pair, "error_a");
      facts.error_int8 = number(pair, "error_b");
      if (const std::vector<double> ends = numbers(pair, "interval"); ends.size() == 2) {
        (facts.error_float ? facts.error_interval : facts.interval) = {ends[0], ends[1]};
      }
      break;
    }
  }
  facts.verdict = verdict_of(facts, member(metrics, "int8").is_object());
  return facts;
}

}  // namespace detent::report::html
