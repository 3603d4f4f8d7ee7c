#pragma once

#include <span>
#include <string>
#include <vector>

#include "detent/core/qparams.h"
#include "detent/interchange/c/text.h"
#include "detent/kernels/product/conv.h"

/// What the constants of all products of codes are put together with.
namespace detent::interchange::c {

/// The fewest of 1, 2, 4 and 8 bits that hold the codes: 1 for -1 and 1, 2 for -1 to 1, 4 for -8 to 7.
int bits_of(std::span<const std::int8_t> codes, std::int32_t qmax);

/// Weights in the order in which they are read: output by output, block of channels by block, pixel by pixel. Rows of
/// weights of fewer than 8 bits share bytes and begin with a whole one; so do the blocks of channels that have a scale
/// of their own.
class PackedRows {
 public:
  PackedRows(const kernels::ConvShape& shape, std::span<const std::int8_t> codes, const QParams& map, int bits);

  int bits() const { return bits_; }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  /// Of each block, the sum of its weights.
  const std::vector<std::int64_t>& sums() const { return sums_; }
  std::int64_t row_bytes() const { return row_bytes_; }
  std::int64_t block() const { return block_; }

 private:
  void add_block(std::span<const std::int8_t> row, std::int64_t begin, std::int64_t end);

  std::int64_t pixels_;
  int bits_;
  std::int64_t channels_ = 0, block_ = 0, row_bytes_ = 0;
  std::vector<std::uint8_t> bytes_ = {};
  std::vector<std::int64_t> sums_ = {};
};

/// Writes the arrays of a layer, and the `product` that names them.
class ProductWriter {
 public:
  ProductWriter(const std::string& name, Identifiers& names) : name_(name), names_(names) {}

  template <typename T>
  void define(const std::string& what, std::span<const T> values) {
    const std::string name = names_.take(name_ + "_" + what);
    definitions_ += array(name, values);
    bytes_ += static_cast<std::int64_t>(values.size_bytes());
    add("." + what + " = " + name);
  }
  /// As s8 where each has a byte, else as u8.
  void define_weight(const PackedRows& rows);
  void add(const std::string& fields) { fields_ += ",\n    " + fields; }
  void add(const char* field, std::int64_t value) { add("." + std::string(field) + " = " + number(value)); }

  /// All definitions; `zeros_and_limits`: the first fields behind the geometry.
  std::string finish(const kernels::ConvShape& shape, std::int64_t row_bytes, const std::string& zeros_and_limits);
  std::int64_t bytes() const { return bytes_; }

 private:
  const std::string& name_;
  Identifiers& names_;
  std::string definitions_ = {};
  std::string fields_ = {};
  std::int64_t bytes_ = 96;  ///< of the `product`
};

}  // namespace detent::interchange::c
