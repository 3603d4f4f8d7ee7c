#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>

#include "detent/core/tensor.h"
#include "detent/io/atomic_file.h"

namespace detent::data {

/// Writes an archive .npz as numpy.savez does: a ZIP archive of files .npy (npy.h, zip.h), stored, without a time, so
/// that the same arrays give the same bytes. The file is there whole or not at all (io/atomic_file.h).
///
/// Throws Error, naming the file, if it cannot be written, for a name that is there already, and for an archive of more
/// than 4 GB or 65,534 arrays, which ZIP without its 64-bit form does not have.
class NpzWriter {
 public:
  explicit NpzWriter(const std::filesystem::path& path);

  /// An array of numpy's type that is the tensor's: f2 f4 f8 u1 i1 i4; of bf16, which numpy does not have, f4.
  void add(const std::string& name, const Tensor& tensor);
  /// A text, as an array without axes of type S.
  void add_text(const std::string& name, const std::string& text);
  void commit();

 private:
  void add_array(const std::string& name, const std::string& descr, const std::string& shape,
                 std::span<const std::byte> elements);
  void write(const std::string& bytes);

  std::string path_;
  AtomicFile file_;
  std::uint64_t offset_ = 0;
  std::string directory_;
  std::set<std::string> names_;
};

}  // namespace detent::data
