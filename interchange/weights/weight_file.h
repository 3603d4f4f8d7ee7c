#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detent/core/tensor.h"
#include "detent/interchange/weights/layout.h"

namespace detent::interchange {

/// Named tensors in a file of either format, read where they are asked for: .safetensors (safetensors.h); arrays of
/// numpy, .npz or a folder of .npy files (data/formats/numpy/array_store.h).
class WeightFile {
 public:
  /// Throws Error, naming the file, for what is neither, and for a damaged file.
  static std::unique_ptr<WeightFile> open(const std::filesystem::path& path);
  virtual ~WeightFile() = default;

  const std::string& path() const { return path_; }
  const std::vector<std::string>& names() const { return names_; }
  /// How its tensors lie, where the file says so.
  const std::optional<Layout>& layout() const { return layout_; }
  /// Throws Error, naming file and tensor, for elements that no tensor has. REQUIRES: one of `names`.
  virtual Tensor read(const std::string& name) = 0;

 protected:
  explicit WeightFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::vector<std::string> names_;
  std::optional<Layout> layout_;
};

/// Writes `tensors` by the ending of `path`, .safetensors or .npz, whole or not at all, and how they lie: as metadata
/// `layout`, or as an array of this name, a text. The same content gives the same bytes. Throws Error for another
/// ending, a tensor that is called so, and if the file cannot be written.
void write_weights(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors, Layout layout);
/// Throws Error, naming the ending, unless write_weights knows it.
void check_weight_path(const std::filesystem::path& path);

}  // namespace detent::interchange
