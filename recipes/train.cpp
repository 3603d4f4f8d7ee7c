#include "recipes/train.h"

#include <cmath>

#include "autograd/ops.h"
#include "optim/adam.h"
#include "optim/schedule.h"
#include "optim/sgd.h"
#include "recipes/evaluate.h"

namespace detent::recipes {
namespace {

std::unique_ptr<optim::Optimizer> make_optimizer(nn::Graph& graph, const TrainSection& train) {
  std::vector<optim::ParameterRef> parameters;
  for (const nn::NamedParameter& named : graph.parameters()) {
    parameters.push_back({.name = named.name,
                          .value = &named.parameter->value,
                          .gradient = &named.parameter->gradient,
                          .decay = named.parameter->decay});
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

optim::Schedule make_schedule(const TrainSection& train, double learning_rate, std::int64_t steps_per_epoch) {
  optim::Schedule schedule{.base = learning_rate, .warmup = {.steps = train.warmup_steps}};
  switch (train.schedule) {
    case ScheduleKind::Constant:
      break;
    case ScheduleKind::Step:
      schedule.shape = optim::StepRate{.period = train.step_epochs * steps_per_epoch, .gamma = train.step_factor};
      break;
    case ScheduleKind::Cosine:
      schedule.shape = optim::CosineRate{.floor = train.final_learning_rate};
      break;
    case ScheduleKind::OneCycle:
      schedule.shape = optim::OneCycleRate{.rise = train.warmup_share};
      break;
  }
  return schedule;
}

Tensor one_hot(const Tensor& labels, std::int64_t classes) {
  Tensor target = Tensor::zeros({labels.elements(), classes}, DType::F32);
  std::size_t row = 0;
  for (const std::int32_t label : labels.data<std::int32_t>()) {
    target.data<float>()[row * static_cast<std::size_t>(classes) + static_cast<std::size_t>(label)] = 1.0F;
    ++row;
  }
  return target;
}

nn::Variable loss_of(const nn::Variable& logits, const Tensor& labels, const TrainSection& train) {
  switch (train.loss) {
    case LossKind::SquaredHinge:
      return autograd::squared_hinge(logits, labels);
    case LossKind::MeanSquaredError:
      return autograd::mean_squared_error(logits, one_hot(labels, logits.shape().row_elements()));
    case LossKind::CrossEntropy:
      break;
  }
  return autograd::cross_entropy(logits, labels, train.label_smoothing);
}

// Sums over the examples of one epoch, for progress.
struct EpochSums {
  std::int64_t examples = 0;
  std::int64_t correct = 0;
  double loss = 0.0;
};

}  // namespace

double train(nn::Graph& graph, const data::Dataset& dataset, const TrainOptions& options, const TrainPhase& phase,
             Reporter& reporter) {
  const TrainSection& settings = options.train;
  data::Loader loader(dataset, {.batch = settings.batch,
                                .shuffle = true,
                                .seed = options.seed,
                                .augment = options.augment,
                                .normalization = options.normalization});
  const std::int64_t steps_per_epoch = loader.batches_per_epoch();
  const std::int64_t steps = phase.epochs * steps_per_epoch;
  const std::unique_ptr<optim::Optimizer> optimizer = make_optimizer(graph, settings);
  const optim::Schedule schedule = make_schedule(settings, phase.learning_rate, steps_per_epoch);

  Arena arena;
  PhaseClock clock(reporter, phase.name, phase.epochs, steps_per_epoch, phase.epochs * dataset.size());
  std::int64_t step = 0;
  for (std::int64_t epoch = 0; epoch < phase.epochs; ++epoch) {
    clock.begin_epoch();
    loader.begin_epoch(phase.first_epoch + epoch);
    EpochSums sums;
    for (data::Batch batch; loader.next(batch); ++step) {
      if (phase.before_step) {
        phase.before_step(step, steps);
      }
      {
        nn::Tape tape(&arena);
        nn::Context context{.tape = tape,
                            .training = true,
                            .product_dtype = settings.precision,
                            .seed = options.seed,
                            .step = static_cast<std::uint64_t>(phase.first_epoch * steps_per_epoch + step)};
        const nn::Variable logits = graph.forward(context, tape.constant(batch.images));
        const nn::Variable loss = loss_of(logits, batch.labels, settings);
        const double value = loss.value().item();
        check(std::isfinite(value), phase.name, " training: the loss is not finite at step ", step + 1, " of ", steps,
              "; lower learning_rate, or set clip_norm");
        tape.backward(loss);
        sums.loss += value * static_cast<double>(batch.size());
        sums.correct += count_correct(predictions_of(logits.value()), batch.labels);
        sums.examples += batch.size();
      }
      if (settings.clip_norm > 0.0) {
        optim::clip_grad_norm(optimizer->parameters(), settings.clip_norm);
      }
      optimizer->step(optim::learning_rate(schedule, step, steps));
      optimizer->clear_gradients();
      const auto seen = static_cast<double>(sums.examples);
      clock.batch_done(batch.size(), sums.loss / seen, static_cast<double>(sums.correct) / seen);
    }
  }
  return clock.seconds();
}

}  // namespace detent::recipes
