#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detent/data/formats/numpy/npy.h"
#include "detent/data/formats/numpy/zip.h"

namespace detent::data {

/// Arrays by name: of an archive .npz, or of the .npy files of a folder. They are read where they are asked for.
class ArrayStore {
 public:
  /// Throws Error for what is neither.
  explicit ArrayStore(const std::filesystem::path& path);

  const std::string& path() const { return path_; }
  const std::vector<std::string>& names() const { return names_; }
  /// The array's own name of those that are called like `name`, in any case.
  std::optional<std::string> find(const std::string& name) const;
  NpyArray read(const std::string& name);

 private:
  std::string path_;
  std::unique_ptr<ZipArchive> archive_;  // null for a folder
  std::vector<std::string> names_;
};

/// The whole file, of at most the machine's memory.
NpyArray read_npy(const std::filesystem::path& path);

}  // namespace detent::data
