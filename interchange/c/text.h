#pragma once

#include <concepts>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

/// The small parts of C that the writer puts together.
namespace detent::interchange::c {

/// "-12", "0x1.8p-7F": the same number in C, exactly. REQUIRES: finite.
std::string number(std::integral auto value) { return std::to_string(value); }
std::string number(float value);

/// "static const int8_t NAME[3] = {\n    1, 2, 3};\n", in lines of at most 120 columns.
std::string array(const std::string& name, std::span<const std::int8_t> values);
std::string array(const std::string& name, std::span<const std::uint8_t> values);
std::string array(const std::string& name, std::span<const std::uint16_t> values);
std::string array(const std::string& name, std::span<const std::int32_t> values);
std::string array(const std::string& name, std::span<const float> values);
/// "{1, 2, 3}" in lines, without a name.
std::string braces(std::span<const std::uint8_t> values, const std::string& indent);
std::string braces(std::span<const float> values, const std::string& indent);

/// `text` for a comment: letters, digits and plain signs; '_' stands for all else, as what would end the comment.
std::string comment(std::string_view text);

/// `text` as the part of an identifier: letters, digits and '_'.
std::string identifier(std::string_view text);

/// All of `text` with `from` replaced.
std::string replaced(std::string text, std::string_view from, std::string_view to);

/// Hands out identifiers, each once.
class Identifiers {
 public:
  /// `wanted`, or where that is taken "wanted_2", "wanted_3", ...
  std::string take(const std::string& wanted);

 private:
  std::set<std::string> taken_;
};

}  // namespace detent::interchange::c
