#pragma once

#include <fcntl.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "tests/cli/process.h"
#include "tests/places.h"

namespace detent::cli {

/// Long enough for a busy machine, and far shorter than what the tests interrupt.
inline constexpr std::chrono::seconds kPatience{30};

/// The program at work in `folder`, with nothing in the environment that leads it to a data set. Its output is kept as
/// that of `detent` is, but for standard error where `err` is open.
class Started {
 public:
  Started(const TempFolder& folder, const std::vector<std::string>& words, int err = -1) : folder_(folder) {
    std::vector<std::string> all{program_path()};
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (std::string& word : all) {
      argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    child_ = ::fork();
    if (child_ == 0) {
      ::signal(SIGINT, SIG_DFL);  // a shell's background jobs have it ignored
      ::unsetenv("DETENT_DATA");
      const std::string here = folder.path().string();
      ::setenv("HOME", here.c_str(), 1);
      ::setenv("XDG_CACHE_HOME", here.c_str(), 1);
      const auto to = [](const std::filesystem::path& file) {
        return ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
      };
      const bool is_ready = ::chdir(here.c_str()) == 0 && ::dup2(to(folder / "stdout.txt"), STDOUT_FILENO) >= 0 &&
                            ::dup2(err >= 0 ? err : to(folder / "stderr.txt"), STDERR_FILENO) >= 0;
      if (is_ready) {
        ::execv(argv[0], argv.data());
      }
      ::_exit(127);
    }
  }
  ~Started() {
    if (!has_ended()) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, &result_, 0);
    }
  }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;

  void send(int signal) const { ::kill(child_, signal); }
  bool has_ended() { return is_over_ || (is_over_ = ::waitpid(child_, &result_, WNOHANG) == child_); }
  /// Whether `is_so` becomes true in time.
  bool comes(const std::function<bool()>& is_so) {
    for (const auto end = std::chrono::steady_clock::now() + kPatience; std::chrono::steady_clock::now() < end;) {
      if (is_so()) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  /// Of the program when it has ended: as waitpid says.
  int result() const { return result_; }
  std::string out() const { return read_text(folder_ / "stdout.txt"); }
  std::string err() const { return read_text(folder_ / "stderr.txt"); }

 private:
  const TempFolder& folder_;
  pid_t child_ = -1;
  int result_ = 0;
  bool is_over_ = false;
};

}  // namespace detent::cli
