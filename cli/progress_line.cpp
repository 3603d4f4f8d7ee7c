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

std::vector<Part> parts_of(const evaluation::Progress& progress, const std::string& time) {
  std::vector<Part> parts{{progress.epochs == 0
                               ? progress.phase
                               : fmt::format("{} epoch {}/{}", progress.phase, progress.epoch, progress.epochs),
                           0}};
  if (progress.loss) {
    const bool is_gross = std::abs(*progress.loss) >= 1e4;
    parts.push_back(
        {is_gross ? fmt::format("loss {:.4g}", *progress.loss) : fmt::format("loss {:.4f}", *progress.loss), 1});
  }
  if (progress.accuracy) {
    parts.push_back({fmt::format("accuracy {:.2f} %", 100.0 * *progress.accuracy), 3});
  }
  if (progress.scaler) {
    parts.push_back({fmt::format("scale {:g}, {} skipped", progress.scaler->scale, progress.scaler->skipped_steps), 4});
  }
  parts.push_back({fmt::format("{:.0f} examples/s", progress.examples_per_second), 5});
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
