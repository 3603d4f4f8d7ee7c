#include "detent/report/html/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/report/html/read.h"

namespace detent::report::html::text_test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Escaped, WhatHasAMeaningInHtmlBecomesAReference) {
  EXPECT_EQ(escaped("<script>alert(\"1\" & '2')</script>"),
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;");
  EXPECT_EQ(escaped("caf\u00e9 \u6570\n\t"), "caf\u00e9 \u6570\n\t");
}

TEST(Escaped, WhatIsNoTextBecomesTheReplacementCharacter) {
  EXPECT_EQ(escaped("caf\xE9"), "caf\ufffd");
  EXPECT_EQ(escaped(std::string("a\0b\x1b\x7f\r", 6)), "a\ufffdb\ufffd\ufffd\ufffd");
}

TEST(Shortened, NeverCutsACharacter) {
  EXPECT_EQ(shortened("seven", 5), "seven");
  EXPECT_EQ(shortened("seventh", 5), "seve\u2026");
  EXPECT_EQ(shortened("aaa\u00e9\u00e9", 5), "aaa\u2026") << "byte 4 is the second of a character";
}

TEST(Numbers, AreWrittenForPeople) {
  EXPECT_EQ(percent(0.9923), "99.23\u00a0%");
  EXPECT_EQ(points(0.124), "+0.12");
  EXPECT_EQ(points(-2.0), "\u22122.00");
  EXPECT_EQ(points(-0.004), "0.00");
  EXPECT_EQ(bytes_text(812), "812\u00a0B");
  EXPECT_EQ(bytes_text(1536), "1.50\u00a0KiB");
  EXPECT_EQ(bytes_text(4803103), "4.58\u00a0MiB");
  EXPECT_EQ(times(3.9816), "3.98\u00d7");
  EXPECT_EQ(times(12.4), "12\u00d7");
  EXPECT_EQ(milliseconds(0.0163), "16.3\u00a0\u00b5s");
  EXPECT_EQ(milliseconds(1.234), "1.23\u00a0ms");
  EXPECT_EQ(milliseconds(2050), "2.05\u00a0s");
  EXPECT_EQ(duration(9.06), "9.1\u00a0s");
  EXPECT_EQ(duration(192.7), "3\u00a0min 12\u00a0s");
  EXPECT_EQ(plural(1, "thread"), "1 thread");
  EXPECT_EQ(plural(1000, "image"), "1,000 images");
  EXPECT_EQ(count_text(1234567), "1,234,567");
}

TEST(Numbers, WithTheirSign) {
  EXPECT_EQ(signed_number(0.012345), "+0.0123");
  EXPECT_EQ(signed_number(-1234.0), "\u22121.23e+03");
  EXPECT_EQ(signed_number(0.0), "0");
  EXPECT_EQ(signed_number(-0.0), "0");
}

TEST(Numbers, OfAxesAreShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.25), "0.25");
  EXPECT_EQ(short_number(-1500), "\u22121.5k");
  EXPECT_EQ(short_number(2e6), "2M");
  EXPECT_EQ(short_number(128), "128");
  EXPECT_EQ(short_number(1e-6), "1e-06");
}

TEST(Read, WhatIsNotThereOrOfAnotherTypeIsLeftOut) {
  const Json json = Json::parse(R"({"a": {"b": [1, 2.5], "c": "text", "d": true}, "e": [1, "x"], "f": {}, "g": null})");
  EXPECT_THAT(numbers(json, "a.b"), ElementsAre(1.0, 2.5));
  EXPECT_THAT(numbers(json, "e"), IsEmpty()) << "not numbers alone";
  EXPECT_THAT(texts(json, "e"), ElementsAre("1", "x"));
  EXPECT_EQ(text(json, "a.c"), "text");
  EXPECT_EQ(text(json, "a.d"), "true");
  EXPECT_TRUE(is_true(json, "a.d"));
  EXPECT_FALSE(is_true(json, "a.c"));
  for (const char* path : {"a.c", "a.b", "a.x", "a.c.x", "x.y", "f", "g", "a"}) {
    EXPECT_FALSE(number(json, path)) << path;
  }
  EXPECT_TRUE(list(json, "a").empty());
  EXPECT_TRUE(member(json, "a.b.c").is_null());
}

}  // namespace
}  // namespace detent::report::html::text_test
