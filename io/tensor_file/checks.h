#pragma once

#include <hdf5.h>

#include <optional>
#include <string>

#include "detent/io/tensor_file.h"

/// What a file claims, before memory is asked for because of it. Private to io.
namespace detent::hdf5 {

/// The file that is read, as far as claims are measured by it.
struct FileFacts {
  std::string path = {};
  double bytes = 0;
  bool is_own = false;  ///< whether it must have the form that Detent writes

  /// "read 'PATH': WHAT", with which messages begin.
  std::string where(const std::string& what) const { return "read '" + path + "': " + what; }
};

enum class MayDeflate { No, Yes };

/// Throws Error unless the file has, of the data set `set`, the `bytes` bytes that its header claims, or as many as the
/// filters may pack so small. A claim of more is a lie, or a data set that was never written. The library asks for
/// whole chunks, whatever of them is used. Data sets whose elements lie in other files are refused and, in files of
/// Detent's own, those that are compressed, unless they may be.
void check_storage(const FileFacts& file, hid_t set, const std::string& what, double bytes, MayDeflate may_deflate);

/// One text, integer or real; nothing for arrays and other types, which foreign programs may add.
std::optional<TensorFile::Attribute> attribute_value(const FileFacts& file, hid_t attribute, const std::string& what);

/// The widest number that is one: a long double.
inline constexpr std::size_t kWidestNumber = 16;

/// `id` if it is no failure. Throws Error otherwise: "WHERE is damaged: " and the library's reason.
hid_t made(const FileFacts& file, hid_t id, const std::string& what);

}  // namespace detent::hdf5
