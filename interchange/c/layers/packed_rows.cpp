#include "detent/interchange/c/layers/packed_rows.h"

#include <algorithm>

namespace detent::interchange::c {
namespace {

std::string geometry_of(const kernels::ConvShape& s, std::int64_t row_bytes) {
  const auto field = [](const char* name, std::int64_t value) {
    return std::string(".") + name + " = " + number(value);
  };
  return field("height", s.h) + ", " + field("width", s.w) + ", " + field("channels", s.c) + ", " +
         field("out_height", s.out_h()) + ", " + field("out_width", s.out_w()) + ", " + field("outputs", s.o) +
         ",\n    " + field("kernel_height", s.kh) + ", " + field("kernel_width", s.kw) + ", " +
         field("stride_y", s.stride_h) + ", " + field("stride_x", s.stride_w) + ", " +
         field("dilation_y", s.dilation_h) + ", " + field("dilation_x", s.dilation_w) + ",\n    " +
         field("top", s.padding.top) + ", " + field("left", s.padding.left) + ", " + field("groups", s.groups) + ", " +
         field("depth", s.depth()) + ", " + field("row_bytes", row_bytes);
}

}  // namespace

int bits_of(std::span<const std::int8_t> codes, std::int32_t qmax) {
  if (qmax == 1) {
    return std::ranges::count(codes, std::int8_t{0}) == 0 ? 1 : 2;
  }
  return qmax <= 7 ? 4 : 8;
}

PackedRows::PackedRows(const kernels::ConvShape& shape, std::span<const std::int8_t> codes, const QParams& map,
                       int bits)
    : pixels_(shape.kh * shape.kw), bits_(bits), channels_(shape.c / shape.groups) {
  block_ = map.is_per_group() ? map.group : channels_;
  for (std::int64_t o = 0; o < shape.o; ++o) {
    const std::size_t row = bytes_.size();
    for (std::int64_t begin = 0; begin < channels_; begin += block_) {
      add_block(codes.subspan(static_cast<std::size_t>(o * shape.depth())), begin, std::min(begin + block_, channels_));
    }
    row_bytes_ = static_cast<std::int64_t>(bytes_.size() - row);
  }
}

void PackedRows::add_block(std::span<const std::int8_t> row, std::int64_t begin, std::int64_t end) {
  std::int64_t sum = 0;
  int filled = 8;  // bits of the last byte
  for (std::int64_t pixel = 0; pixel < pixels_; ++pixel) {
    for (std::int64_t c = begin; c < end; ++c) {
      const std::int8_t code = row[static_cast<std::size_t>(pixel * channels_ + c)];
      sum += code;
      if (filled == 8) {
        bytes_.push_back(0);
        filled = 0;
      }
      const unsigned kept = bits_ == 1 ? (code > 0 ? 1U : 0U) : static_cast<unsigned>(code) & ((1U << bits_) - 1U);
      bytes_.back() = static_cast<std::uint8_t>(bytes_.back() | kept << filled);
      filled += bits_;
    }
  }
  sums_.push_back(sum);
}

void ProductWriter::define_weight(const PackedRows& rows) {
  if (rows.bits() == 8) {
    const auto* const codes = reinterpret_cast<const std::int8_t*>(rows.bytes().data());
    define("weight", std::span(codes, rows.bytes().size()));
  } else {
    define("weight", std::span<const std::uint8_t>(rows.bytes()));
  }
}

std::string ProductWriter::finish(const kernels::ConvShape& shape, std::int64_t row_bytes,
                                  const std::string& zeros_and_limits) {
  return definitions_ + "static const product " + name_ + " = {\n    " + geometry_of(shape, row_bytes) + ",\n    " +
         zeros_and_limits + fields_ + "};\n";
}

}  // namespace detent::interchange::c
