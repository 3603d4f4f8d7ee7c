#include "detent/train/epochs/progress_state.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/io/description.h"

namespace detent::train {
namespace {

using evaluation::EpochResult;
using evaluation::TargetScore;
using nlohmann::json;

json or_null(const std::optional<double>& number) { return number ? json(*number) : json(nullptr); }

std::optional<double> optional_at(const json& object, const char* key) {
  const json& value = object.at(key);
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

json json_of(const EpochResult& epoch) {
  return {{"phase", epoch.phase},
          {"epoch", epoch.epoch},
          {"loss", epoch.loss},
          {"accuracy", epoch.accuracy},
          {"validation_loss", or_null(epoch.validation_loss)},
          {"validation_accuracy", or_null(epoch.validation_accuracy)},
          {"learning_rate", epoch.learning_rate}};
}

EpochResult epoch_of(const json& object) {
  return {.phase = object.at("phase"),
          .epoch = object.at("epoch"),
          .loss = object.at("loss"),
          .accuracy = object.at("accuracy"),
          .validation_loss = optional_at(object, "validation_loss"),
          .validation_accuracy = optional_at(object, "validation_accuracy"),
          .learning_rate = object.at("learning_rate")};
}

json json_of(const TargetScore& score) {
  json columns = json::array();
  for (const TargetScore::Column& column : score.columns) {
    columns.push_back({column.mean, column.deviation, column.absolute_error, column.squared_error});
  }
  return {{"targets", std::string(data::name_of(score.targets))},
          {"examples", score.examples},
          {"correct", score.correct},
          {"flags", score.flags},
          {"flags_right", score.flags_right},
          {"columns", std::move(columns)}};
}

data::TargetKind targets_of(const std::string& name) {
  for (const auto kind : {data::TargetKind::kClasses, data::TargetKind::kValues, data::TargetKind::kFlags}) {
    if (name == data::name_of(kind)) {
      return kind;
    }
  }
  fail("unknown targets '", name, "'");
}

TargetScore score_of(const json& object) {
  TargetScore score{.targets = targets_of(object.at("targets")),
                    .examples = object.at("examples"),
                    .correct = object.at("correct"),
                    .flags = object.at("flags"),
                    .flags_right = object.at("flags_right")};
  for (const json& column : object.at("columns")) {
    score.columns.push_back({.mean = column.at(0),
                             .deviation = column.at(1),
                             .absolute_error = column.at(2),
                             .squared_error = column.at(3)});
  }
  return score;
}

ProgressState state_of(const json& object) {
  ProgressState state{.best_epoch = object.at("best_epoch"),
                      .best = optional_at(object, "best"),
                      .loss_sum = object.at("loss_sum"),
                      .score = score_of(object.at("score"))};
  const json& plateau = object.at("plateau");
  state.plateau = {
      .multiplier = plateau.at("multiplier"), .best = optional_at(plateau, "best"), .waited = plateau.at("waited")};
  for (const json& epoch : object.at("epochs")) {
    state.epochs.push_back(epoch_of(epoch));
  }
  const bool is_known = state.best_epoch == 0 || std::ranges::any_of(state.epochs, [&](const EpochResult& epoch) {
                          return epoch.epoch == state.best_epoch;
                        });
  check(is_known && state.plateau.waited >= 0 && state.score.examples >= 0, "a count is out of range");
  return state;
}

}  // namespace

std::string to_json_text(const ProgressState& state) {
  json epochs = json::array();
  for (const EpochResult& epoch : state.epochs) {
    epochs.push_back(json_of(epoch));
  }
  return json{{"epochs", std::move(epochs)},
              {"best_epoch", state.best_epoch},
              {"best", or_null(state.best)},
              {"plateau",
               {{"multiplier", state.plateau.multiplier},
                {"best", or_null(state.plateau.best)},
                {"waited", state.plateau.waited}}},
              {"loss_sum", state.loss_sum},
              {"score", json_of(state.score)}}
      .dump();
}

ProgressState progress_state_of(std::string_view json_text) {
  const json object = parse_description("progress of training", json_text);
  try {
    return state_of(object);
  } catch (const json::exception& error) {
    fail("progress of training: ", error.what());
  } catch (const Error& error) {
    fail("progress of training: ", error.what());
  }
}

}  // namespace detent::train
