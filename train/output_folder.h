#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace detent::train {

/// A lock on a folder, held as long as the object lives: the file ".detent.lock" in it is locked (flock), which the
/// kernel undoes however the process ends, and removed at the end. Throws Error if another run holds it, or if the
/// folder cannot be written.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// The folder that a run writes to, locked for it.
class OutputFolder {
 public:
  /// Makes the folder if need be, and makes sure that each of `files`, the names that the run will write, can be
  /// written there; their content is left as it is. Throws Error if not, or if another run holds the folder.
  OutputFolder(const std::filesystem::path& path, std::vector<std::string> files);

  /// Removes the models of earlier runs that this run does not write, so that all models in the folder are of one run.
  /// Only names that runs give to models are looked at.
  void remove_other_models() const;

 private:
  std::filesystem::path path_;
  FolderLock lock_;
  std::vector<std::string> files_;
};

}  // namespace detent::train
