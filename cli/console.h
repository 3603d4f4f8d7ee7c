#pragma once

#include <chrono>
#include <string>

#include "detent/evaluation/progress.h"

namespace detent::cli {

/// Makes sure that the three standard streams are there, so that no file is opened in the place of one that was closed
/// and gets what was meant for it. Writing to one that was closed stays an error.
void open_standard_streams();

/// Writes to standard output and flushes. Throws Error if that fails (a full disk): output is never lost in silence.
void print(const std::string& text);
/// Writes one line to standard error.
void print_error(const std::string& line);

/// Tells of a run on the terminal: messages on standard output (on standard error with --json, where standard output
/// belongs to the JSON object); progress on standard error, one line an epoch, and, if that is a terminal which can go
/// back in a line (TERM is not "dumb"), a bar. Nothing has a colour.
class ConsoleReporter : public evaluation::Reporter {
 public:
  explicit ConsoleReporter(bool is_json);
  ~ConsoleReporter() override;
  void message(const std::string& text) override;
  void progress(const evaluation::Progress& progress) override;

 private:
  void clear_bar();

  bool is_json_;
  bool is_terminal_;
  bool draws_bars_;
  bool has_bar_ = false;
  std::chrono::steady_clock::time_point last_drawn_;
};

/// From now on SIGINT, SIGTERM and SIGHUP ask for the end, except where they are ignored (nohup): work in a pool ends
/// in order within about a second, or when a training step is done (in_pool). The second one kills at once; the same
/// one again within 0.2 seconds is the first, which `timeout` sends twice. A write past the limit on file sizes no
/// longer kills (SIGXFSZ): it is an error as a full disk is.
void watch_signals();
bool is_stop_requested();

}  // namespace detent::cli
