#include "detent/train/checkpoint.h"

#include "detent/nn/model_file.h"
#include "detent/quant/kinds/kind.h"

namespace detent::train {
namespace {

constexpr std::string_view kOptimizer = "optimizer/";

// The attribute as a T. Throws Error if it is missing or of another type.
template <typename T>
T attribute(const nn::Model& model, const std::string& name) {
  const auto found = model.attributes.find(name);
  check(found != model.attributes.end() && std::holds_alternative<T>(found->second), "not a checkpoint: no attribute '",
        name, "'");
  return std::get<T>(found->second);
}

std::int64_t count(const nn::Model& model, const std::string& name) {
  const auto value = attribute<std::int64_t>(model, name);
  check(value >= 0, name, ": expected at least 0, got ", value);
  return value;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const nn::Graph& graph, const TrainStep::State& step,
                     const TrainPosition& position) {
  nn::Model model{.graph = graph, .kind = position.phase == "qat" ? "qat" : "fp32"};
  model.attributes = {{"phase", position.phase},
                      {"epoch", position.epoch},
                      {"step", position.step},
                      {"seed", static_cast<std::int64_t>(position.seed)}};
  if (step.scaler) {
    model.attributes["loss_scale"] = static_cast<double>(step.scaler->scale);
    model.attributes["finite_steps"] = step.scaler->finite_steps;
    model.attributes["skipped_steps"] = step.scaler->skipped_steps;
  }
  for (const auto& [name, tensor] : step.optimizer) {
    model.tensors[std::string(kOptimizer) + name] = tensor;
  }
  nn::save_model(model, path);
}

Checkpoint load_checkpoint(const std::filesystem::path& path) {
  nn::Model model = nn::load_model(path, quant::factories_of());
  try {
    Checkpoint checkpoint{.graph = std::move(model.graph), .step = {}, .position = {}};
    checkpoint.position = {.phase = attribute<std::string>(model, "phase"),
                           .epoch = count(model, "epoch"),
                           .step = count(model, "step"),
                           .seed = static_cast<std::uint64_t>(attribute<std::int64_t>(model, "seed"))};
    if (model.attributes.contains("loss_scale")) {
      checkpoint.step.scaler =
          optim::GradScaler::State{.scale = static_cast<float>(attribute<double>(model, "loss_scale")),
                                   .finite_steps = count(model, "finite_steps"),
                                   .skipped_steps = count(model, "skipped_steps")};
    }
    for (const auto& [name, tensor] : model.tensors) {
      if (name.starts_with(kOptimizer)) {
        checkpoint.step.optimizer[name.substr(kOptimizer.size())] = tensor;
      }
    }
    return checkpoint;
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
}

}  // namespace detent::train
