#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "tests/fuzz/lookup3.h"
#include "tests/fuzz/readers.h"

namespace detent::fuzz {
namespace {

std::uint32_t big_endian(const Bytes& file, std::size_t at) {
  return std::uint32_t{file[at]} << 24 | std::uint32_t{file[at + 1]} << 16 | std::uint32_t{file[at + 2]} << 8 |
         file[at + 3];
}

/// Puts behind the `size` bytes at `begin` their sum, where there is room.
void sum_behind(Bytes& file, std::size_t begin, std::size_t size) {
  if (begin <= file.size() && size <= file.size() - begin && file.size() - begin - size >= 4) {
    const std::uint32_t sum = lookup3(View(file).subspan(begin, size));
    std::memcpy(file.data() + begin + size, &sum, sizeof sum);
  }
}

/// The size of the object header (version 2) at `begin`, without its sum.
std::size_t header_size(const Bytes& file, std::size_t begin) {
  constexpr unsigned kTimes = 0x20, kPhases = 0x10, kWidth = 3;
  const unsigned flags = file[begin + 5];
  std::size_t at = begin + 6 + ((flags & kTimes) != 0 ? 16 : 0) + ((flags & kPhases) != 0 ? 4 : 0);
  const std::size_t width = std::size_t{1} << (flags & kWidth);
  std::uint64_t messages = 0;
  if (at + width <= file.size()) {
    std::memcpy(&messages, file.data() + at, width);
  }
  at += width;
  return at - begin + std::min<std::uint64_t>(messages, file.size());
}

bool begins_with(const Bytes& file, std::string_view text) {
  return file.size() >= text.size() && std::memcmp(file.data(), text.data(), text.size()) == 0;
}

}  // namespace

void repair_png(Bytes& file) {
  constexpr std::size_t kSignature = 8, kAround = 12;  // length, name and sum of a chunk
  if (!begins_with(file, "\x89PNG\r\n\x1a\n")) {
    return;
  }
  for (std::size_t at = kSignature; at + kAround <= file.size();) {
    const std::uint32_t length = big_endian(file, at);
    if (length > file.size() - at - kAround) {
      return;
    }
    const auto sum = static_cast<std::uint32_t>(crc32(0, file.data() + at + 4, length + 4));
    for (std::size_t i = 0; i < 4; ++i) {
      file[at + 8 + length + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    }
    at += kAround + length;
  }
}

void repair_hdf5(Bytes& file) {
  constexpr std::size_t kSuperblock = 44, kEnd = 28;
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n", kHeader = "OHDR";
  if (file.size() < kSuperblock + 4 || !begins_with(file, kSignature)) {
    return;
  }
  const std::uint64_t end = file.size();
  if (file[8] == 2 || file[8] == 3) {
    std::memcpy(file.data() + kEnd, &end, sizeof end);
    sum_behind(file, 0, kSuperblock);
  }
  for (std::size_t at = kSuperblock; at + 16 < file.size(); ++at) {
    if (std::memcmp(file.data() + at, kHeader.data(), kHeader.size()) == 0) {
      sum_behind(file, at, header_size(file, at));
    }
  }
}

}  // namespace detent::fuzz
