#include "detent/train/output_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "detent/core/error.h"
#include "detent/io/atomic_file.h"

namespace detent::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = ".detent.lock";
constexpr const char* kMend = "; name another one with --out DIR";

// "process 123", as the holder of the lock wrote it.
std::string holder_of(int lock) {
  std::array<char, 24> text{};
  const ssize_t size = ::pread(lock, text.data(), text.size() - 1, 0);
  const long process = size > 0 ? std::strtol(text.data(), nullptr, 10) : 0;
  return process > 0 ? "process " + std::to_string(process) : "another process";
}

std::string reason_of(int error) { return std::generic_category().message(error); }

bool stands_for(const fs::path& path, int descriptor) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

const fs::path& made(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(fs::is_directory(folder), folder.string(), ": the output folder cannot be made", error ? ": " : "",
        error ? error.message() : "", kMend);
  return folder;
}

}  // namespace

bool is_model_file(const std::string& name) {
  constexpr std::array kNames{"fp32.h5", "qat.h5", "prepared.h5", "int8.h5", "static-not-improved.h5"};
  return std::ranges::find(kNames, name) != kNames.end() ||
         (name.starts_with("static-int") && (name.ends_with("-per-channel.h5") || name.ends_with("-per-tensor.h5")));
}

FolderLock::FolderLock(const fs::path& folder) : path_(folder / kLock) {
  while (descriptor_ < 0) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    check(descriptor_ >= 0, folder.string(), ": the output folder cannot be written: ", reason_of(errno), kMend);
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      const std::string holder = holder_of(descriptor_);
      ::close(descriptor_);
      check(error != EWOULDBLOCK, folder.string(), ": another run (", holder, ") writes to this output folder; wait ",
            "for it, or name another one with --out DIR");
      fail(folder.string(), ": the output folder cannot be locked: ", reason_of(error), kMend);
    }
    // The run before may have removed the file after it was opened here: then the lock is on what nobody finds.
    if (!stands_for(path_, descriptor_)) {
      ::close(std::exchange(descriptor_, -1));
    }
  }
  // For the message of another run alone: it does not matter where the disk is full.
  const std::string process = std::to_string(::getpid()) + "\n";
  [[maybe_unused]] const bool is_told =
      ::ftruncate(descriptor_, 0) == 0 && ::pwrite(descriptor_, process.data(), process.size(), 0) > 0;
}

FolderLock::~FolderLock() {
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

OutputFolder::OutputFolder(const fs::path& path, const std::vector<std::string>& files)
    : path_(made(path)), lock_(path_) {
  for (const std::string& file : files) {
    const AtomicFile writable(path_ / file);
  }
}

void OutputFolder::remove_earlier_run(const std::string& first) const {
  fs::remove(path_ / kMetricsFile);
  fs::remove(path_ / kReportFile);
  fs::remove(path_ / kFlipsFile);
  for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
    const std::string name = entry.path().filename().string();
    if (is_model_file(name) && name != first && !entry.is_directory()) {
      fs::remove(entry.path());
    }
  }
}

}  // namespace detent::train
