#include "detent/interchange/c/text.h"

#include <array>
#include <charconv>

#include "detent/core/error.h"

namespace detent::interchange::c {
namespace {

constexpr std::size_t kColumns = 120;

/// Values with commas, in lines that begin with `indent`.
template <typename T>
std::string lines_of(std::span<const T> values, const std::string& indent) {
  std::string text;
  std::size_t column = kColumns;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string word = number(values[i]) + (i + 1 < values.size() ? "," : "");
    if (column + 1 + word.size() + 2 > kColumns) {
      text += "\n" + indent;
      column = indent.size();
    } else {
      text += ' ';
      ++column;
    }
    text += word;
    column += word.size();
  }
  return text;
}

template <typename T>
std::string array_of(const char* type, const std::string& name, std::span<const T> values) {
  return std::string("static const ") + type + " " + name + "[" + std::to_string(values.size()) + "] = {" +
         lines_of(values, "    ") + "};\n";
}

bool is_letter_or_digit(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9');
}

}  // namespace

std::string number(float value) {
  std::array<char, 64> digits{};
  const bool is_negative = value < 0;
  const auto [end, error] =
      std::to_chars(digits.data(), digits.data() + digits.size(), is_negative ? -value : value, std::chars_format::hex);
  check(error == std::errc(), "export: a number has no text");
  return std::string(is_negative ? "-0x" : "0x") + std::string(digits.data(), end) + "F";
}

std::string array(const std::string& name, std::span<const std::int8_t> values) {
  return array_of("int8_t", name, values);
}
std::string array(const std::string& name, std::span<const std::uint8_t> values) {
  return array_of("uint8_t", name, values);
}
std::string array(const std::string& name, std::span<const std::uint16_t> values) {
  return array_of("uint16_t", name, values);
}
std::string array(const std::string& name, std::span<const std::int32_t> values) {
  return array_of("int32_t", name, values);
}
std::string array(const std::string& name, std::span<const float> values) { return array_of("float", name, values); }

std::string braces(std::span<const std::uint8_t> values, const std::string& indent) {
  return "{" + lines_of(values, indent) + "}";
}
std::string braces(std::span<const float> values, const std::string& indent) {
  return "{" + lines_of(values, indent) + "}";
}

std::string comment(std::string_view text) {
  constexpr std::string_view kPlain = " _-+.,:;/()[]=<>%";
  std::string result;
  for (const char letter : text) {
    result += is_letter_or_digit(letter) || kPlain.find(letter) != std::string_view::npos ? letter : '_';
  }
  return result;
}

std::string identifier(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    result += is_letter_or_digit(letter) ? letter : '_';
  }
  return result;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string Identifiers::take(const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2; !taken_.insert(name).second; ++i) {
    name = wanted + "_" + std::to_string(i);
  }
  return name;
}

}  // namespace detent::interchange::c
