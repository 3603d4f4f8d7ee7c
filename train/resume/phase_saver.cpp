#include "detent/train/resume/phase_saver.h"

#include "detent/core/threads/finish_first.h"
#include "detent/nn/finite.h"

namespace detent::train {
namespace {

constexpr int kLargestShare = 100;  // one part in so many of the time goes into checkpoints

}  // namespace

PhaseSaver::PhaseSaver(const nn::Graph& graph, TrainStep& step, const TrainOptions& options,
                       evaluation::Reporter& reporter, std::function<TrainPosition()> position)
    : graph_(graph), step_(step), options_(options), reporter_(reporter), position_(std::move(position)) {}

void PhaseSaver::step_done() {
  is_whole_ = true;
  is_saved_ = false;
  if (is_due(options_.checkpoint_seconds)) {
    save();
  }
}

void PhaseSaver::epoch_done() {
  is_whole_ = true;
  is_saved_ = false;
  if (is_due(0.0)) {
    save();
  }
}

bool PhaseSaver::is_due(double seconds) const {
  const Clock::duration since = Clock::now() - saved_;
  return options_.checkpoint_seconds == 0.0 ||
         (since >= std::chrono::duration<double>(seconds) && since >= kLargestShare * cost_);
}

std::string PhaseSaver::where_kept() const {
  return saved_step_ < 0
             ? std::string()
             : "; the state after step " + std::to_string(saved_step_) + " is in " + options_.checkpoint.string();
}

bool PhaseSaver::is_finite() const {
  try {
    nn::check_finite(graph_, "the model");
    return true;
  } catch (const Error&) {
    return false;
  }
}

void PhaseSaver::save() {
  if (!is_whole_ || is_saved_ || options_.checkpoint.empty()) {
    return;
  }
  const Clock::time_point start = Clock::now();
  if (is_finite()) {
    const TrainPosition position = position_();
    is_saved_ = write(options_.checkpoint, position);
    saved_step_ = is_saved_ ? position.step : saved_step_;
  }
  saved_ = Clock::now();
  cost_ = saved_ - start;
}

void PhaseSaver::save_beside(const std::filesystem::path& file) {
  if (!options_.checkpoint.empty()) {
    write(file, position_());
  }
}

bool PhaseSaver::write(const std::filesystem::path& file, const TrainPosition& position) {
  if (!writes_) {
    return false;
  }
  const FinishFirst to_the_end(FinishFirst::kNoEnd);
  try {
    save_checkpoint(file, graph_, step_.state(), position, options_.checkpoint_attributes);
  } catch (const Error& error) {
    writes_ = false;
    reporter_.message(std::string("NO CHECKPOINTS from here on, training goes on without: ") + error.what());
  }
  return writes_;
}

}  // namespace detent::train
