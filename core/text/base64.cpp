#include "detent/core/text/base64.h"

#include <algorithm>
#include <cstdint>

namespace detent {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t size = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = (group << 8U) | (i < size ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += i <= size ? kLetters[(group >> (18U - 6U * i)) & 0x3fU] : '=';
    }
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) {
    return std::nullopt;
  }
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const std::string_view letters = text.substr(at, 4);
    const bool is_last = at + 4 == text.size();
    const std::size_t fill = !is_last ? 0 : letters.ends_with("==") ? 2 : letters.ends_with('=') ? 1 : 0;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t value = i < 4 - fill ? kLetters.find(letters[i]) : 0;
      if (value == kLetters.npos) {
        return std::nullopt;
      }
      group = group << 6U | static_cast<std::uint32_t>(value);
    }
    for (std::size_t i = 0; i < 3 - fill; ++i) {
      bytes += static_cast<char>(group >> (16U - 8U * i) & 0xffU);
    }
  }
  return bytes;
}

}  // namespace detent
