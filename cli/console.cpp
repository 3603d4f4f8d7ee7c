#include "detent/cli/console.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "detent/cli/progress_line.h"

namespace detent::cli {
namespace {

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};

// A signal handler can reach nothing else. The first signal: 256 times when it came, in milliseconds, and its number.
std::atomic<std::int64_t> first_request{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

extern "C" void request_stop(int number) {
  constexpr std::int64_t kSameRequest = 200;  // `timeout` sends each signal twice: to the program, and to its group
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t time = now.tv_sec * std::int64_t{1000} + now.tv_nsec / 1000000;
  std::int64_t first = 0;
  const bool is_first = first_request.compare_exchange_strong(first, time * 256 + number);
  if (!is_first && (first % 256 != number || time - first / 256 >= kSameRequest)) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
}

bool is_dumb() {
  const char* const terminal = std::getenv("TERM");
  return terminal != nullptr && std::strcmp(terminal, "dumb") == 0;
}

}  // namespace

void open_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) == -1) {
      // The lowest free number is this one. Opened the wrong way round, so that using it fails as before.
      const int opened = ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
      check(opened == stream, "standard streams: /dev/null cannot be opened: ", std::strerror(errno));
    }
  }
}

void print(const std::string& text) {
  const bool is_written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  const int error = errno;
  if (!is_written && is_stop_requested()) {
    throw Interrupted();  // a signal has ended the wait for a slow reader
  }
  check(is_written, "standard output cannot be written: ", std::strerror(error));
}

void print_error(const std::string& line) {
  std::fputs((line + "\n").c_str(), stderr);
  std::fflush(stderr);
}

ConsoleReporter::ConsoleReporter(bool is_json)
    : is_json_(is_json), is_terminal_(isatty(STDERR_FILENO) == 1), draws_bars_(is_terminal_ && !is_dumb()) {}

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

void ConsoleReporter::progress(const evaluation::Progress& progress) {
  const bool is_line = progress.is_epoch_end() && progress.loss.has_value();
  if (is_line) {
    clear_bar();
    print_error(epoch_line(progress, is_terminal_ ? terminal_room() : std::string::npos));
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (draws_bars_ && now - last_drawn_ > std::chrono::milliseconds(100)) {
    last_drawn_ = now;
    std::fputs(("\r" + bar_line(progress, terminal_room()) + "\033[K").c_str(), stderr);
    std::fflush(stderr);
    has_bar_ = true;
  }
}

void watch_signals() {
  std::signal(SIGXFSZ, SIG_IGN);
  struct sigaction action {};
  action.sa_handler = request_stop;
  for (const int number : kSignals) {
    sigaddset(&action.sa_mask, number);
  }
  for (const int number : kSignals) {
    struct sigaction inherited {};
    sigaction(number, nullptr, &inherited);
    if (inherited.sa_handler != SIG_IGN) {
      sigaction(number, &action, nullptr);
    }
  }
}

bool is_stop_requested() { return first_request != 0; }

}  // namespace detent::cli
