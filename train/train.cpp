#include "detent/train/train.h"

#include <fmt/format.h>

#include <algorithm>

#include "detent/core/threads/finish_first.h"
#include "detent/nn/finite.h"
#include "detent/optim/schedule.h"
#include "detent/report/profile_table.h"
#include "detent/train/batches.h"
#include "detent/train/epochs/epoch_judge.h"
#include "detent/train/epochs/not_finite.h"
#include "detent/train/epochs/snapshot.h"
#include "detent/train/epochs/validation.h"
#include "detent/train/losses/loss.h"
#include "detent/train/resume/phase_saver.h"
#include "detent/train/step.h"
#include "detent/train/warnings.h"

namespace detent::train {
namespace {

optim::Schedule make_schedule(const TrainSettings& train, double learning_rate, std::int64_t steps_per_epoch) {
  optim::Schedule schedule{.base = learning_rate, .warmup = {.steps = train.warmup_steps}};
  switch (train.schedule) {
    case ScheduleKind::Constant:
    case ScheduleKind::Plateau:  // EpochJudge::multiplier
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

// [train] of this phase.
TrainSettings settings_of(const TrainOptions& options, const TrainPhase& phase) {
  return phase.resume == nullptr ? options.train : with_batches_of(options.train, phase.resume->position);
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

class PhaseTraining {
 public:
  PhaseTraining(nn::Graph& graph, const data::Dataset& dataset, const TrainOptions& options, const TrainPhase& phase,
                evaluation::Reporter& reporter)
      : graph_(graph),
        options_(options),
        phase_(phase),
        reporter_(reporter),
        settings_(settled_for(settings_of(options, phase), dataset)),
        batches_(cut_batches(graph, settings_, dataset.size())),
        loader_(dataset, {.batch = settings_.batch,
                          .shuffle = true,
                          .seed = options.seed,
                          .augment = options.augment,
                          .drop_last = batches_.drop_last,
                          .normalization = options.normalization}),
        steps_(count_steps(batches_, phase.epochs)),
        train_step_(graph, settings_, options.seed),
        begin_(resume(train_step_, options, phase, batches_.steps_per_epoch())),
        judge_(settings_, begin_.progress),
        schedule_(make_schedule(settings_, phase.learning_rate, batches_.steps_per_epoch())),
        end_(phase.end.value_or(phase.epochs)),
        clock_(reporter, phase.name, phase.epochs, batches_.per_epoch, examples_left()),
        step_(begin_.step),
        saver_(graph, train_step_, options, reporter, [this] { return position(); }) {
    trained_.loss = begin_.loss;
    rate_ = begin_.step == 0 ? 0.0 : optim::learning_rate(schedule_, begin_.step - 1, steps_) * judge_.multiplier();
    check_validation(settings_, phase.validation != nullptr);
    train_step_.set_profiler(profiler_or_null());
    train_step_.set_teacher(phase.teacher);
    clock_.set_measure(evaluation::measure_of(dataset.targets), phase.validation != nullptr);
    if (settings_.keep == Keep::Best && judge_.state().best_epoch > 0) {
      const bool is_here = judge_.is_best() && step_ == begin_.epoch * batches_.steps_per_epoch();
      best_.emplace(is_here ? graph : load_checkpoint(best_checkpoint(options.checkpoint)).graph);
    }
    kept_step_ = judge_.state().best_epoch * batches_.steps_per_epoch();
  }

  TrainResult run() {
    bool is_stopped = !judge_.state().epochs.empty() && judge_.should_stop();
    saver_.saved_if_interrupted([&] {
      for (std::int64_t epoch = begin_.epoch; epoch < end_ && !is_stopped; ++epoch) {
        train_epoch(epoch);
        is_stopped = end_epoch(epoch);
      }
    });
    saver_.save();
    trained_.writes_checkpoints = saver_.writes();
    if (best_) {
      best_->restore(graph_);
    }
    tell_end();
    trained_.kept_step = best_ ? kept_step_ : step_;
    trained_.steps = step_ - phase_.begin * batches_.steps_per_epoch();
    trained_.epochs = judge_.state().epochs;
    if (options_.profile && trained_.steps > 0) {
      reporter_.message(phase_.name + " training: where the time went\n" +
                        report::profile_table(profiler_, trained_.steps));
    }
    trained_.seconds = end_ > phase_.begin ? clock_.seconds() : 0.0;
    trained_.scaler = train_step_.scaler();
    return std::move(trained_);
  }

 private:
  Profiler* profiler_or_null() { return options_.profile ? &profiler_ : nullptr; }

  // Calls `work`, with the phase in front of its errors, and behind them where the last good state is.
  template <typename Work>
  void in_phase(std::string_view unit, std::int64_t number, std::int64_t count, Work work) {
    try {
      work();
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      fail(phase_.name, " training: ", unit, " ", number, " of ", count, ": ", error.what(), saver_.where_kept());
    }
  }

  void train_epoch(std::int64_t epoch) {
    epoch_start_ = clock_.seconds();
    const std::int64_t first =
        std::min((step_ - epoch * batches_.steps_per_epoch()) * settings_.accumulate, batches_.per_epoch);
    clock_.begin_epoch(epoch + 1, first);
    loader_.seek({phase_.first_epoch + epoch, first});
    const auto next = [&](data::Batch& batch) {
      const ProfiledScope scope(profiler_or_null(), "data", Profiler::Phase::Data);
      return loader_.next(batch);
    };
    for (data::Batch batch; next(batch);) {
      saver_.step_begins();
      const bool is_first = batch.number % settings_.accumulate == 0;
      if (is_first && phase_.before_step) {
        const FinishFirst patience(PhaseSaver::kPatience);
        phase_.before_step(step_, steps_);
      }
      TrainStep::Result result;
      in_phase("step", step_ + 1, steps_, [&] {
        const FinishFirst patience(PhaseSaver::kPatience);
        result = train_batch(epoch, batch);
      });
      trained_.loss = result.loss;
      ProgressState& sums = judge_.state();
      sums.loss_sum += result.loss * static_cast<double>(batch.size());
      sums.score.add(result.score);
      if (is_last(batch)) {
        saver_.step_done();
      }
      const auto seen = static_cast<double>(sums.score.examples);
      clock_.batch_done(batch.size(), sums.loss_sum / seen, sums.score.value(), train_step_.scaler());
    }
  }

  TrainStep::Result train_batch(std::int64_t epoch, const data::Batch& batch) {
    const std::int64_t number = (phase_.first_epoch + epoch) * batches_.per_epoch + batch.number;
    const double share = static_cast<double>(batch.size()) / static_cast<double>(examples_of_step(batch));
    TrainStep::Result result;
    try {
      result = train_step_.accumulate(batch.examples, batch.labels, share, static_cast<std::uint64_t>(number));
    } catch (const LossNotFinite& error) {
      const std::vector<std::int64_t> order =
          data::shuffled_order(loader_.dataset().size(), options_.seed, phase_.first_epoch + epoch);
      fail(error.what(), "; ",
           origin_of_not_finite(graph_, batch, std::span(order).subspan(static_cast<std::size_t>(batch.first)),
                                settings_.precision, options_.seed, static_cast<std::uint64_t>(number)));
    }
    if (is_last(batch)) {
      rate_ = optim::learning_rate(schedule_, step_, steps_) * judge_.multiplier();
      result.is_skipped = !train_step_.apply(rate_);
      ++step_;
    }
    return result;
  }

  // Whether a step ends with this batch.
  bool is_last(const data::Batch& batch) const {
    return (batch.number + 1) % settings_.accumulate == 0 || batch.number + 1 == batches_.per_epoch;
  }

  // Where training stands after a step. An epoch is done when the judge has taken it in.
  TrainPosition position() const {
    return {.phase = phase_.name,
            .epoch = phase_.begin + static_cast<std::int64_t>(judge_.state().epochs.size()),
            .step = step_,
            .seed = options_.seed,
            .loss = trained_.loss,
            .drop_last = batches_.drop_last,
            .progress = judge_.state()};
  }

  // Of the phase, from where it begins on.
  std::int64_t examples_left() const {
    const std::int64_t steps_done = begin_.step - begin_.epoch * batches_.steps_per_epoch();
    const std::int64_t seen = std::min(steps_done * settings_.accumulate * settings_.batch, batches_.examples);
    return (end_ - begin_.epoch) * batches_.examples - seen;
  }

  // Of all batches that make a step with this one.
  std::int64_t examples_of_step(const data::Batch& batch) const {
    const std::int64_t per_step = settings_.accumulate * settings_.batch;
    const std::int64_t begin = batch.number / settings_.accumulate * per_step;
    return std::min(begin + per_step, batches_.examples) - begin;
  }

  // Whether the phase ends with this epoch although others were to come.
  bool end_epoch(std::int64_t epoch) {
    std::optional<Validation> validation;
    in_phase("epoch", epoch + 1, phase_.epochs, [&] {
      check_finite(graph_, train_step_);
      if (phase_.validation != nullptr) {
        validation = validate(graph_, *phase_.validation, options_.normalization, settings_, reporter_);
      }
    });
    if (validation) {
      clock_.validated(validation->loss, validation->score.value());
    }
    const ProgressState& sums = judge_.state();
    evaluation::EpochResult result{.phase = phase_.name,
                                   .epoch = epoch + 1,
                                   .loss = sums.loss_sum / static_cast<double>(sums.score.examples),
                                   .accuracy = sums.score.value(),
                                   .learning_rate = rate_,
                                   .seconds = clock_.seconds() - epoch_start_};
    if (validation) {
      result.validation_loss = validation->loss;
      result.validation_accuracy = validation->score.value();
    }
    const bool is_first_settled =
        step_ > phase_.settled_step && step_ - batches_.steps_per_epoch() <= phase_.settled_step;
    if (is_first_settled) {
      judge_.forget_best();
    }
    judge_.take(std::move(result));
    if (options_.after_epoch) {
      options_.after_epoch(judge_.state().epochs.back(), train_step_.scaler());
    }
    const bool is_stopped = judge_.should_stop() && epoch + 1 < end_;
    in_phase("epoch", epoch + 1, phase_.epochs, [&] {
      check((epoch + 1 < end_ && !is_stopped) || !train_step_.scaler() ||
                train_step_.scaler()->skipped_steps < step_ - phase_.begin * batches_.steps_per_epoch(),
            "every step was skipped, for gradients pass the largest number of fp16; set [train] precision = ",
            "\"bf16\" or \"fp32\", or lower learning_rate");
    });
    keep_state();
    if (is_stopped) {
      reporter_.message(
          fmt::format("{} training: ended after epoch {} of {}, for none of the last {} was better than "
                      "epoch {}",
                      phase_.name, epoch + 1, phase_.epochs, settings_.patience, judge_.state().best_epoch));
    }
    return is_stopped;
  }

  // The best epoch's file is there before a checkpoint says which it is.
  void keep_state() {
    if (settings_.keep == Keep::Best && judge_.is_best()) {
      best_.emplace(graph_);
      kept_step_ = step_;
      saver_.save_beside(best_checkpoint(options_.checkpoint));
    }
    saver_.epoch_done();
  }

  void tell_end() {
    const ProgressState& state = judge_.state();
    const auto best = std::ranges::find(state.epochs, state.best_epoch, &evaluation::EpochResult::epoch);
    if (best_ && best != state.epochs.end()) {
      reporter_.message(
          fmt::format("{} training: the model is that of epoch {} of {}, the best in validation {}: {:.6g}",
                      phase_.name, state.best_epoch, state.epochs.back().epoch,
                      settings_.monitor == Monitor::Loss ? "loss" : clock_.measure(), judge_.monitored(*best)));
    }
  }

  nn::Graph& graph_;
  const TrainOptions& options_;
  const TrainPhase& phase_;
  evaluation::Reporter& reporter_;
  TrainSettings settings_;
  Batches batches_;
  data::Loader loader_;
  std::int64_t steps_;
  TrainStep train_step_;
  Profiler profiler_;
  TrainPosition begin_;
  EpochJudge judge_;
  optim::Schedule schedule_;
  std::int64_t end_;
  evaluation::PhaseClock clock_;
  std::int64_t step_;
  TrainResult trained_;
  PhaseSaver saver_;
  std::optional<Snapshot> best_;
  std::int64_t kept_step_ = 0;  // where the best epoch ended
  double rate_ = 0.0;           // of the last step
  double epoch_start_ = 0.0;    // seconds
};

}  // namespace

std::filesystem::path best_checkpoint(const std::filesystem::path& checkpoint) {
  return checkpoint.parent_path() / (checkpoint.stem().string() + "-best" + checkpoint.extension().string());
}

TrainResult train_phase(nn::Graph& graph, const data::Dataset& dataset, const TrainOptions& options,
                        const TrainPhase& phase, evaluation::Reporter& reporter) {
  return PhaseTraining(graph, dataset, options, phase, reporter).run();
}

}  // namespace detent::train
