#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/evaluation/evaluate.h"
#include "detent/evaluation/rounding.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/json_text.h"
#include "detent/report/rounding_table.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

/// The targets that --target names.
std::vector<kernels::RoundingTarget> targets_of(const std::string& name) {
  std::vector<kernels::RoundingTarget> targets;
  std::vector<std::string> known{"all"};
  for (const auto& [known_name, target] : kernels::rounding_targets()) {
    known.emplace_back(known_name);
    if (name == known_name || name == "all") {
      targets.push_back(target);
    }
  }
  check(!targets.empty(), "eval: unknown target '", name, "'", hint(name, known),
        " expected detent, torch, onnx, tflite or all");
  return targets;
}

/// The int8 model under the rounding rules of others.
int eval_targets(const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  const std::string file = arguments.positionals()[0];
  const std::vector<kernels::RoundingTarget> targets = targets_of(*arguments.text("target"));
  ConsoleReporter reporter(is_json);
  std::vector<evaluation::TargetRounding> results;
  train::RunData data;
  in_pool(arguments, [&] {
    const quant::OpenedModel model = quant::open_model(file);
    check(model.model() != nullptr, "eval: --target rounds codes, and '", file, "' (", model.kind,
          ") has none: give it an int8 model");
    data = train::open_model_data(model, arguments.text("data"));
    reporter.message("data: " + data.description);
    results = evaluation::evaluate_rounding(*model.model(), targets, data.test, data.normalization, reporter);
  });
  if (is_json) {
    print(report::json_text({{"model", file},
                             {"kind", "int8"},
                             {"dataset", data.name},
                             {"dataset_description", data.description},
                             {"targets", report::to_json(results)}}));
  } else {
    print(report::to_text(results));
  }
  return 0;
}

int eval(const Arguments& arguments) {
  if (arguments.has("target")) {
    return eval_targets(arguments);
  }
  const bool is_json = arguments.has("json");
  const std::string file = arguments.positionals()[0];
  ConsoleReporter reporter(is_json);
  evaluation::Evaluation result;
  quant::OpenedModel model;
  train::RunData data;
  in_pool(arguments, [&] {
    model = quant::open_model(file);
    data = train::open_model_data(model, arguments.text("data"));
    reporter.message("data: " + data.description);
    result = model.model() != nullptr ? evaluation::evaluate(*model.model(), data.test, data.normalization, reporter)
                                      : evaluation::evaluate(*model.graph(), data.test, data.normalization, reporter);
  });
  const std::size_t images = result.predictions.size();
  if (is_json) {
    print(report::json_text({{"model", file},
                             {"kind", model.kind},
                             {"dataset", data.name},
                             {"dataset_description", data.description},
                             {"images", images},
                             {"correct", result.correct},
                             {"test_accuracy", result.accuracy()},
                             {"seconds", result.seconds}}));
  } else {
    print(fmt::format("{} ({}): {:.2f} % of {} test images right, {:.0f} images/s\n", file, model.kind,
                      100.0 * result.accuracy(), images, static_cast<double>(images) / result.seconds));
  }
  return 0;
}

}  // namespace

Command eval_command() {
  return {.spec = {.name = "eval",
                   .positionals = "MODEL.h5",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Accuracy of a model (float, QAT or int8) on the test set",
                   .example = "detent eval runs/mnist-cnn/int8.h5 --data mnist/\n"
                              "detent eval runs/mnist-cnn/int8.h5 --data mnist/ --target all",
                   .options = {data_option(),
                               {"target", "NAME",
                                "Round an int8 model as detent, torch, onnx, tflite or all do, and count what changes"},
                               threads_option(),
                               json_option()}},
          .run = eval};
}

}  // namespace detent::cli
