#include "detent/core/utf8.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace detent::utf8_test {
namespace {

TEST(Utf8, EveryByteThatBeginsNoSequenceIsReplaced) {
  const std::string bad = "\xEF\xBF\xBD";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", ""},
      {"plain", "plain"},
      {std::string("a\0b", 3), std::string("a\0b", 3)},
      {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
      {"\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF", "\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"},
      {"\xFF", bad},
      {"a\x80z", "a" + bad + "z"},
      {"caf\xE9", "caf" + bad},
      {"\xC3", bad},
      {"\xE2\x82", bad + bad},
      {"\xE2\x82z", bad + bad + "z"},
      {"\xC0\xAF", bad + bad},                      // overlong
      {"\xE0\x80\xAF", bad + bad + bad},            // overlong
      {"\xED\xA0\x80", bad + bad + bad},            // a surrogate
      {"\xF4\x90\x80\x80", bad + bad + bad + bad},  // beyond U+10FFFF
      {"\xF5\x80\x80\x80x\xFE", bad + bad + bad + bad + "x" + bad},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(valid_utf8(text), expected) << "of '" << text << "'";
    EXPECT_EQ(find_invalid_utf8(text) == std::string::npos, text == expected) << "of '" << text << "'";
  }
  EXPECT_EQ(find_invalid_utf8("ab\xFF"), 2U);
}

}  // namespace
}  // namespace detent::utf8_test
