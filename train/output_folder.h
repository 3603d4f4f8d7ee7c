#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace detent::train {

inline constexpr const char* kMetricsFile = "metrics.json";
inline constexpr const char* kReportFile = "report.html";
inline constexpr const char* kFlipsFile = "flips.csv";
inline constexpr const char* kCheckpointFile = "checkpoint.h5";
inline constexpr const char* kBestCheckpointFile = "checkpoint-best.h5";

/// Whether runs give this name to a model.
bool is_model_file(const std::string& name);

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
  OutputFolder(const std::filesystem::path& path, const std::vector<std::string>& files);

  /// Removes the files of an earlier run beside `first`, the first model that this run has written, so that all that
  /// lies in the folder is of one run: metrics.json, report.html, flips.csv and the models, by the names that runs give
  /// them. Others stay.
  void remove_earlier_run(const std::string& first) const;

 private:
  std::filesystem::path path_;
  FolderLock lock_;
};

}  // namespace detent::train
