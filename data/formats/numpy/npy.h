#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/tensor.h"

namespace detent::data {

/// An array of numpy's format .npy (NEP 1, versions 1 to 3):
///
///     offset  content
///     0       93 'N' 'U' 'M' 'P' 'Y', major, minor
///     8       length of the header: u16 (LE), from version 2 on u32
///     then    {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } and blanks
///     then    the elements; the first axis fastest if fortran_order
///
/// Elements are real (f2 f4 f8), integers (i1 to i8, u1 to u8), flags (b1) or texts (S: bytes, U: UCS-4), of either
/// byte order. Objects (pickles), complex numbers, dates and structures are refused.
class NpyArray {
 public:
  enum class Kind { kReal, kSigned, kUnsigned, kFlag, kBytes, kText };

  /// Throws Error, which begins with `where`, for anything else, and unless the elements that the header promises are
  /// there, all of them and nothing more.
  static NpyArray parse(const std::string& where, std::vector<std::byte> file);

  const std::string& where() const { return where_; }
  const Shape& shape() const { return shape_; }
  Kind kind() const { return kind_; }
  bool has_texts() const { return kind_ == Kind::kBytes || kind_ == Kind::kText; }
  bool is_whole() const { return kind_ == Kind::kSigned || kind_ == Kind::kUnsigned || kind_ == Kind::kFlag; }
  /// Whether the elements are u8.
  bool is_bytes() const { return kind_ == Kind::kUnsigned && item_bytes_ == 1; }
  /// "<f4", as numpy says it.
  const std::string& dtype() const { return dtype_; }

  /// The elements in C order. REQUIRES: no texts; u8 needs is_bytes.
  Tensor to_u8() const;
  Tensor to_f32() const;
  std::vector<double> numbers() const;
  /// Each as text: integers as their digits, reals as the shortest digits that give them again.
  std::vector<std::string> texts() const;

 private:
  void parse_header(std::string_view header);
  void set_type(const std::string& dtype);
  template <typename Use>
  void for_each(Use&& use) const;
  double number_at(const std::byte* item) const;
  std::string text_at(const std::byte* item) const;

  std::string where_;
  std::string dtype_;
  Kind kind_ = Kind::kReal;
  std::size_t item_bytes_ = 0;
  bool is_swapped_ = false;
  bool is_fortran_ = false;
  Shape shape_;
  std::vector<std::byte> file_;
  std::size_t begin_ = 0;  // of the elements in the file
};

}  // namespace detent::data
