#include "detent/train/qat.h"

#include <algorithm>

#include "detent/evaluation/evaluate.h"
#include "detent/nn/fuse_relu.h"
#include "detent/quant/methods/reestimate_batch_norm.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/prepare.h"
#include "detent/train/batches.h"
#include "detent/train/resume/earlier_run.h"

namespace detent::train {
namespace {

// Orders 0 and 1 of the training examples are those of calibration and of measuring.
constexpr std::int64_t kReestimationOrder = 2;

// The step of `moment`, after `first`.
std::int64_t step_of(const Moment& moment, const QatSchedule& schedule, std::int64_t steps_per_epoch) {
  double step = moment.value;
  switch (moment.unit) {
    case Moment::Unit::Share:
      step *= static_cast<double>(schedule.steps);
      break;
    case Moment::Unit::Epochs:
      step *= static_cast<double>(steps_per_epoch);
      break;
    case Moment::Unit::Steps:
      break;
  }
  const double last = static_cast<double>(schedule.steps);
  return std::max(schedule.start + 1, static_cast<std::int64_t>(std::min(step, last)));
}

void settle(const QatRun& run, nn::Graph& prepared) {
  evaluation::settle_ranges(prepared, run.data.train, run.data.normalization, run.settings.quantize.calibration,
                            run.options.seed, run.reporter);
}

TrainPhase whole_phase(const QatRun& run) {
  return {.name = "qat",
          .epochs = run.settings.qat.epochs,
          .learning_rate = run.settings.qat.learning_rate,
          .first_epoch = run.settings.train.epochs,
          .validation = run.data.validation ? &*run.data.validation : nullptr};
}

QatSchedule schedule_of(const QatRun& run, const nn::Graph& graph) {
  return qat_schedule(run.settings.qat, cut_batches(graph, run.options.train, run.data.train.size()).steps_per_epoch());
}

constexpr const char* kInFloat = "qat in float";

// Where an earlier run was cut off in this phase; null: it was not.
const Checkpoint* resume_of(const QatRun& run, std::string_view phase) {
  return run.resume != nullptr && run.resume->position.phase == phase ? run.resume : nullptr;
}

// The graph after the epochs in float, which stays as it is without any.
nn::Graph train_in_float(const QatRun& run, const nn::Graph& graph, TrainResult& trained) {
  nn::Graph copy = graph.clone(quant::factories_of(run.kinds));
  if (run.settings.qat.start > 0) {
    TrainPhase phase = whole_phase(run);
    phase.name = kInFloat;
    phase.end = run.settings.qat.start;
    phase.resume = resume_of(run, kInFloat);
    if (phase.resume != nullptr) {
      adopt_state(copy, phase.resume->graph);
    }
    nn::Graph fused = nn::fuse_relu(copy);
    trained = train_phase(fused, run.data.train, run.options, phase, run.reporter);
  }
  return copy;
}

nn::Graph prepare(const QatRun& run, const nn::Graph& graph, std::optional<evaluation::Calibration>& calibration) {
  const quant::QConfigMapping mapping = run.settings.qconfig_mapping();
  nn::Graph prepared = quant::prepare_qat(graph, mapping, run.kinds);
  if (run.settings.qat.calibrate_first) {
    nn::Graph calibrated = quant::prepare(graph, mapping, run.kinds);
    calibration = evaluation::calibrate(calibrated, run.data.train, run.data.normalization,
                                        run.settings.quantize.calibration, run.options.seed, run.reporter);
    quant::adopt_ranges(prepared, calibrated);
  }
  return prepared;
}

}  // namespace

QatSchedule qat_schedule(const QatSettings& qat, std::int64_t steps_per_epoch) {
  QatSchedule schedule{.steps = qat.epochs * steps_per_epoch, .start = qat.start * steps_per_epoch};
  schedule.freeze_batch_norm = step_of(qat.freeze_batch_norm_at, schedule, steps_per_epoch);
  schedule.freeze_observers = step_of(qat.freeze_observers_at, schedule, steps_per_epoch);
  return schedule;
}

TrainPhase qat_phase(const QatRun& run, nn::Graph& prepared) {
  TrainPhase phase = whole_phase(run);
  phase.begin = run.settings.qat.start;
  const QatSchedule schedule = schedule_of(run, prepared);
  phase.settled_step = schedule.freeze_observers;
  phase.before_step = [&run, &prepared, schedule](std::int64_t step, std::int64_t) {
    if (step == schedule.freeze_batch_norm) {
      quant::freeze_batch_norm(prepared);
    }
    if (step == schedule.freeze_observers) {
      settle(run, prepared);
    }
  };
  return phase;
}

QatTrained train_qat(const QatRun& run, const nn::Graph& graph) {
  QatRun quantized = run;
  RunResults& results = quantized.results;
  QatTrained result{.prepared = {}, .trained = {}};
  TrainPhase phase;
  if (const Checkpoint* const resume = resume_of(run, "qat")) {
    result.prepared = resume->graph;
    quantized.options.train = with_batches_of(run.options.train, resume->position);
    phase = qat_phase(quantized, result.prepared);
    phase.resume = resume;
  } else {
    TrainResult in_float;
    result.prepared = prepare(run, train_in_float(run, graph, in_float), results.calibration);
    results.in_float_seconds = in_float.seconds;
    results.in_float_steps = in_float.steps;
    results.in_float_epochs = in_float.epochs;
    quantized.options.checkpoint = in_float.writes_checkpoints ? run.options.checkpoint : std::filesystem::path();
    phase = qat_phase(quantized, result.prepared);
  }
  if (quantized.options.checkpoint_attributes.contains(kResultsAttribute)) {
    quantized.options.checkpoint_attributes[kResultsAttribute] = to_json_text(results);
  }
  result.calibration = results.calibration;
  const QatSchedule schedule = schedule_of(quantized, result.prepared);
  std::optional<Teacher> teacher;
  if (const QatSettings& qat = run.settings.qat; qat.distill > 0.0) {
    phase.teacher = &teacher.emplace(quant::lower(graph, run.kinds), qat.distill, qat.temperature);
  }
  result.trained = train_phase(result.prepared, run.data.train, quantized.options, phase, run.reporter);
  // Where training, or its best epoch, ended before ranges were to freeze, they freeze now.
  if (result.trained.kept_step <= schedule.freeze_observers) {
    settle(run, result.prepared);
  }
  result.trained.seconds += results.in_float_seconds;
  result.trained.steps += results.in_float_steps;
  result.trained.epochs.insert(result.trained.epochs.begin(), results.in_float_epochs.begin(),
                               results.in_float_epochs.end());
  return result;
}

void check_reestimation(const Settings& settings, const nn::Graph& graph) {
  const bool has_batch_norm = std::ranges::any_of(
      graph.nodes(), [](const nn::Graph::Node& node) { return node.module && node.module->kind() == "batch_norm"; });
  check(settings.qat.reestimate_batch_norm == 0 || has_batch_norm, settings.name,
        ": [qat] reestimate_batch_norm: the model has no batch norm; remove it");
}

std::int64_t reestimate_batch_norms(const QatRun& run, nn::Graph& prepared) {
  const data::Dataset& train = run.data.train;
  const std::int64_t batch = std::min(run.settings.train.batch, train.size());
  const std::int64_t batches = std::min(run.settings.qat.reestimate_batch_norm, train.size() / batch);
  std::vector<std::int64_t> order = data::shuffled_order(train.size(), run.options.seed, kReestimationOrder);
  order.resize(static_cast<std::size_t>(batches * batch));
  data::Loader loader(train.subset(order), {.batch = batch, .augment = {}, .normalization = run.data.normalization});
  quant::reestimate_batch_norms(prepared, [&](nn::Graph& graph) {
    evaluation::PhaseClock clock(run.reporter, "re-estimate", 0, batches, batches * batch);
    Arena arena;
    for (data::Batch examples; loader.next(examples);) {
      nn::Tape tape(&arena, nn::Tape::Mode::Inference);
      nn::Context context{.tape = tape};
      graph.forward(context, tape.constant(examples.examples));
      clock.batch_done(examples.size());
    }
  });
  quant::thaw_observers(prepared);
  settle(run, prepared);
  return batches;
}

}  // namespace detent::train
