#include "detent/io/tensor_file/apart.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "detent/core/processor/machine_memory.h"
#include "detent/core/threads/parallel.h"
#include "detent/io/tensor_file/hdf5.h"
#include "detent/io/tensor_file/wire.h"

// The process is forked, not started anew: the library has no program of its own to start. In the child of a process
// with several threads only this one goes on; locks that the others held stay locked, and statics that they were
// constructing stay half done. glibc takes care of its own (memory, streams), `Session` of the HDF5 library's as far as
// Detent calls it, and nothing else is used there. Should it wait nevertheless, its time runs out.
namespace detent::hdf5 {
namespace {

using Clock = std::chrono::steady_clock;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  operator int() const { return number_; }
  void close() {
    if (number_ >= 0) {
      ::close(std::exchange(number_, -1));
    }
  }

 private:
  int number_;
};

/// Bytes of address space that this process has; 0 if it cannot be told.
std::uint64_t address_space() {
  const Descriptor file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t size = file < 0 ? -1 : ::read(file, text.data(), text.size() - 1);
  const long page = ::sysconf(_SC_PAGESIZE);
  return size <= 0 || page <= 0 ? 0 : std::strtoull(text.data(), nullptr, 10) * static_cast<std::uint64_t>(page);
}

void limit(decltype(RLIMIT_AS) resource, std::uint64_t soft, std::uint64_t hard) {
  rlimit now{};
  ::getrlimit(resource, &now);
  const rlimit less{.rlim_cur = std::min<rlim_t>(soft, now.rlim_max), .rlim_max = std::min<rlim_t>(hard, now.rlim_max)};
  ::setrlimit(resource, &less);
}

/// What the child does before it reads: nothing of its end reaches the user but what this process says of it, and it
/// holds nothing open that this process may close. Returns the pipe, which may have another number now.
int withdraw(int pipe, pid_t parent, const Limits& limits) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(1);
  }
  ::setsid();  // no Ctrl-C, and no terminal for the C library's last words
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU, SIGPIPE}) {
    std::signal(signal, SIG_DFL);
  }
  constexpr int kFirst = 3;
  pipe = ::fcntl(pipe, F_DUPFD_CLOEXEC, kFirst);
  const int nothing = ::open("/dev/null", O_RDWR);
  if (pipe < 0 || nothing < 0) {
    ::_exit(1);
  }
  for (int standard = 0; standard < kFirst; ++standard) {
    ::dup2(nothing, standard);
  }
  if (pipe > kFirst) {
    ::close_range(kFirst, static_cast<unsigned>(pipe) - 1, 0);
  }
  ::close_range(static_cast<unsigned>(pipe) + 1, ~0U, 0);
  limit(RLIMIT_CORE, 0, 0);
  limit(RLIMIT_FSIZE, 0, 0);
  limit(RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1);
  if (const std::uint64_t now = address_space(); now > 0) {
    limit(RLIMIT_AS, now + limits.memory, now + limits.memory);
  }
  return pipe;
}

constexpr std::size_t kBuffer = std::size_t{1} << 16;

/// The child's end of the pipe.
class Sink {
 public:
  explicit Sink(int pipe) : pipe_(pipe) { waiting_.reserve(kBuffer); }

  void write(std::span<const std::byte> bytes) {
    if (waiting_.size() + bytes.size() > kBuffer) {
      flush();
    }
    if (bytes.size() > kBuffer) {
      write_now(bytes);
    } else {
      waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
    }
  }
  void flush() {
    write_now(waiting_);
    waiting_.clear();
  }

 private:
  void write_now(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(pipe_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) {
        continue;
      }
      if (written <= 0) {
        ::_exit(1);  // nobody listens any more
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  int pipe_;
  std::vector<std::byte> waiting_;
};

/// The child's life: no exception leaves it, and nothing that its parent would do at its own end is done.
[[noreturn]] void read_and_end(const std::string& where, const std::function<TensorFile()>& read, int pipe) noexcept {
  try {
    Sink sink(pipe);
    const Send send = [&sink](std::span<const std::byte> bytes) { sink.write(bytes); };
    try {
      send_content(read(), send);
    } catch (const Error& error) {
      send_error(error.what(), send);
    } catch (const std::bad_alloc&) {
      send_error(where + "it claims more memory than a file of its size can fill: it is damaged", send);
    }
    sink.flush();
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}

/// A child, which does not outlive this.
class Child {
 public:
  explicit Child(pid_t process) : process_(process) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      wait();
    }
  }
  /// How it ended; nothing if others waited for it before.
  std::optional<int> wait() {
    int status = 0;
    pid_t ended = 0;
    do {
      ended = ::waitpid(process_, &status, 0);
    } while (ended < 0 && errno == EINTR);
    process_ = -1;
    return ended < 0 ? std::nullopt : std::optional<int>(status);
  }

 private:
  pid_t process_;
};

/// What receiving ends with when nothing more comes.
enum class Silence { Ended, TooLong };

class Source {
 public:
  Source(int pipe, std::chrono::milliseconds wait) : pipe_(pipe), deadline_(Clock::now() + wait) {}

  void fill(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
      if (bytes.size() >= kBuffer && waiting_.empty()) {
        bytes = bytes.subspan(read(bytes));
        continue;
      }
      if (waiting_.empty()) {
        waiting_ = std::span(buffer_).first(read(buffer_));
      }
      const std::size_t count = std::min(bytes.size(), waiting_.size());
      std::memcpy(bytes.data(), waiting_.data(), count);
      waiting_ = waiting_.subspan(count);
      bytes = bytes.subspan(count);
    }
  }

 private:
  /// At least one byte.
  std::size_t read(std::span<std::byte> bytes) const {
    for (;;) {
      wait();
      const ssize_t got = ::read(pipe_, bytes.data(), bytes.size());
      if (got > 0) {
        return static_cast<std::size_t>(got);
      }
      if (got == 0 || errno != EINTR) {
        throw Silence::Ended;
      }
    }
  }

  /// Until there is something to read: bytes, or the end.
  void wait() const {
    constexpr int kMilliseconds = 100;
    pollfd events{.fd = pipe_, .events = POLLIN, .revents = 0};
    do {
      check_interruption();
      if (Clock::now() > deadline_) {
        throw Silence::TooLong;
      }
    } while (::poll(&events, 1, kMilliseconds) <= 0);
  }

  int pipe_;
  Clock::time_point deadline_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kBuffer);
  std::span<const std::byte> waiting_;
};

std::string end_of(Silence silence, const std::optional<int>& status) {
  const int signal = status && WIFSIGNALED(*status) ? WTERMSIG(*status) : 0;
  if (silence == Silence::TooLong || signal == SIGXCPU) {
    return "the HDF5 library comes to no end with it";
  }
  return signal == 0 ? "the HDF5 library ends at it"
                     : std::string("the HDF5 library crashes at it (") + ::strsignal(signal) + ")";
}

}  // namespace

Limits Limits::of_file(std::uint64_t bytes) {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20, kMostUnpacked = 1100;
  Limits limits;
  limits.memory = 256 * kMiB + std::min(bytes, machine_memory() / kMostUnpacked) * kMostUnpacked;
  limits.cpu_seconds = 5 + bytes / kMiB * 5;
  limits.wait = std::chrono::seconds(60 + 4 * limits.cpu_seconds);
  return limits;
}

TensorFile read_apart(const std::filesystem::path& path, const Limits& limits,
                      const std::function<TensorFile()>& read) {
  const std::string where = "read '" + path.string() + "': ";
  std::array<int, 2> ends{};
  check(::pipe2(ends.data(), O_CLOEXEC) == 0, where,
        "no pipe to the process that reads it: ", std::generic_category().message(errno));
  const Descriptor from(ends[0]);
  Descriptor to(ends[1]);
  constexpr int kPipe = 1 << 20;
  ::fcntl(to, F_SETPIPE_SZ, kPipe);  // fewer turns; where it may not be so large it stays as it is
  const pid_t parent = ::getpid();
  const pid_t process = [] {
    const Session session;  // no other thread is in the library
    return ::fork();
  }();
  check(process >= 0, where, "no process to read it in: ", std::generic_category().message(errno));
  if (process == 0) {
    read_and_end(where, read, withdraw(to, parent, limits));
  }
  Child child(process);
  to.close();
  Source source(from, limits.wait);
  try {
    TensorFile content = receive_content(where, [&](std::span<std::byte> all) { source.fill(all); });
    content.source = path;
    return content;
  } catch (const Silence silence) {
    if (silence == Silence::TooLong) {
      ::kill(process, SIGKILL);
    }
    fail(where, end_of(silence, child.wait()), "; it is damaged: take another copy of it, or write it again");
  }
}

}  // namespace detent::hdf5
