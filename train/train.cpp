#include "detent/train/train.h"

#include <algorithm>

#include "detent/core/threads/finish_first.h"
#include "detent/nn/finite.h"
#include "detent/optim/schedule.h"
#include "detent/report/profile_table.h"
#include "detent/train/batches.h"
#include "detent/train/resume/phase_saver.h"
#include "detent/train/step.h"

namespace detent::train {
namespace {

optim::Schedule make_schedule(const TrainSettings& train, double learning_rate, std::int64_t steps_per_epoch) {
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

// Where to begin.
TrainPosition resume(TrainStep& train_step, const TrainOptions& options, const TrainPhase& phase,
                     std::int64_t steps_per_epoch) {
  if (phase.resume == nullptr) {
    return {.phase = phase.name, .epoch = phase.begin, .step = phase.begin * steps_per_epoch, .seed = options.seed};
  }
  const TrainPosition& position = phase.resume->position;
  const std::int64_t end = phase.end.value_or(phase.epochs);
  const std::int64_t in_epoch = position.step - position.epoch * steps_per_epoch;
  check(position.phase == phase.name && position.seed == options.seed && position.epoch >= phase.begin &&
            position.epoch <= end && in_epoch >= 0 && in_epoch <= (position.epoch < end ? steps_per_epoch : 0),
        phase.name, " training: the checkpoint is of ", position.phase, " training, epoch ", position.epoch, ", step ",
        position.step, ", seed ", position.seed, ", which this run does not pass through");
  train_step.set_state(phase.resume->step);
  return position;
}

// What training left behind: the next loss would tell of it, but after the last step there is none, and codes hide it.
void check_finite(const nn::Graph& graph, TrainStep& train_step) {
  try {
    nn::check_finite(graph, "the model");
    for (const auto& [name, tensor] : train_step.optimizer().state()) {
      if (tensor->dtype() == DType::F32) {
        nn::check_finite(std::as_const(*tensor).data<float>(), "the optimizer: " + name);
      }
    }
  } catch (const Error& error) {
    fail(error.what(), " lower learning_rate, or set clip_norm");
  }
}

// Calls `work`, with the phase in front of its errors.
template <typename Work>
void in_phase(const TrainPhase& phase, std::string_view unit, std::int64_t number, std::int64_t count, Work work) {
  try {
    work();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    fail(phase.name, " training: ", unit, " ", number, " of ", count, ": ", error.what());
  }
}

TrainResult train_epochs(nn::Graph& graph, const data::Dataset& dataset, const TrainOptions& options,
                         const TrainPhase& phase, evaluation::Reporter& reporter, TrainStep& train_step,
                         TrainPosition& position, PhaseSaver& saver) {
  const TrainSettings settings =
      phase.resume == nullptr ? options.train : with_batches_of(options.train, phase.resume->position);
  const Batches batches = cut_batches(graph, settings, dataset.size());
  data::Loader loader(dataset, {.batch = settings.batch,
                                .shuffle = true,
                                .seed = options.seed,
                                .augment = options.augment,
                                .drop_last = batches.drop_last,
                                .normalization = options.normalization});
  const std::int64_t steps_per_epoch = batches.per_epoch;
  const std::int64_t steps = count_steps(batches, phase.epochs);
  Profiler profiler;
  Profiler* const profiler_or_null = options.profile ? &profiler : nullptr;
  train_step.set_profiler(profiler_or_null);
  train_step.set_teacher(phase.teacher);
  const optim::Schedule schedule = make_schedule(settings, phase.learning_rate, steps_per_epoch);

  position = resume(train_step, options, phase, steps_per_epoch);
  position.drop_last = batches.drop_last;
  const std::int64_t end = phase.end.value_or(phase.epochs);
  const std::int64_t seen_before = (position.step - position.epoch * steps_per_epoch) * settings.batch;
  evaluation::PhaseClock clock(reporter, phase.name, phase.epochs, steps_per_epoch,
                               (end - position.epoch) * batches.examples - seen_before);
  std::int64_t step = position.step;
  TrainResult trained{.steps = (end - phase.begin) * steps_per_epoch, .loss = position.loss};
  for (std::int64_t epoch = position.epoch; epoch < end; ++epoch) {
    const std::int64_t first = step - epoch * steps_per_epoch;
    clock.begin_epoch(epoch + 1, first);
    loader.seek({phase.first_epoch + epoch, first});
    ProgressState& progress = position.progress;
    const auto next = [&](data::Batch& batch) {
      const ProfiledScope scope(profiler_or_null, "data", Profiler::Phase::Data);
      return loader.next(batch);
    };
    for (data::Batch batch; next(batch); ++step) {
      saver.step_begins();
      if (phase.before_step) {
        const FinishFirst patience(PhaseSaver::kPatience);
        phase.before_step(step, steps);
      }
      const auto number = static_cast<std::uint64_t>(phase.first_epoch * steps_per_epoch + step);
      const double rate = optim::learning_rate(schedule, step, steps);
      TrainStep::Result result;
      in_phase(phase, "step", step + 1, steps, [&] {
        const FinishFirst patience(PhaseSaver::kPatience);
        result = train_step.run(batch.examples, batch.labels, rate, number);
      });
      trained.loss = position.loss = result.loss;
      progress.loss_sum += result.loss * static_cast<double>(batch.size());
      progress.score.correct += result.correct;
      progress.score.examples += batch.size();
      position.step = step + 1;
      saver.step_done();
      clock.batch_done(batch.size(), progress.loss_sum / static_cast<double>(progress.score.examples),
                       progress.score.value(), train_step.scaler());
    }
    in_phase(phase, "epoch", epoch + 1, phase.epochs, [&] {
      check_finite(graph, train_step);
      check(epoch + 1 < end || !train_step.scaler() || train_step.scaler()->skipped_steps < trained.steps,
            "every step was skipped, for gradients pass the largest number of fp16; set [train] precision = ",
            "\"bf16\" or \"fp32\", or lower learning_rate");
    });
    position.epoch = epoch + 1;
    progress.loss_sum = 0.0;
    progress.score = {};
    saver.epoch_done();
  }
  if (options.profile && end > phase.begin) {
    reporter.message(phase.name + " training: where the time went\n" + report::profile_table(profiler, trained.steps));
  }
  trained.seconds = end > phase.begin ? clock.seconds() : 0.0;
  trained.scaler = train_step.scaler();
  return trained;
}

}  // namespace

TrainResult train_phase(nn::Graph& graph, const data::Dataset& dataset, const TrainOptions& options,
                        const TrainPhase& phase, evaluation::Reporter& reporter) {
  TrainStep train_step(graph, options.train, options.seed);
  TrainPosition position;
  PhaseSaver saver(graph, train_step, options, reporter, [&] { return position; });
  TrainResult trained = saver.saved_if_interrupted(
      [&] { return train_epochs(graph, dataset, options, phase, reporter, train_step, position, saver); });
  saver.save();
  trained.writes_checkpoints = saver.writes();
  return trained;
}

}  // namespace detent::train
