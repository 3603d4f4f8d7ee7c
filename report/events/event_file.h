#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Event files of TensorBoard. A file is records one after the other, each (TensorFlow, lib/io/record_writer.h)
///
///   u64 length of data | u32 masked CRC-32C of these 8 bytes | data | u32 masked CRC-32C of data
///
/// all little-endian; the data are protocol-buffer messages Event (util/event.proto, framework/summary.proto), of
/// which these fields are written:
///
///   Event    1 wall_time double | 2 step varint | 3 file_version string or 5 summary Summary
///   Summary  1 value Value, again and again         Value  1 tag string | 2 simple_value float
///
/// The first record of a file is its version.
namespace detent::report {

/// The CRC of Castagnoli (RFC 3720), polynomial 0x1EDC6F41 reflected: of "123456789" 0xE3069283.
std::uint32_t crc32c(std::string_view bytes);
/// ((crc >> 15) | (crc << 17)) + 0xA282EAD8: how records hold a CRC.
std::uint32_t masked(std::uint32_t crc);

/// `data` as a record.
std::string framed(std::string_view data);
/// How many bytes the first `count` records of `bytes` take, or so many of them as are whole, and how many those are.
struct WholeRecords {
  std::size_t count = 0;
  std::size_t bytes = 0;
};
WholeRecords whole_records(std::string_view bytes, std::size_t count);

/// The record that a file begins with.
std::string version_record(double wall_time);
/// A record of numbers at a step. `wall_time` is in seconds since 1970. REQUIRES: step >= 0.
struct Scalar {
  std::string tag = {};  ///< "float/loss": the part before '/' is the group it is shown in
  double value = 0.0;
};
std::string scalars_record(double wall_time, std::int64_t step, const std::vector<Scalar>& scalars);

}  // namespace detent::report
