#include "detent/cli/progress_line.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

namespace detent::cli {
namespace {

constexpr std::size_t kLongestBar = 24;
constexpr std::size_t kShortestBar = 5;
constexpr std::size_t kGoodBar = 10;  // for which other parts are left out
constexpr std::size_t kAroundBar = 4;

// Of a line, from left to right. Those of the highest rank are left out first.
struct Part {
  std::string text;
  int rank;
};

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  return whole < 60 ? fmt::format("{} s", whole) : fmt::format("{}:{:02} min", whole / 60, whole % 60);
}

std::string loss_text(double loss) {
  return std::abs(loss) >= 1e4 ? fmt::format("loss {:.4g}", loss) : fmt::format("loss {:.4f}", loss);
}

// A share in per cent; R2 is none.
std::string measure_text(const evaluation::Progress& progress, double value) {
  return progress.measure == std::string_view("accuracy") ? fmt::format("accuracy {:.2f} %", 100.0 * value)
                                                          : fmt::format("{} {:.4f}", progress.measure, value);
}

std::vector<Part> parts_of(const evaluation::Progress& progress, const std::string& time) {
  std::vector<Part> parts{{progress.epochs == 0
                               ? progress.phase
                               : fmt::format("{} epoch {}/{}", progress.phase, progress.epoch, progress.epochs),
                           0}};
  if (progress.loss) {
    parts.push_back({loss_text(*progress.loss), 1});
  }
  if (progress.accuracy) {
    parts.push_back({measure_text(progress, *progress.accuracy), 4});
  }
  if (progress.validation_loss && progress.validation_accuracy) {
    parts.push_back({"validation " + loss_text(*progress.validation_loss), 3});
    parts.push_back({measure_text(progress, *progress.validation_accuracy), 3});
  }
  if (progress.scaler) {
    parts.push_back({fmt::format("scale {:g}, {} skipped", progress.scaler->scale, progress.scaler->skipped_steps), 5});
  }
  parts.push_back({fmt::format("{:.0f} examples/s", progress.examples_per_second), 6});
  parts.push_back({time, 2});
  return parts;
}

std::string joined(const std::vector<Part>& parts) {
  std::string line;
  for (const Part& part : parts) {
    line += (line.empty() ? "" : "  ") + part.text;
  }
  return line;
}

// Drops what matters least until the rest fits. The first two ranks stay, and are cut where they must be.
void fit(std::vector<Part>& parts, std::size_t room) {
  while (joined(parts).size() > room) {
    const auto least = std::ranges::max_element(parts, {}, &Part::rank);
    if (least->rank <= 1) {
      return;
    }
    parts.erase(least);
  }
}

}  // namespace

std::size_t terminal_room() {
  winsize size{};
  long width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
  if (const char* columns = std::getenv("COLUMNS"); width <= 0 && columns != nullptr) {
    width = std::strtol(columns, nullptr, 10);
  }
  return static_cast<std::size_t>(width > 0 ? width : 80) - 1;
}

std::string epoch_line(const evaluation::Progress& progress, std::size_t room) {
  std::vector<Part> parts = parts_of(progress, duration(progress.seconds));
  fit(parts, room);
  return joined(parts).substr(0, room);
}

std::string bar_line(const evaluation::Progress& progress, std::size_t room) {
  std::vector<Part> parts = parts_of(progress, duration(progress.seconds_left) + " left");
  fit(parts, room > kAroundBar + kGoodBar ? room - kAroundBar - kGoodBar : 0);
  const std::size_t taken = joined(parts).size() + kAroundBar;
  if (taken + kShortestBar <= room) {
    const std::size_t width = std::min(kLongestBar, room - taken);
    const std::size_t done =
        width * static_cast<std::size_t>(progress.batch) / static_cast<std::size_t>(progress.batches);
    parts.insert(parts.begin() + 1, {"[" + std::string(done, '#') + std::string(width - done, '.') + "]", 0});
  }
  return joined(parts).substr(0, room);
}

}  // namespace detent::cli
