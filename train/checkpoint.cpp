#include "detent/train/checkpoint.h"

#include <cmath>

#include "detent/nn/model_file.h"

namespace detent::train {
namespace {

constexpr std::string_view kOptimizer = "optimizer/";
constexpr std::int64_t kVersion = 1;

// Takes the attribute out as a T. Throws Error if it is missing or of another type.
template <typename T>
T take(Attributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  check(found != attributes.end() && std::holds_alternative<T>(found->second), "not a checkpoint: no attribute '", name,
        "'");
  T value = std::get<T>(std::move(found->second));
  attributes.erase(found);
  return value;
}

std::int64_t take_count(Attributes& attributes, const std::string& name) {
  const auto value = take<std::int64_t>(attributes, name);
  check(value >= 0, name, ": expected at least 0, got ", value);
  return value;
}

double take_finite(Attributes& attributes, const std::string& name) {
  const auto value = take<double>(attributes, name);
  check(std::isfinite(value), name, ": expected a finite number, got ", value);
  return value;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const nn::Graph& graph, const TrainStep::State& step,
                     const TrainPosition& position, const Attributes& others) {
  nn::Model model{.graph = graph, .kind = position.phase == "qat" ? "qat" : "fp32", .attributes = others};
  const auto set = [&](const std::string& name, TensorFile::Attribute value) {
    check(model.attributes.emplace(name, std::move(value)).second, "checkpoint: the attribute '", name,
          "' is the format's own");
  };
  set("checkpoint", kVersion);
  set("phase", position.phase);
  set("epoch", position.epoch);
  set("step", position.step);
  set("seed", static_cast<std::int64_t>(position.seed));
  set("loss", position.loss);
  set("drop_last", std::int64_t{position.drop_last});
  set("progress", to_json_text(position.progress));
  if (step.scaler) {
    set("loss_scale", static_cast<double>(step.scaler->scale));
    set("finite_steps", step.scaler->finite_steps);
    set("skipped_steps", step.scaler->skipped_steps);
  }
  for (const auto& [name, tensor] : step.optimizer) {
    model.tensors[std::string(kOptimizer) + name] = tensor;
  }
  nn::save_model(model, path);
}

Checkpoint load_checkpoint(const std::filesystem::path& path, const quant::Kinds& kinds) {
  nn::Model model = nn::load_model(path, quant::factories_of(kinds));
  try {
    Attributes& attributes = model.attributes;
    const auto version = take<std::int64_t>(attributes, "checkpoint");
    check(version == kVersion, "checkpoint: expected version ", kVersion, ", got ", version,
          ": it was written by another version of the program");
    Checkpoint checkpoint{.graph = std::move(model.graph), .step = {}, .position = {}};
    checkpoint.position = {.phase = take<std::string>(attributes, "phase"),
                           .epoch = take_count(attributes, "epoch"),
                           .step = take_count(attributes, "step"),
                           .seed = static_cast<std::uint64_t>(take<std::int64_t>(attributes, "seed")),
                           .loss = take_finite(attributes, "loss"),
                           .drop_last = take_count(attributes, "drop_last") != 0,
                           .progress = progress_state_of(take<std::string>(attributes, "progress"))};
    if (attributes.contains("loss_scale")) {
      checkpoint.step.scaler =
          optim::GradScaler::State{.scale = static_cast<float>(take_finite(attributes, "loss_scale")),
                                   .finite_steps = take_count(attributes, "finite_steps"),
                                   .skipped_steps = take_count(attributes, "skipped_steps")};
    }
    for (const auto& [name, tensor] : model.tensors) {
      if (name.starts_with(kOptimizer)) {
        checkpoint.step.optimizer[name.substr(kOptimizer.size())] = tensor;
      }
    }
    checkpoint.others = std::move(attributes);
    return checkpoint;
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
}

}  // namespace detent::train
