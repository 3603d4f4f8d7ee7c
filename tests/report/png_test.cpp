#include "detent/report/html/png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/error_of.h"

namespace detent::report::html::png_test {
namespace {

using testing::HasSubstr;

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) {
    text += static_cast<char>(value);
  }
  return text;
}

// One grey pixel of 128: every byte by the format's definition, the checksums by zlib's crc32 and adler32.
TEST(Png, OfOnePixel) {
  const std::vector<std::uint8_t> pixel{128};
  const std::string png = to_png(pixel, 1, 1, 1);
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(png.substr(8, 25), bytes({0, 0, 0, 13}) + "IHDR" + bytes({0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0}) +
                                   bytes({0x3a, 0x7e, 0x9b, 0x55}));
  const std::string stream = bytes({0x78, 0x01, 1, 2, 0, 0xfd, 0xff, 0, 128, 0, 0x82, 0, 0x81});
  EXPECT_EQ(png.substr(33, 8 + stream.size()), bytes({0, 0, 0, 13}) + "IDAT" + stream);
  EXPECT_EQ(png.substr(png.size() - 12), bytes({0, 0, 0, 0}) + "IEND" + bytes({0xae, 0x42, 0x60, 0x82}));
}

TEST(Png, RefusesWhatIsNoImage) {
  const std::vector<std::uint8_t> four(4);
  EXPECT_THAT(error_of([&] { to_png(four, 2, 2, 2); }), HasSubstr("1 or 3 channels"));
  EXPECT_THAT(error_of([&] { to_png(four, 3, 2, 1); }), HasSubstr("png: 4 bytes are no 3 x 2 x 1"));
  EXPECT_THAT(error_of([&] { to_png(four, 1, 5000, 1); }), HasSubstr("4096"));
}

}  // namespace
}  // namespace detent::report::html::png_test
