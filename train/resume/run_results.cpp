#include "detent/train/resume/run_results.h"

#include "detent/io/description.h"
#include "detent/report/json_text.h"
#include "detent/train/epochs/progress_state.h"

namespace detent::train {
namespace {

using evaluation::Calibration;
using evaluation::TrainedResult;
using nlohmann::json;

json json_of(const TrainedResult& result) {
  json object{{"test_accuracy", result.test_accuracy},
              {"train_seconds", result.train_seconds},
              {"model_bytes", result.model_bytes},
              {"precision", std::string(name_of(result.precision))},
              {"steps", result.steps},
              {"was_trained_before", result.was_trained_before},
              {"loss", result.loss},
              {"score", to_json_text(ProgressState{.score = result.score})}};
  if (result.scaler) {
    object["scaler"] = {result.scaler->scale, result.scaler->finite_steps, result.scaler->skipped_steps};
  }
  return object;
}

TrainedResult trained_of(const json& object) {
  TrainedResult result{.test_accuracy = object.at("test_accuracy"),
                       .train_seconds = object.at("train_seconds"),
                       .model_bytes = object.at("model_bytes"),
                       .precision = dtype_from_name(object.at("precision").get<std::string>()),
                       .steps = object.at("steps"),
                       .was_trained_before = object.at("was_trained_before"),
                       .loss = object.at("loss"),
                       .score = progress_state_of(object.at("score").get<std::string>()).score};
  if (object.contains("scaler")) {
    const json& scaler = object.at("scaler");
    result.scaler =
        optim::GradScaler::State{.scale = scaler.at(0), .finite_steps = scaler.at(1), .skipped_steps = scaler.at(2)};
  }
  return result;
}

json json_of(const MinMax& range) { return json::array({range.min, range.max}); }

MinMax range_of(const json& pair) { return {.min = pair.at(0), .max = pair.at(1)}; }

json json_of(const Calibration& calibration) {
  json growths = json::array();
  for (const Calibration::Growth& growth : calibration.growths) {
    growths.push_back({{"name", growth.name}, {"before", json_of(growth.before)}, {"after", json_of(growth.after)}});
  }
  return {{"examples", calibration.examples}, {"last", calibration.last}, {"growths", std::move(growths)}};
}

Calibration calibration_of(const json& object) {
  Calibration calibration{.examples = object.at("examples"), .last = object.at("last")};
  for (const json& growth : object.at("growths")) {
    calibration.growths.push_back(
        {.name = growth.at("name"), .before = range_of(growth.at("before")), .after = range_of(growth.at("after"))});
  }
  return calibration;
}

// As the text of what training remembers, of which they are a part.
std::vector<evaluation::EpochResult> epochs_of(const json& text) {
  return progress_state_of(text.get<std::string>()).epochs;
}

RunResults results_of(const json& object) {
  RunResults results{.fp32_sha256 = object.at("fp32_sha256"),
                     .in_float_seconds = object.at("in_float_seconds"),
                     .in_float_steps = object.at("in_float_steps"),
                     .epochs = epochs_of(object.at("epochs")),
                     .in_float_epochs = epochs_of(object.at("in_float_epochs"))};
  if (object.contains("fp32")) {
    results.fp32 = trained_of(object.at("fp32"));
  }
  if (object.contains("calibration")) {
    results.calibration = calibration_of(object.at("calibration"));
  }
  return results;
}

}  // namespace

std::string to_json_text(const RunResults& results) {
  json object{{"fp32_sha256", results.fp32_sha256},
              {"in_float_seconds", results.in_float_seconds},
              {"in_float_steps", results.in_float_steps},
              {"epochs", to_json_text(ProgressState{.epochs = results.epochs})},
              {"in_float_epochs", to_json_text(ProgressState{.epochs = results.in_float_epochs})}};
  if (results.fp32) {
    object["fp32"] = json_of(*results.fp32);
  }
  if (results.calibration) {
    object["calibration"] = json_of(*results.calibration);
  }
  return report::json_text(object);
}

RunResults run_results_of(std::string_view json_text) {
  const json object = parse_description("results of a run", json_text);
  try {
    return results_of(object);
  } catch (const json::exception& error) {
    fail("results of a run: ", error.what());
  }
}

}  // namespace detent::train
