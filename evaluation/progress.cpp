#include "detent/evaluation/progress.h"

namespace detent::evaluation {

PhaseClock::PhaseClock(Reporter& reporter, std::string phase, std::int64_t epochs, std::int64_t batches,
                       std::int64_t examples)
    : reporter_(reporter), examples_(examples) {
  progress_.phase = std::move(phase);
  progress_.epochs = epochs;
  progress_.batches = batches;
}

void PhaseClock::set_measure(const char* measure, bool validates) {
  progress_.measure = measure;
  validates_ = validates;
}

void PhaseClock::begin_epoch(std::int64_t epoch, std::int64_t batches_done) {
  progress_.epoch = epoch;
  progress_.batch = batches_done;
  progress_.validation_loss.reset();
  progress_.validation_accuracy.reset();
}

void PhaseClock::batch_done(std::int64_t examples, std::optional<double> loss, std::optional<double> accuracy,
                            const std::optional<optim::GradScaler::State>& scaler) {
  ++progress_.batch;
  progress_.awaits_validation = validates_ && progress_.batch == progress_.batches;
  examples_done_ += examples;
  progress_.loss = loss;
  progress_.accuracy = accuracy;
  progress_.scaler = scaler;
  report();
}

void PhaseClock::validated(double loss, double accuracy) {
  progress_.awaits_validation = false;
  progress_.validation_loss = loss;
  progress_.validation_accuracy = accuracy;
  report();
}

void PhaseClock::report() {
  progress_.seconds = seconds();
  progress_.examples_per_second =
      progress_.seconds > 0.0 ? static_cast<double>(examples_done_) / progress_.seconds : 0.0;
  progress_.seconds_left =
      progress_.seconds * static_cast<double>(examples_ - examples_done_) / static_cast<double>(examples_done_);
  reporter_.progress(progress_);
  if (reporter_.should_stop()) {
    throw Interrupted();
  }
  check_interruption();
}

double PhaseClock::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace detent::evaluation
