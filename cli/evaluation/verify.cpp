#include "detent/evaluation/verify.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/evaluation/evaluate.h"
#include "detent/interchange/same/difference.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_json.h"
#include "detent/report/metrics_table.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

quant::OpenedModel load(const std::string& file, const std::string& kind) {
  quant::OpenedModel model = quant::open_model(file);
  check(model.kind == kind, file, ": expected a model of kind '", kind, "', got '", model.kind,
        "'; write detent verify qat.h5 int8.h5");
  return model;
}

/// A number in `shipped` that is not the one that `prepared` converts to, though both have it: a code or a scale that
/// no example of the data came upon makes no layer differ.
std::optional<interchange::Difference> changed_number(const nn::Graph& prepared, const runtime::Model& shipped) {
  using interchange::CanonicalModel;
  CanonicalModel expected = interchange::canonical({.kind = "int8", .content = quant::convert(prepared).model});
  CanonicalModel actual = interchange::canonical({.kind = "int8", .content = shipped});
  std::erase_if(expected.tensors, [&](const auto& named) {
    const auto other = actual.tensors.find(named.first);
    return other == actual.tensors.end() || other->second.dtype() != named.second.dtype() ||
           other->second.shape() != named.second.shape();
  });
  std::erase_if(actual.tensors, [&](const auto& named) { return !expected.tensors.contains(named.first); });
  actual.graph = expected.graph;
  return interchange::first_difference(expected, actual);
}

int verify(const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  ConsoleReporter reporter(is_json);
  evaluation::VerifyReport report;
  std::optional<interchange::Difference> changed;
  in_pool(arguments, [&] {
    const quant::OpenedModel qat = load(arguments.positionals()[0], "qat");
    const quant::OpenedModel int8 = load(arguments.positionals()[1], "int8");
    const bool is_hybrid = std::ranges::any_of(int8.model()->nodes, [](const runtime::Node& node) {
      return std::holds_alternative<runtime::HybridProduct>(node.op);
    });
    check(!is_hybrid, arguments.positionals()[1], ": has no codes between its layers to compare; detent quantize ",
          "--data DIR verifies a dynamic model, detent compare FP32.h5 INT8.h5 shows where two part");
    const train::RunData data = train::open_model_data(qat, arguments.text("data"));
    reporter.message("data: " + data.description);
    report = evaluation::verify(*qat.graph(), *int8.model(), data.test, data.normalization, reporter);
    changed = changed_number(*qat.graph(), *int8.model());
  });
  const std::string change = changed ? to_text(*changed, "the converted model", arguments.positionals()[1]) : "";
  const bool has_passed = report.passed() && !changed;
  if (is_json) {
    nlohmann::json json = report::to_json(report);
    json["passed"] = has_passed;
    json["changed_number"] = changed ? nlohmann::json(change) : nlohmann::json(nullptr);
    print(report::json_text(json));
  } else {
    print(report::with_separators(report.codes_compared) + " codes of " + std::to_string(report.layers.size()) +
          " layers compared over " + report::with_separators(report.images) + " examples: " +
          report::with_separators(report.codes_mismatched) + " differ, " + std::to_string(report.predictions_changed) +
          " predictions changed\ncodes_sha256 " + report.codes_sha256 + "\n");
  }
  std::istringstream lines(evaluation::to_text(report));
  for (std::string line; std::getline(lines, line);) {
    print_error("detent: verification failed: " + line);
  }
  if (changed) {
    print_error("detent: verification failed: " + change);
  }
  return has_passed ? 0 : 1;
}

}  // namespace

Command verify_command() {
  return {.spec = {.name = "verify",
                   .positionals = "QAT.h5 INT8.h5",
                   .min_positionals = 2,
                   .max_positionals = 2,
                   .summary = "Compare the codes of every layer of a QAT model and its int8 model",
                   .example = "detent verify runs/mnist-cnn/qat.h5 runs/mnist-cnn/int8.h5 --data mnist/",
                   .options = {data_option(), threads_option(), json_option()}},
          .run = verify};
}

}  // namespace detent::cli
