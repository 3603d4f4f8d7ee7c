#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace detent {

/// Collects where the time of training steps goes, and what they save: a row a module, a column a phase. A tape that
/// was given one measures; without it nothing is measured and nothing is paid.
class Profiler {
 public:
  enum class Phase : std::uint8_t { Data, Forward, Backward, Optimizer };
  static constexpr std::size_t kPhases = 4;

  struct Row {
    std::string module;
    std::array<double, kPhases> seconds{};  ///< by phase, summed over all steps
    /// What the arena held more after the module's forward than before, in the last step: what the module saved for its
    /// backward pass, and its result, less what it was the last to read. The rows add up to what the step saves.
    std::int64_t saved_bytes = 0;

    double total_seconds() const;
    double seconds_of(Phase phase) const { return seconds[static_cast<std::size_t>(phase)]; }
  };

  /// In the order in which modules were first seen.
  const std::vector<Row>& rows() const { return rows_; }
  double total_seconds() const;
  /// The number of the module's row, made if need be.
  std::size_t row_of(std::string_view module);
  void add_time(std::size_t row, Phase phase, double seconds) {
    rows_[row].seconds[static_cast<std::size_t>(phase)] += seconds;
  }
  void set_saved(std::size_t row, std::int64_t bytes);

  /// The row of the module that runs forward now: ops that are recorded belong to it.
  std::size_t current() const { return current_; }
  void set_current(std::size_t row) { current_ = row; }

 private:
  std::vector<Row> rows_;
  std::map<std::string, std::size_t, std::less<>> by_module_;
  std::size_t current_ = 0;
};

/// Adds the time of its life to a row. Does nothing if the profiler is null.
class ProfiledScope {
 public:
  using Clock = std::chrono::steady_clock;
  ProfiledScope(Profiler* profiler, std::size_t row, Profiler::Phase phase)
      : profiler_(profiler), row_(row), phase_(phase) {
    if (profiler_ != nullptr) {
      start_ = Clock::now();
    }
  }
  /// By the module's name, which becomes the current one.
  ProfiledScope(Profiler* profiler, std::string_view module, Profiler::Phase phase)
      : ProfiledScope(profiler, profiler != nullptr ? profiler->row_of(module) : 0, phase) {
    if (profiler_ != nullptr) {
      profiler_->set_current(row_);
    }
  }
  ~ProfiledScope() {
    if (profiler_ != nullptr) {
      profiler_->add_time(row_, phase_, std::chrono::duration<double>(Clock::now() - start_).count());
    }
  }
  ProfiledScope(const ProfiledScope&) = delete;
  ProfiledScope& operator=(const ProfiledScope&) = delete;

 private:
  Profiler* profiler_;
  std::size_t row_;
  Profiler::Phase phase_;
  Clock::time_point start_;
};

}  // namespace detent
