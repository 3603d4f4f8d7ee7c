#include "detent/data/formats/images/image_file.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <system_error>
#include <vector>

#include "detent/core/error.h"

namespace detent::data {
namespace {

constexpr std::array<std::uint8_t, 4> kPng{0x89, 'P', 'N', 'G'};
constexpr std::array<std::uint8_t, 3> kJpegSignature{0xFF, 0xD8, 0xFF};
constexpr std::uintmax_t kLargestImageFile = std::uintmax_t{1} << 30;

template <std::size_t N>
bool begins_with(std::span<const std::byte> bytes, const std::array<std::uint8_t, N>& magic) {
  return bytes.size() >= N && std::ranges::equal(bytes.first(N), magic, [](std::byte a, std::uint8_t b) {
           return std::to_integer<std::uint8_t>(a) == b;
         });
}

}  // namespace

Tensor decode_image(const std::string& where, std::span<const std::byte> bytes) {
  const bool is_png = begins_with(bytes, kPng);
  check(is_png || begins_with(bytes, kJpegSignature), where,
        bytes.empty() ? ": is empty" : ": is neither PNG nor JPEG");
  return is_png ? decode_png(where, bytes) : decode_jpeg(where, bytes);
}

Tensor read_image(const std::filesystem::path& path) {
  const std::string where = path.string();
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  check(!error && file.is_open(), where, ": cannot be read", error ? ": " + error.message() : std::string());
  check(size <= kLargestImageFile, where, ": has ", size, " bytes: expected a picture of at most ", kLargestImageFile);
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  check(file.good() || size == 0, where, ": cannot be read");
  return decode_image(where, bytes);
}

bool is_image_name(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(),
                         [](char a) { return a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a; });
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

}  // namespace detent::data
