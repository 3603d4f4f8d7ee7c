#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/evaluation/evidence/evidence.h"
#include "detent/evaluation/rounding.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/evidence/evidence_json.h"
#include "detent/report/evidence/evidence_table.h"
#include "detent/report/json_text.h"
#include "detent/report/rounding_table.h"
#include "detent/report/targets/score_text.h"
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
  check(arguments.positionals().size() == 1, "eval: --target rounds one int8 model; leave out ",
        arguments.positionals().back());
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

/// What a model must keep to, and the slices that it is looked at in.
struct Wanted {
  evaluation::CheckSettings check = {};
  std::vector<evaluation::SliceRule> slices = {};
  std::optional<recipes::Recipe> recipe = {};

  /// The recipe's numbers for these data, and those of the command line on top.
  evaluation::CheckSettings for_data(const std::string& name) const {
    evaluation::CheckSettings result = recipe ? recipe->check_for(name) : evaluation::CheckSettings();
    const auto overlay = [](auto& base, const auto& top) { base = top ? top : base; };
    overlay(result.max_drop, check.max_drop);
    overlay(result.max_slice_drop, check.max_slice_drop);
    overlay(result.min_slice_accuracy, check.min_slice_accuracy);
    overlay(result.max_flips, check.max_flips);
    overlay(result.max_calibration_error, check.max_calibration_error);
    return result;
  }
};

Wanted wanted_of(const Arguments& arguments) {
  Wanted wanted;
  if (const auto recipe = arguments.text("recipe")) {
    wanted.recipe = recipes::load_recipe(*recipe);
    wanted.slices = wanted.recipe->slices;
  }
  for (const std::string& rule : arguments.texts("slice")) {
    wanted.slices.push_back(evaluation::parse_slice(rule, rule));
  }
  const bool is_pair = arguments.positionals().size() == 2;
  for (const char* const of_pairs : {"max-drop", "max-flips"}) {
    check(is_pair || !arguments.has(of_pairs), "eval: --", of_pairs,
          " is between two models; write detent eval A.h5 B.h5");
  }
  wanted.check.max_drop = arguments.number("max-drop", 0.0, 1.0);
  wanted.check.max_slice_drop = arguments.number("max-slice-drop", 0.0, 1.0);
  wanted.check.min_slice_accuracy = arguments.number("min-slice-accuracy", 0.0, 1.0);
  wanted.check.max_flips = arguments.number("max-flips", 0.0, 1.0);
  wanted.check.max_calibration_error = arguments.number("max-calibration-error", 0.0, 1.0);
  return wanted;
}

/// Half of the time is for batches of one.
std::optional<evaluation::SpeedOptions> speed_of(const Arguments& arguments) {
  const double seconds = arguments.number("seconds", 0.0, 3600.0).value_or(0.5);
  if (seconds == 0.0) {
    return {};
  }
  evaluation::SpeedOptions options{.latency_seconds = seconds / 2.0};
  options.batch_seconds = seconds / 2.0 / static_cast<double>(options.batches.size());
  return options;
}

/// One or two models, and what became of them.
struct Evaluated {
  std::vector<quant::OpenedModel> models = {};
  train::RunData data = {};
  std::vector<evaluation::EvaluatedModel> evaluated = {};
  evaluation::Evidence evidence = {};
};

void evaluate_all(const std::vector<std::string>& files, const Arguments& arguments, const Wanted& wanted,
                  evaluation::Reporter& reporter, Evaluated& result) {
  check(files.front() != files.back() || files.size() == 1, "eval: '", files.front(),
        "' is named twice; name two models");
  for (const std::string& file : files) {
    result.models.push_back(quant::open_model(file));
  }
  result.data =
      train::open_model_data(result.models.front(), arguments.text("data"), evaluation::columns_of(wanted.slices));
  reporter.message("data: " + result.data.description);
  for (std::size_t i = 0; i < files.size(); ++i) {
    quant::OpenedModel& model = result.models[i];
    train::check_reads_alike(result.models.front(), model);
    train::check_fits(result.data.test, result.data.description, model.input_shape(), model.output_shape());
    result.evaluated.push_back(
        {.name = files[i],
         .model = &model,
         .file_bytes = static_cast<std::int64_t>(std::filesystem::file_size(files[i])),
         .evaluation = evaluation::evaluate(model, result.data.test, train::trained_on(model.attributes).normalization,
                                            reporter)});
  }
  result.evidence = evaluation::collect_evidence(result.evaluated, result.data.test,
                                                 {.slices = wanted.slices, .speed = speed_of(arguments)});
  result.evidence.verdict = evaluation::whole_verdict_of(wanted.for_data(result.data.name), result.evidence);
}

nlohmann::json for_programs(const Evaluated& result) {
  nlohmann::json json{{"dataset", result.data.name},
                      {"dataset_description", result.data.description},
                      {"images", result.data.test.size()},
                      {"class_names", result.data.test.class_names},
                      {"evidence", report::to_json(result.evidence)}};
  if (result.evaluated.size() == 1) {
    const evaluation::EvaluatedModel& one = result.evaluated.front();
    json["model"] = one.name;
    json["kind"] = one.model->kind;
    json["measure"] = evaluation::measure_of(one.evaluation.score.targets);
    json["test_accuracy"] = one.evaluation.accuracy();
    report::add_score(one.evaluation.score, "test_accuracy", json);
    json["seconds"] = one.evaluation.seconds;
  }
  return json;
}

std::string for_people(const Evaluated& result) {
  std::string text;
  for (const evaluation::EvaluatedModel& model : result.evaluated) {
    const std::size_t images = model.evaluation.predictions.size();
    const double speed = static_cast<double>(images) / model.evaluation.seconds;
    text += result.data.test.targets == data::TargetKind::kClasses
                ? fmt::format("{} ({}): {:.2f} % of {} test images right, {:.0f} images/s\n", model.name,
                              model.model->kind, 100.0 * model.evaluation.accuracy(), images, speed)
                : fmt::format("{} ({}): {}, {} test examples, {:.0f} examples/s\n", model.name, model.model->kind,
                              report::score_text(model.evaluation.score), images, speed);
  }
  return text + "\n" + report::to_text(result.evidence, result.data.test.class_names);
}

int eval(const Arguments& arguments) {
  if (arguments.has("target")) {
    return eval_targets(arguments);
  }
  const bool is_json = arguments.has("json");
  const Wanted wanted = wanted_of(arguments);
  speed_of(arguments);
  ConsoleReporter reporter(is_json);
  Evaluated result;
  in_pool(arguments, [&] { evaluate_all(arguments.positionals(), arguments, wanted, reporter, result); });
  print(is_json ? report::json_text(for_programs(result)) : for_people(result));
  for (const std::string& failure : result.evidence.verdict.failures) {
    print_error("detent: check failed: " + failure);
  }
  return result.evidence.verdict.failures.empty() ? 0 : 1;
}

}  // namespace

Command eval_command() {
  return {.spec = {.name = "eval",
                   .positionals = "A.h5 [B.h5]",
                   .min_positionals = 1,
                   .max_positionals = 2,
                   .summary = "Accuracy of a model (float, QAT or int8) on the test set, or what changed between two",
                   .example = "detent eval runs/mnist-cnn/int8.h5 --data mnist/\n"
                              "detent eval runs/mnist-cnn/fp32.h5 runs/mnist-cnn/int8.h5 --max-slice-drop 0.02\n"
                              "detent eval runs/mnist-cnn/int8.h5 --slice 'stroke_thickness < 2'\n"
                              "detent eval runs/mnist-cnn/int8.h5 --data mnist/ --target all",
                   .options =
                       {data_option(),
                        {"slice", "RULE", "Look at these examples too, such as 'brightness >= 90 %'; can be repeated"},
                        {"recipe", "RECIPE", "Take [check] and [slices] from a recipe, by name or file"},
                        {"max-drop", "SHARE", "Fail if B's accuracy is further below A's"},
                        {"max-slice-drop", "SHARE",
                         "The same in any slice of 20 examples or more; of one model, below the accuracy of the whole"},
                        {"min-slice-accuracy", "SHARE", "Fail if the (last) model's accuracy in such a slice is lower"},
                        {"max-flips", "SHARE", "Fail if A and B say different classes for more examples"},
                        {"max-calibration-error", "SHARE", "Fail if that of the (last) model is larger"},
                        {"seconds", "S", "Time for measuring the speed of each model; 0: not (default: 0.5)"},
                        {"target", "NAME",
                         "Round an int8 model as detent, torch, onnx, tflite or all do, and count what changes"},
                        threads_option(),
                        json_option()}},
          .run = eval};
}

}  // namespace detent::cli
