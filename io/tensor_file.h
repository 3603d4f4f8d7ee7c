#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "detent/core/tensor.h"

namespace detent {

/// Named tensors and attributes, as one HDF5 file that h5py and h5dump open.
///
///   /                      attributes of the file: strings, integers, reals
///   /<group>/.../<name>    one data set a tensor; every data set carries a Fletcher32 checksum
///
///   /text/<name>           an attribute whose text is longer than 32 KB: a data set of one string
///
///   /small/<type>, /small/index   where there are many small tensors: these, end to end (tensor_file/small.h)
///
/// Element types are HDF5's own: f32, f64 as IEEE little-endian, u8, s8, s32 as integers, bf16 and f16 as 16-bit
/// unsigned integers with an attribute `dtype`. The same content gives the same bytes: no time stamps are stored and
/// objects are written in the order of their names. The format is that of HDF5 1.10, where metadata are checksummed
/// too: a damaged byte is found, unless it lies where nothing is kept. Texts are UTF-8 without zero bytes; QParams are
/// not stored.
///
/// Reading takes other types of numbers, too, as read_foreign_file does (foreign_tensor_file.h), but no other form of
/// HDF5, of which damaged files can be a danger to the HDF5 library; superblocks and object headers of versions 0 and 1
/// are refused, compressed tensors, texts of variable length, and bytes behind the end. Whatever a file does to the
/// library, it does it in a process of its own. Texts that are not UTF-8 are made valid (core/utf8.h).
class TensorFile {
 public:
  using Attribute = std::variant<std::string, std::int64_t, double>;

  std::map<std::string, Attribute> attributes;
  std::map<std::string, Tensor> tensors;  ///< by path without the leading slash: "parameters/conv1/weight"
  std::set<std::string> enumerations;     ///< which of `tensors` were enumerations in the file; not written
  std::map<std::string, std::vector<std::string>> texts;  ///< data sets [N] of texts that were asked for; not written

  /// Reads a file that Detent wrote, whole; with `only`, no data sets but those, which must then hold numbers if they
  /// are there, or, those that `may_be_texts` names too, texts [N]. Throws Error, naming the file and what is wrong, if
  /// it is missing, not HDF5, of another form, truncated, or damaged in any data set that is read.
  static TensorFile read(const std::filesystem::path& path, const std::vector<std::string>& only = {},
                         const std::vector<std::string>& may_be_texts = {});
  /// Writes to a temporary file beside `path`, flushes it to the disk and renames it, so that `path` holds either its
  /// old content or all of the new. Throws Error (a full disk, a missing folder) and leaves nothing behind.
  void write(const std::filesystem::path& path) const;

  /// Throws Error naming what is missing or has another type.
  const std::string& text(const std::string& attribute) const;
  std::int64_t integer(const std::string& attribute) const;
  const Tensor& tensor(const std::string& name) const;

  /// The file that was read, for messages; empty if this was not read.
  std::filesystem::path source;
};

/// Writes `text` to `path` in the same way: temporary file, flush, rename.
void write_text_file(const std::filesystem::path& path, const std::string& text);

}  // namespace detent
