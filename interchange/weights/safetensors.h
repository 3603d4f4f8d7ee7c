#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "detent/core/tensor.h"

/// Files of named tensors, .safetensors:
///
///     offset  content
///     0       length n of the header: u64, little-endian
///     8       JSON, n bytes, with blanks behind it:
///             {"conv1.weight": {"dtype": "F32", "shape": [32, 1, 3, 3], "data_offsets": [0, 1152]}, ...,
///              "__metadata__": {"format": "pt"}}
///     8 + n   the elements, row by row, little-endian; offsets count from here
///
/// Tensors lie end to end: no byte belongs to two of them or to none. Source: the format's specification,
/// github.com/huggingface/safetensors.
namespace detent::interchange {

/// A file open for reading. What its header claims is checked before memory is asked for: the header's length, names
/// (each once), types, shapes and offsets, which must agree with each other and with the file's length.
class SafetensorsFile {
 public:
  struct Entry {
    std::string name = {};
    std::string dtype = {};  ///< "F32", "BF16", "I64", as the format calls it
    Shape shape = {};
    std::uint64_t begin = 0, end = 0;  ///< of its elements, behind the header
  };

  /// Throws Error in one line, which begins with the path, for a file that is missing or is none of these.
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// In the order in which they lie.
  const std::vector<Entry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Throws Error for a type that tensors cannot have: of F32 F64 F16 BF16 U8 I8 I32 as they are, BOOL as u8.
  Tensor read(const Entry& entry);

 private:
  std::string path_;
  std::ifstream file_;
  std::uint64_t begin_ = 0;  // of the elements
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Writes such a file, whole or not at all (io/atomic_file.h): elements of wider types first, so that each lies
/// aligned, and the header's length a multiple of 8. The same content gives the same bytes. Throws Error if it cannot
/// be written, for a tensor that is called __metadata__, and for names that are not UTF-8.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace detent::interchange
