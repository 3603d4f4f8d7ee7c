#include "detent/io/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "detent/core/error.h"
#include "detent/core/threads/parallel.h"

namespace detent {
namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

int open_exclusively(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

constexpr std::string_view kMark = ".detent-";
constexpr std::string_view kEnd = ".tmp";

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Whether it is a name that only AtomicFile gives: ".<name>.detent-<process>-<number>.tmp".
bool is_temporary(std::string_view name) {
  const std::size_t mark = name.rfind(kMark);
  if (!name.starts_with('.') || !name.ends_with(kEnd) || mark == std::string_view::npos || mark == 0) {
    return false;
  }
  name.remove_suffix(kEnd.size());
  const std::string_view numbers = name.substr(std::min(mark + kMark.size(), name.size()));
  const std::size_t dash = numbers.find('-');
  return dash != std::string_view::npos && is_number(numbers.substr(0, dash)) && is_number(numbers.substr(dash + 1));
}

bool is_same_file(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// The kernel drops a lock with the process that holds it: a temporary file without one is nobody's. Its owner keeps the
// lock until the file has its final name, so the name still stands for the locked file, or for none.
void remove_if_abandoned(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) {
    return;
  }
  struct stat opened {};
  struct stat named {};
  if (::flock(file, LOCK_EX | LOCK_NB) == 0 && ::fstat(file, &opened) == 0 && S_ISREG(opened.st_mode) &&
      ::lstat(path.c_str(), &named) == 0 && is_same_file(opened, named)) {
    ::unlink(path.c_str());
  }
  ::close(file);
}

// What cannot be listed or removed stays: it is in nobody's way.
void remove_abandoned(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (is_temporary(entry->path().filename().string())) {
      remove_if_abandoned(entry->path());
    }
  }
}

// Locks a file that was just made. False if another process took it for abandoned in between.
bool lock_new(int file) {
  while (::flock(file, LOCK_EX) != 0 && errno == EINTR) {
  }
  struct stat made {};
  return ::fstat(file, &made) != 0 || made.st_nlink > 0;
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code ignored;
  check(!path_.filename().empty() && !std::filesystem::is_directory(path_, ignored), "write '", path_.string(),
        "': expected the name of a file, it is a folder");
  remove_abandoned(folder_of(path_));
  const std::string stem = "." + path_.filename().string() + std::string(kMark) + std::to_string(::getpid()) + "-";
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    temporary_ = folder_of(path_) / (stem + std::to_string(attempt) + std::string(kEnd));
    descriptor_ = open_exclusively(temporary_);
    if (descriptor_ < 0 && errno != EEXIST && errno != EINTR) {
      fail_with(errno);
    }
    if (descriptor_ >= 0 && !lock_new(descriptor_)) {
      ::close(std::exchange(descriptor_, -1));
    }
  }
  lock_ = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
  for (const int file : {descriptor_, lock_}) {
    if (file >= 0) {
      ::close(file);
    }
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  constexpr std::size_t kLargestWrite = std::size_t{64} << 20;  // so that Ctrl-C is heard
  while (!bytes.empty()) {
    check_interruption();
    const ssize_t written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kLargestWrite));
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {  // nothing at all is written only where something is wrong
      fail_with(written < 0 ? errno : EIO);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit() {
  assert(descriptor_ >= 0);
  while (::fsync(descriptor_) != 0) {
    if (errno != EINTR) {
      fail_with(errno);
    }
  }
  // Some file systems report a full disk only here. Interrupted, it is closed all the same.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) {
    fail_with(errno);
  }
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail_with(errno);
  }
  temporary_.clear();
  // The new name is on the disk when the folder is. Not every file system can do this, and the content is safe already.
  if (const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
}

void AtomicFile::fail_with(int error) const {
  const std::string reason = std::generic_category().message(error);
  std::error_code ignored;
  const std::string rest =
      std::filesystem::exists(path_, ignored) ? "; this file still has its old content" : "; this file was not made";
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      fail("write '", path_.string(), "': there is no folder '", folder_of(path_).string(), "'; create it first");
    case ENOSPC:
    case EDQUOT:
      fail("write '", path_.string(), "': ", reason, "; free some space", rest);
    case EFBIG:
      fail("write '", path_.string(), "': ", reason, "; free some space or raise the limit on file sizes", rest);
    default:
      fail("write '", path_.string(), "': ", reason, rest);
  }
}

}  // namespace detent
