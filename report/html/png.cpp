#include "detent/report/html/png.h"

#include <algorithm>
#include <array>

#include "detent/core/error.h"

// signature, then chunks: length, name, bytes, CRC-32 of name and bytes. IHDR: width, height, 8 bits, color type; IDAT:
// a zlib stream of rows, each behind a filter byte 0; IEND.
namespace detent::report::html {
namespace {

constexpr std::int64_t kMostPixels = 4096;    // a side
constexpr std::size_t kMostInABlock = 65535;  // bytes that a stored block of deflate takes

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>((value >> shift) & 0xffU);
  }
  return bytes;
}

std::string little_endian16(std::size_t value) {
  return {static_cast<char>(value & 0xffU), static_cast<char>((value >> 8U) & 0xffU)};
}

std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1U) ^ ((crc & 1U) != 0U ? 0xedb88320U : 0U);
    }
  }
  return ~crc;
}

std::uint32_t adler32(const std::string& bytes) {
  constexpr std::uint32_t kModulus = 65521;
  std::uint32_t a = 1, b = 0;
  for (const char byte : bytes) {
    a = (a + static_cast<unsigned char>(byte)) % kModulus;
    b = (b + a) % kModulus;
  }
  return (b << 16U) | a;
}

std::string chunk(const std::string& name, const std::string& bytes) {
  return big_endian(static_cast<std::uint32_t>(bytes.size())) + name + bytes + big_endian(crc32(name + bytes));
}

std::string zlib_stored(const std::string& bytes) {
  std::string stream = "\x78\x01";
  for (std::size_t at = 0; at < bytes.size(); at += kMostInABlock) {
    const std::size_t size = std::min(kMostInABlock, bytes.size() - at);
    stream += at + size == bytes.size() ? '\1' : '\0';
    stream += little_endian16(size) + little_endian16(~size) + bytes.substr(at, size);
  }
  return stream + big_endian(adler32(bytes));
}

}  // namespace

std::string to_png(std::span<const std::uint8_t> pixels, std::int64_t height, std::int64_t width,
                   std::int64_t channels) {
  const bool is_size = height > 0 && width > 0 && height <= kMostPixels && width <= kMostPixels;
  check(is_size && (channels == 1 || channels == 3), "png: expected 1 or 3 channels and at most ", kMostPixels,
        " pixels a side, got ", height, " x ", width, " x ", channels);
  const auto row = static_cast<std::size_t>(width * channels);
  check(pixels.size() == row * static_cast<std::size_t>(height), "png: ", pixels.size(), " bytes are no ", height,
        " x ", width, " x ", channels);
  std::string rows;
  for (std::size_t at = 0; at < pixels.size(); at += row) {
    rows += '\0';
    for (const std::uint8_t byte : pixels.subspan(at, row)) {
      rows += static_cast<char>(byte);
    }
  }
  std::string header = big_endian(static_cast<std::uint32_t>(width)) + big_endian(static_cast<std::uint32_t>(height));
  header += {'\x08', channels == 3 ? '\2' : '\0', '\0', '\0', '\0'};
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", zlib_stored(rows)) + chunk("IEND", "");
}

}  // namespace detent::report::html
