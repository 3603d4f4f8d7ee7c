#include "detent/report/events/event_file.h"

#include <array>
#include <bit>

namespace detent::report {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // reflected
constexpr std::size_t kHeader = 12;
constexpr std::size_t kFooter = 4;

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    }
    table[byte] = crc;
  }
  return table;
}

template <typename Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    bytes += static_cast<char>((number >> (8 * i)) & 0xFF);
  }
  return bytes;
}

std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < size; ++i) {
    number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return number;
}

bool is_of(std::uint64_t stored, std::string_view bytes) { return stored == masked(crc32c(bytes)); }

// How many bytes the record at the beginning of `bytes` takes; 0: none that is whole is there.
std::size_t record_size(std::string_view bytes) {
  if (bytes.size() < kHeader + kFooter || !is_of(number_at(bytes, 8, 4), bytes.substr(0, 8))) {
    return 0;
  }
  const std::uint64_t length = number_at(bytes, 0, 8);
  if (length > bytes.size() - kHeader - kFooter) {
    return 0;
  }
  const auto size = static_cast<std::size_t>(length);
  return is_of(number_at(bytes, kHeader + size, 4), bytes.substr(kHeader, size)) ? kHeader + size + kFooter : 0;
}

// The wire format of protocol buffers: a field is its number and how it is stored, then its value.
enum class Wire : std::uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

std::string varint(std::uint64_t number) {
  std::string bytes;
  for (; number >= 0x80; number >>= 7) {
    bytes += static_cast<char>((number & 0x7F) | 0x80);
  }
  return bytes + static_cast<char>(number);
}

std::string key(std::uint64_t field, Wire wire) { return varint((field << 3) | static_cast<std::uint64_t>(wire)); }

std::string bytes_field(std::uint64_t field, std::string_view bytes) {
  return key(field, Wire::Bytes) + varint(bytes.size()) + std::string(bytes);
}

std::string double_field(std::uint64_t field, double value) {
  return key(field, Wire::Fixed64) + little_endian(std::bit_cast<std::uint64_t>(value));
}

std::string float_field(std::uint64_t field, float value) {
  return key(field, Wire::Fixed32) + little_endian(std::bit_cast<std::uint32_t>(value));
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = crc_table();
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  }
  return ~crc;
}

std::uint32_t masked(std::uint32_t crc) { return std::rotr(crc, 15) + 0xA282EAD8; }

std::string framed(std::string_view data) {
  const std::string length = little_endian(static_cast<std::uint64_t>(data.size()));
  return length + little_endian(masked(crc32c(length))) + std::string(data) + little_endian(masked(crc32c(data)));
}

WholeRecords whole_records(std::string_view bytes, std::size_t count) {
  WholeRecords whole;
  while (whole.count < count) {
    const std::size_t size = record_size(bytes.substr(whole.bytes));
    if (size == 0) {
      break;
    }
    whole.bytes += size;
    ++whole.count;
  }
  return whole;
}

std::string version_record(double wall_time) {
  return framed(double_field(1, wall_time) + bytes_field(3, "brain.Event:2"));
}

std::string scalars_record(double wall_time, std::int64_t step, const std::vector<Scalar>& scalars) {
  std::string summary;
  for (const Scalar& scalar : scalars) {
    summary += bytes_field(1, bytes_field(1, scalar.tag) + float_field(2, static_cast<float>(scalar.value)));
  }
  return framed(double_field(1, wall_time) + key(2, Wire::Varint) + varint(static_cast<std::uint64_t>(step)) +
                bytes_field(5, summary));
}

}  // namespace detent::report
