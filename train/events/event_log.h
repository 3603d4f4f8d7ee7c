#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detent/evaluation/metrics.h"
#include "detent/evaluation/progress.h"
#include "detent/optim/grad_scaler.h"
#include "detent/train/resume/earlier_run.h"

namespace detent::train {

/// The event file of a run in its folder, for TensorBoard to show while the run goes on (report/events/event_file.h).
inline constexpr const char* kEventsFile = "events.out.tfevents.detent";

/// Told of each epoch of training: what it came to, and with loss scaling its state.
using EpochWatcher =
    std::function<void(const evaluation::EpochResult& epoch, const std::optional<optim::GradScaler::State>& scaler)>;

/// Writes the event file: a record an epoch, whose step is the epoch of its phase, under tags such as
///
///   float/loss, float/accuracy (of values float/R2), float/validation_loss, float/validation_accuracy,
///   float/learning_rate, float/loss_scale; qat_in_float/...; qat/...
///
/// and at the end of the run test/float, test/qat and test/int8, at the step of all its epochs. Nothing that a run
/// writes besides depends on it. A record that cannot be written is told in one message, and none comes after it.
class EventLog {
 public:
  /// Begins the file in `folder`, or, with `earlier`, the run that this one goes on with, goes on with it behind the
  /// record of the last epoch that is done: what was written of later ones is cut off, and what is missing of earlier
  /// ones is written from what the checkpoint knows. `measure` is what accuracies are called. Throws Error if the file
  /// cannot be written.
  EventLog(const std::filesystem::path& folder, const char* measure, const std::optional<CutOffRun>& earlier,
           evaluation::Reporter& reporter);

  /// Adds the epochs that it is called with. The log must outlive it.
  EpochWatcher watcher();
  /// Adds the results on the test set.
  void finish(const evaluation::Metrics& metrics);

 private:
  void add(const std::string& record);

  std::filesystem::path path_;
  std::string measure_;
  evaluation::Reporter& reporter_;
  bool writes_ = true;
};

/// The log of a run in its folder, if options.events; null if not: then a file that another run left there is removed.
std::unique_ptr<EventLog> open_events(const RunOptions& options, data::TargetKind targets,
                                      const std::optional<CutOffRun>& earlier, evaluation::Reporter& reporter);

}  // namespace detent::train
