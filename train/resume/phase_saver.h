#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "detent/train/train.h"

namespace detent::train {

/// Writes the checkpoints of a phase: every TrainOptions::checkpoint_seconds, at the ends of epochs, when the phase is
/// done, and when it is interrupted between two steps. One that takes long is written more rarely, so that writing
/// takes at most 1 % of the time. A file that cannot be written is told in one message; the phase goes on without.
class PhaseSaver {
 public:
  /// How long a step that was asked to end is waited for.
  static constexpr std::chrono::seconds kPatience{5};

  /// `graph` and `step` are the phase's; `position` says where it stands after a step. All must outlive it. Nothing is
  /// written without a file in `options.checkpoint`.
  PhaseSaver(const nn::Graph& graph, TrainStep& step, const TrainOptions& options, evaluation::Reporter& reporter,
             std::function<TrainPosition()> position);

  /// Until `step_done` the model is worth nothing.
  void step_begins() { is_whole_ = false; }
  /// The model stands at `position`. Writes if it is time.
  void step_done();
  /// The same at the end of an epoch, where it is time sooner.
  void epoch_done();
  /// Writes where the phase stands, unless that is written, within a step, or not finite: the last good state stays.
  void save();
  /// Writes where the phase stands to another file. Not within a step.
  void save_beside(const std::filesystem::path& file);
  /// `work()`; if it is interrupted, writes where it stands and throws on.
  template <typename Work>
  auto saved_if_interrupted(Work&& work) {
    try {
      return work();
    } catch (const Interrupted&) {
      save();
      throw;
    }
  }
  /// False if a checkpoint could not be written.
  bool writes() const { return writes_; }
  /// For errors: "; the state after step 7 is in out/checkpoint.h5", or nothing.
  std::string where_kept() const;

 private:
  using Clock = std::chrono::steady_clock;

  bool is_due(double seconds) const;
  bool is_finite() const;
  bool write(const std::filesystem::path& file, const TrainPosition& position);

  const nn::Graph& graph_;
  TrainStep& step_;
  const TrainOptions& options_;
  evaluation::Reporter& reporter_;
  std::function<TrainPosition()> position_;
  bool is_whole_ = false;         // whether the model stands at position_
  bool is_saved_ = false;         // whether the file does
  std::int64_t saved_step_ = -1;  // of the file; none yet
  bool writes_ = true;
  Clock::time_point saved_ = Clock::now();
  Clock::duration cost_{0};  // of the last file
};

}  // namespace detent::train
