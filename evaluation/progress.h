#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "detent/core/threads/parallel.h"
#include "detent/optim/grad_scaler.h"

namespace detent::evaluation {

/// Where a long piece of work stands.
struct Progress {
  std::string phase;       ///< "float", "qat", "evaluate", "verify"
  std::int64_t epoch = 0;  ///< counted from 1; 0 where there are no epochs
  std::int64_t epochs = 0;
  std::int64_t batch = 0;  ///< batches of this epoch that are done
  std::int64_t batches = 0;
  std::optional<double> loss;        ///< mean over the examples of this epoch so far
  std::optional<double> accuracy;    ///< share of them that were right, of values R2
  const char* measure = "accuracy";  ///< what that is called
  /// Of the part held out, at the end of an epoch.
  std::optional<double> validation_loss, validation_accuracy;
  bool awaits_validation = false;  ///< the epoch's last batch is done, its validation is not
  /// With precision "fp16": the loss scale, and how many steps of the phase were skipped.
  std::optional<optim::GradScaler::State> scaler;
  double examples_per_second = 0.0;  ///< since the phase began
  double seconds = 0.0;              ///< since the phase began
  double seconds_left = 0.0;         ///< of the phase, at this speed
  bool is_epoch_end() const { return batch == batches && !awaits_validation; }
};

/// What a run tells while it runs. The library itself never prints.
class Reporter {
 public:
  virtual ~Reporter() = default;
  /// A fact for people, in one or more lines.
  virtual void message(const std::string& text) { (void)text; }
  /// Called after each batch.
  virtual void progress(const Progress& progress) { (void)progress; }
  /// Asked between batches: true ends the work with Interrupted. A ThreadPool's should_stop ends it within a batch.
  virtual bool should_stop() { return false; }
};

using detent::Interrupted;

/// Counts the batches of a phase, and reports after each. Throws Interrupted if the reporter wants it.
class PhaseClock {
 public:
  /// `examples` of the whole phase.
  PhaseClock(Reporter& reporter, std::string phase, std::int64_t epochs, std::int64_t batches, std::int64_t examples);
  /// What accuracies are called from here on, and whether each epoch ends with `validated`.
  void set_measure(const char* measure, bool validates);
  /// `epoch` counted from 1; `batches_done` of its batches came before.
  void begin_epoch(std::int64_t epoch, std::int64_t batches_done = 0);
  void batch_done(std::int64_t examples, std::optional<double> loss = {}, std::optional<double> accuracy = {},
                  const std::optional<optim::GradScaler::State>& scaler = {});
  /// Reports the end of an epoch once its validation is done.
  void validated(double loss, double accuracy);
  double seconds() const;
  const char* measure() const { return progress_.measure; }

 private:
  void report();

  Reporter& reporter_;
  Progress progress_;
  std::int64_t examples_;
  std::int64_t examples_done_ = 0;
  bool validates_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace detent::evaluation
