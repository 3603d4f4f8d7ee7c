#include <fmt/format.h>

#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

std::string size_cell(const Json& model, double float_bytes) {
  const auto bytes = number(model, "model_bytes");
  if (!bytes || *bytes <= 0.0) {
    return "";
  }
  return float_bytes > 0.0 ? fmt::format("{} <small>({:.3f})</small>", bytes_text(*bytes), *bytes / float_bytes)
                           : bytes_text(*bytes);
}

std::string codes_cell(const Json& verify) {
  const auto compared = number(verify, "codes_compared");
  const auto differ = number(verify, "codes_mismatched");
  if (!compared || !differ || *compared == 0.0) {
    return "";
  }
  const std::string cell = fmt::format("{} of {}", count_text(*differ), count_text(*compared));
  return *differ > 0.0 ? "<span class=\"warn-text\">" + cell + "</span>" : cell;
}

std::string how(const Json& model) {
  std::string line = text(model, "method").value_or("");
  if (const auto weights = text(model, "weights")) {
    line += (line.empty() ? "" : ", ") + *weights;
  }
  for (const std::string& improvement : texts(model, "improve")) {
    line += ", " + improvement;
  }
  return escaped(line);
}

}  // namespace

std::string models_section(const Json& metrics) {
  const Facts facts = facts_of(metrics);
  const bool has_float = facts.has_float;
  const auto float_accuracy = has_float ? number(metrics, "fp32.test_accuracy") : std::nullopt;
  const double float_bytes = number(metrics, "fp32.model_bytes").value_or(0.0);
  Table table("Every model of this run, on the test set",
              {"Model", "|How", facts.is_r2 ? facts.measure() : "Accuracy", facts.is_r2 ? "Change" : "Points",
               "File (of float)", "Codes that differ", "Time"});
  const auto add = [&](const std::string& name, const std::string& about, const Json& model, const Json& verify,
                       const char* seconds, bool is_main) {
    const auto accuracy = number(model, "test_accuracy");
    if (!accuracy) {
      return;
    }
    const bool is_float = &model == &member(metrics, "fp32");
    const auto time = number(model, seconds);
    table.add({escaped(name), about, facts.score_text(*accuracy),
               is_float || !float_accuracy ? "" : facts.difference_text(*accuracy - *float_accuracy),
               size_cell(model, float_bytes), codes_cell(verify), time && *time > 0.0 ? duration(*time) : ""},
              is_main);
  };
  const Json none;
  const Json& qat = member(metrics, "qat");
  add(has_float ? "float" : "float, not trained", escaped(text(metrics, "fp32.precision").value_or("")),
      member(metrics, "fp32"), none, "train_seconds", false);
  add("QAT", "fake-quantized", qat, none, "train_seconds", false);
  const Json& int8 = member(metrics, "int8");
  add(text(int8, "name").value_or("int8"), how(int8), int8, member(metrics, "verify"), "quantize_seconds", true);
  const Json& not_improved = member(metrics, "not_improved");
  add(text(not_improved, "name").value_or("not improved"), how(not_improved), not_improved,
      member(not_improved, "verify"), "quantize_seconds", false);
  for (const Json& variant : list(metrics, "variants")) {
    add(text(variant, "name").value_or("variant"), how(variant), variant, member(variant, "verify"), "quantize_seconds",
        false);
  }
  std::string note;
  if (const auto digest = text(metrics, "verify.codes_sha256"); digest && !digest->empty()) {
    note = fmt::format("<p class=\"note\">SHA-256 of all codes of int8: <code>{}</code></p>\n", escaped(*digest));
  }
  return section("models", "Models", "", table.empty() ? "" : table.html() + note);
}

}  // namespace detent::report::html
