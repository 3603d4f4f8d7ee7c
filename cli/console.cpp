#include "cli/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace detent::cli {
namespace {

// A signal handler can reach nothing else.
volatile std::sig_atomic_t stop_requested = 0;

extern "C" void request_stop(int) { stop_requested = 1; }

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  return whole < 60 ? fmt::format("{} s", whole) : fmt::format("{}:{:02} min", whole / 60, whole % 60);
}

std::string numbers(const recipes::Progress& progress) {
  std::string text;
  if (progress.loss) {
    text += fmt::format("  loss {:.4f}", *progress.loss);
  }
  if (progress.accuracy) {
    text += fmt::format("  accuracy {:.2f} %", 100.0 * *progress.accuracy);
  }
  if (progress.scaler) {
    text += fmt::format("  loss scale {:g}, {} skipped", progress.scaler->scale, progress.scaler->skipped_steps);
  }
  return text + fmt::format("  {:.0f} examples/s", progress.examples_per_second);
}

std::string title(const recipes::Progress& progress) {
  return progress.epochs == 0 ? progress.phase
                              : fmt::format("{} epoch {}/{}", progress.phase, progress.epoch, progress.epochs);
}

std::string bar(const recipes::Progress& progress) {
  constexpr std::int64_t kWidth = 24;
  const std::int64_t done = kWidth * progress.batch / progress.batches;
  return fmt::format("{:<16} [{}{}]{}  {} left", title(progress), std::string(static_cast<std::size_t>(done), '#'),
                     std::string(static_cast<std::size_t>(kWidth - done), '.'), numbers(progress),
                     duration(progress.seconds_left));
}

}  // namespace

void print(const std::string& text) {
  const bool is_written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  check(is_written, "standard output cannot be written: ", std::strerror(errno));
}

void print_error(const std::string& line) {
  std::fputs((line + "\n").c_str(), stderr);
  std::fflush(stderr);
}

ConsoleReporter::ConsoleReporter(bool is_json) : is_json_(is_json), is_terminal_(isatty(STDERR_FILENO) == 1) {}

ConsoleReporter::~ConsoleReporter() { clear_bar(); }

void ConsoleReporter::clear_bar() {
  if (has_bar_) {
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
    has_bar_ = false;
  }
}

void ConsoleReporter::message(const std::string& text) {
  clear_bar();
  const std::string line = text.ends_with('\n') ? text : text + "\n";
  if (is_json_) {
    std::fputs(line.c_str(), stderr);
  } else {
    print(line);
  }
}

void ConsoleReporter::progress(const recipes::Progress& progress) {
  const bool is_line = progress.is_epoch_end() && progress.loss.has_value();
  if (is_line) {
    clear_bar();
    print_error(fmt::format("{}{}  {}", title(progress), numbers(progress), duration(progress.seconds)));
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (is_terminal_ && now - last_drawn_ > std::chrono::milliseconds(100)) {
    last_drawn_ = now;
    std::fputs(("\r" + bar(progress) + "\033[K").c_str(), stderr);
    std::fflush(stderr);
    has_bar_ = true;
  }
}

bool ConsoleReporter::should_stop() { return is_stop_requested(); }

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool is_stop_requested() { return stop_requested != 0; }

}  // namespace detent::cli
