#include "detent/evaluation/verify.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/evaluation/evaluate.h"
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

int verify(const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  ConsoleReporter reporter(is_json);
  evaluation::VerifyReport report;
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
  });
  if (is_json) {
    print(report::json_text(report::to_json(report)));
  } else {
    print(report::with_separators(report.codes_compared) + " codes of " + std::to_string(report.layers.size()) +
          " layers compared over " + report::with_separators(report.images) + " examples: " +
          report::with_separators(report.codes_mismatched) + " differ, " + std::to_string(report.predictions_changed) +
          " predictions changed\ncodes_sha256 " + report.codes_sha256 + "\n");
  }
  if (!report.passed()) {
    std::istringstream lines(evaluation::to_text(report));
    for (std::string line; std::getline(lines, line);) {
      print_error("detent: verification failed: " + line);
    }
  }
  return report.passed() ? 0 : 1;
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
