#include "tests/faults/faulty_writes.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace {

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

using Open = int (*)(const char*, int, ...);
using Write = ssize_t (*)(int, const void*, std::size_t);
using OfDescriptor = int (*)(int);
using Rename = int (*)(const char*, const char*);
using Unlink = int (*)(const char*);

struct State {
  std::mutex mutex;
  std::string fault;
  std::size_t calls = 0;
};

State& state() {
  static State* const instance = new State;  // files are closed until the very end
  return *instance;
}

bool is_temporary(std::string_view path) {
  return path.find(".detent-") != path.npos && (path.ends_with(".tmp") || path.ends_with(".tmp (deleted)"));
}

std::string path_of(int file) {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(file)).c_str(), path.data(), path.size());
  return {path.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

void log(const std::string& call, std::string_view path) {
  if (const char* const file = std::getenv("DETENT_FAULT_LOG")) {
    const std::string line = call + " " + std::string(path.substr(path.rfind('/') + 1)) + "\n";
    const int out = next<Open>("open")(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (out >= 0) {
      [[maybe_unused]] const ssize_t written = next<Write>("write")(out, line.data(), line.size());
      next<OfDescriptor>("close")(out);
    }
  }
}

// What is to become of this call: the word behind the second colon, or nothing.
std::string fault_of(const std::string& call, std::string_view path) {
  if (!is_temporary(path)) {
    return {};
  }
  State& now = state();
  const std::lock_guard<std::mutex> lock(now.mutex);
  log(call, path);
  const char* const variable = std::getenv("DETENT_FAULT");
  const std::string fault = variable != nullptr ? variable : "";
  if (fault != now.fault) {
    now.fault = fault;
    now.calls = 0;
  }
  const std::size_t first = fault.find(':'), second = fault.find(':', first + 1);
  if (second == fault.npos || (fault.substr(0, first) != call && !fault.starts_with("any:"))) {
    return {};
  }
  ++now.calls;
  const std::size_t number = std::strtoul(fault.c_str() + first + 1, nullptr, 10);
  return number == 0 || number == now.calls ? fault.substr(second + 1) : std::string();
}

void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) {
    ::pause();
  }
}

// -1 with errno if the fault is an error; else 0. KILL does not come back.
int failed(const std::string& fault) {
  // Constant: of a static that another thread constructs at this moment, a forked process would wait for the end.
  static constexpr std::array<std::pair<std::string_view, int>, 7> kErrors{{{"ENOSPC", ENOSPC},
                                                                            {"EDQUOT", EDQUOT},
                                                                            {"EFBIG", EFBIG},
                                                                            {"EIO", EIO},
                                                                            {"EACCES", EACCES},
                                                                            {"EMFILE", EMFILE},
                                                                            {"EINTR", EINTR}}};
  if (fault.empty()) {
    return 0;
  }
  if (fault == "KILL") {
    die();
  }
  const auto* const found = std::ranges::find(kErrors, fault, &std::pair<std::string_view, int>::first);
  if (found == kErrors.end()) {
    return 0;
  }
  errno = found->second;
  return -1;
}

}  // namespace

extern "C" {

std::size_t faulty_calls() {
  const std::lock_guard<std::mutex> lock(state().mutex);
  return state().calls;
}

void faulty_restart() {
  const std::lock_guard<std::mutex> lock(state().mutex);
  state().calls = 0;
}

int open(const char* path, int flags, ...) {
  unsigned mode = 0;
  if ((flags & O_CREAT) != 0) {
    std::va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, unsigned);
    va_end(arguments);
    if (failed(fault_of("open", path)) != 0) {
      return -1;
    }
  }
  return next<Open>("open")(path, flags, mode);
}

ssize_t write(int file, const void* bytes, std::size_t size) {
  const auto real = next<Write>("write");
  const std::string fault = fault_of("write", path_of(file));
  if (fault == "HALF" || fault == "KILL") {
    const ssize_t written = real(file, bytes, (size + 1) / 2);
    return fault == "KILL" ? failed(fault) : written;
  }
  if (fault == "ONE" || fault == "NONE") {
    return fault == "NONE" ? 0 : real(file, bytes, 1);
  }
  return failed(fault) != 0 ? -1 : real(file, bytes, size);
}

int fsync(int file) { return failed(fault_of("fsync", path_of(file))) != 0 ? -1 : next<OfDescriptor>("fsync")(file); }

int close(int file) {
  const std::string fault = fault_of("close", path_of(file));
  const int result = next<OfDescriptor>("close")(file);
  return failed(fault) != 0 ? -1 : result;
}

int rename(const char* from, const char* to) noexcept {
  return failed(fault_of("rename", from)) != 0 ? -1 : next<Rename>("rename")(from, to);
}

int unlink(const char* path) noexcept {
  return failed(fault_of("unlink", path)) != 0 ? -1 : next<Unlink>("unlink")(path);
}

}  // extern "C"
