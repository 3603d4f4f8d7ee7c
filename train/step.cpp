#include "detent/train/step.h"

#include <cmath>

#include "detent/autograd/ops.h"
#include "detent/optim/adam.h"
#include "detent/optim/sgd.h"
#include "detent/train/losses/loss.h"

namespace detent::train {
namespace {

using Phase = Profiler::Phase;

std::unique_ptr<optim::Optimizer> make_optimizer(nn::Graph& graph, const TrainSettings& train) {
  std::vector<optim::ParameterRef> parameters;
  for (const nn::NamedParameter& named : graph.parameters()) {
    parameters.push_back({.name = named.name,
                          .value = &named.parameter->value,
                          .gradient = &named.parameter->gradient,
                          .decay = named.parameter->decay,
                          .owner = named.parameter});
  }
  auto groups = optim::groups_by_decay(std::move(parameters), train.weight_decay);
  switch (train.optimizer) {
    case OptimizerKind::Sgd:
      return std::make_unique<optim::Sgd>(std::move(groups),
                                          optim::Sgd::Options{.momentum = train.momentum, .nesterov = train.nesterov});
    case OptimizerKind::AdamW:
      return std::make_unique<optim::AdamW>(std::move(groups));
    case OptimizerKind::Adam:
      break;
  }
  return std::make_unique<optim::Adam>(std::move(groups));
}

}  // namespace

nn::Variable Teacher::loss(const nn::Variable& logits, const nn::Variable& of_labels, const Tensor& images) {
  const std::int64_t batch = images.shape()[0];
  const Tensor& taught = plans_.try_emplace(batch, model_, batch).first->second.run(images);
  return autograd::add(autograd::scale(of_labels, 1.0 - share_),
                       autograd::scale(autograd::distillation(logits, taught, temperature_), share_));
}

TrainStep::TrainStep(nn::Graph& graph, const TrainSettings& settings, std::uint64_t seed)
    : graph_(graph), settings_(settings), seed_(seed), optimizer_(make_optimizer(graph, settings)) {
  check_loss(graph, settings);
  if (settings.precision == DType::F16) {
    scaler_.emplace();
  }
}

TrainStep::Result TrainStep::run(const Tensor& images, const Tensor& labels, double learning_rate,
                                 std::uint64_t number) {
  Result result = accumulate(images, labels, 1.0, number);
  result.is_skipped = !apply(learning_rate);
  return result;
}

TrainStep::Result TrainStep::accumulate(const Tensor& images, const Tensor& labels, double share,
                                        std::uint64_t number) {
  Result result;
  nn::Tape tape(&arena_);
  tape.set_profiler(profiler_);
  nn::Context context{
      .tape = tape, .training = true, .product_dtype = settings_.precision, .seed = seed_, .step = number};
  const std::size_t bytes_before = arena_.bytes_in_use();
  const nn::Variable logits = graph_.forward(context, tape.constant(images));
  const nn::Variable loss = profiled_loss(logits, labels, images);
  result.saved_bytes = arena_.bytes_in_use() - bytes_before;
  result.loss = loss.value().item();
  if (!std::isfinite(result.loss)) {
    optimizer_->clear_gradients();
    throw LossNotFinite(std::string("the loss is not finite; ") +
                        (settings_.precision == DType::F16
                             ? "most likely a value of the forward pass is above 65504, fp16's largest: set [train] "
                               "precision = \"bf16\", or lower learning_rate"
                             : "lower learning_rate, or set clip_norm"));
  }
  result.score.targets = targets_of(settings_.loss, labels);
  result.score.add(logits.value(), labels);
  tape.backward(loss, share * (scaler_ ? static_cast<double>(scaler_->scale()) : 1.0));
  return result;
}

bool TrainStep::apply(double learning_rate) {
  const ProfiledScope scope(profiler_, "optimizer", Phase::Optimizer);
  const bool is_taken = step_weights(learning_rate);
  optimizer_->clear_gradients();
  return is_taken;
}

nn::Variable TrainStep::profiled_loss(const nn::Variable& logits, const Tensor& labels, const Tensor& images) const {
  const ProfiledScope scope(profiler_, "loss", Phase::Forward);
  const std::size_t bytes_before = arena_.bytes_in_use();
  nn::Variable loss = loss_of(logits, labels, settings_);
  if (teacher_ != nullptr) {
    const ProfiledScope teaching(profiler_, "teacher", Phase::Forward);
    loss = teacher_->loss(logits, loss, images);
  }
  if (profiler_ != nullptr) {
    profiler_->set_saved(profiler_->current(), static_cast<std::int64_t>(arena_.bytes_in_use() - bytes_before));
  }
  return loss;
}

// Whether a step was taken. Gradients are unscaled before they are clipped, for the norm is that of the true ones.
bool TrainStep::step_weights(double learning_rate) {
  if (scaler_) {
    scaler_->unscale(optimizer_->parameters());
  }
  if (settings_.clip_norm > 0.0) {
    const double norm = optim::clip_grad_norm(optimizer_->parameters(), settings_.clip_norm);
    check(scaler_ || std::isfinite(norm), "the gradients are not finite; lower learning_rate");
  }
  if (!scaler_) {
    optimizer_->step(learning_rate);
    return true;
  }
  const bool is_taken = scaler_->step(*optimizer_, learning_rate);
  scaler_->update();
  return is_taken;
}

TrainStep::State TrainStep::state() {
  State state;
  for (const auto& [name, tensor] : optimizer_->state()) {
    state.optimizer[name] = *tensor;
  }
  state.scaler = scaler();
  return state;
}

void TrainStep::set_state(const State& state) {
  check(state.scaler.has_value() == scaler_.has_value(), "training: expected the state of a run ",
        scaler_ ? "with" : "without", " loss scaling; set [train] precision as that run had it");
  optimizer_->set_state(state.optimizer);
  if (scaler_) {
    scaler_->set_state(*state.scaler);
  }
}

}  // namespace detent::train
