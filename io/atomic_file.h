#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace detent {

/// A file that appears whole or not at all: bytes go to a temporary file in the same folder, and `commit` flushes them
/// to the disk and renames it, so that `path` holds either its old content or all of the new, whatever happens in
/// between. Without `commit` the temporary file is removed and `path` is left as it was.
/// The temporary file is ".<name>.detent-<process>-<number>.tmp" and locked (flock) while it is in use. Where a process
/// was killed, it stays behind without its lock: the next AtomicFile in that folder, of whatever name, removes it.
/// All functions throw Error naming the file and the system's reason: a missing folder, no permission, a full disk.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends `bytes`.
  void write(std::span<const std::byte> bytes);
  /// REQUIRES: not committed yet.
  void commit();

 private:
  [[noreturn]] void fail_with(int error) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  int lock_ = -1;  // the same open file, which holds its lock until the new name stands
};

}  // namespace detent
