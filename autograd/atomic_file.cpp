#include "autograd/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

#include "kernels/error.h"
#include "kernels/parallel.h"

namespace detent {
namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

int open_exclusively(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code ignored;
  check(!path_.filename().empty() && !std::filesystem::is_directory(path_, ignored), "write '", path_.string(),
        "': expected the name of a file, it is a folder");
  const std::string stem = "." + path_.filename().string() + "." + std::to_string(::getpid()) + "-";
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    temporary_ = folder_of(path_) / (stem + std::to_string(attempt) + ".tmp");
    descriptor_ = open_exclusively(temporary_);
    if (descriptor_ < 0 && errno != EEXIST && errno != EINTR) {
      fail_with(errno);
    }
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  constexpr std::size_t kLargestWrite = std::size_t{64} << 20;  // so that Ctrl-C is heard
  while (!bytes.empty()) {
    check_interruption();
    const ssize_t written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kLargestWrite));
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail_with(errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit() {
  assert(descriptor_ >= 0);
  if (::fsync(descriptor_) != 0) {
    fail_with(errno);
  }
  // Some file systems report a full disk only here.
  if (::close(std::exchange(descriptor_, -1)) != 0) {
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
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      fail("write '", path_.string(), "': there is no folder '", folder_of(path_).string(), "'; create it first");
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      fail("write '", path_.string(), "': ", reason, "; free some space, the old content is unchanged");
    default:
      fail("write '", path_.string(), "': ", reason);
  }
}

}  // namespace detent
