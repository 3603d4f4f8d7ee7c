#include "detent/report/events/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detent::report::event_file_test {
namespace {

using namespace std::string_literals;

TEST(EventFile, Crc32cIsThatOfTheStandard) {
  // RFC 3720, B.4, and the check value of the CRC's catalogue.
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43U);
  std::string rising;
  for (int i = 0; i < 32; ++i) {
    rising += static_cast<char>(i);
  }
  EXPECT_EQ(crc32c(rising), 0x46DD794EU);
}

TEST(EventFile, CrcsAreMasked) {
  // 0x00000001 >> 15 | 0x00000001 << 17 = 0x00020000
  EXPECT_EQ(masked(0), 0xA282EAD8U);
  EXPECT_EQ(masked(1), 0xA284EAD8U);
  EXPECT_EQ(masked(0x80000000), 0xA283EAD8U);
}

// The four bytes of a masked CRC.
std::string crc_of(const std::string& bytes) {
  const std::uint32_t crc = masked(crc32c(bytes));
  std::string text;
  for (int i = 0; i < 4; ++i) {
    text += static_cast<char>((crc >> (8 * i)) & 0xFF);
  }
  return text;
}

TEST(EventFile, ARecordIsLengthCrcDataCrc) {
  const std::string length = "\x03\0\0\0\0\0\0\0"s;
  EXPECT_EQ(framed("abc"), length + crc_of(length) + "abc" + crc_of("abc"));
}

TEST(EventFile, TheFirstRecordIsTheVersion) {
  // Field 1 as 64 bits: 1.5 is 0x3FF8000000000000. Field 3 as 13 bytes.
  const std::string event = "\x09\0\0\0\0\0\0\xf8\x3f\x1a\x0d"s + "brain.Event:2";
  EXPECT_EQ(version_record(1.5), framed(event));
}

TEST(EventFile, NumbersAreASummary) {
  // Two values: tag "a/b" and 0.5, which is 0x3F000000; tag "c" and -2, which is 0xC0000000. Step 300 is 0xAC 0x02.
  const std::string first = "\x0a\x03"s + "a/b" + "\x15\0\0\0\x3f"s;
  const std::string second = "\x0a\x01"s + "c" + "\x15\0\0\0\xc0"s;
  const std::string summary = "\x0a\x0a"s + first + "\x0a\x08" + second;
  const std::string event = "\x09\0\0\0\0\0\0\xf8\x3f\x10\xac\x02\x2a\x16"s + summary;
  EXPECT_EQ(summary.size(), 22U);
  EXPECT_EQ(scalars_record(1.5, 300, {{"a/b", 0.5}, {"c", -2.0}}), framed(event));
  EXPECT_EQ(scalars_record(1.5, 0, {}), framed("\x09\0\0\0\0\0\0\xf8\x3f\x10\0\x2a\0"s));
}

TEST(EventFile, WholeRecordsAreCounted) {
  const std::string first = framed("one"), second = framed(""), third = framed("three");
  const std::string all = first + second + third;
  const auto expect_whole = [](const std::string& bytes, std::size_t most, std::size_t count, std::size_t size) {
    const WholeRecords whole = whole_records(bytes, most);
    EXPECT_EQ(whole.count, count);
    EXPECT_EQ(whole.bytes, size);
  };
  expect_whole(all, 9, 3, all.size());
  expect_whole(all, 2, 2, first.size() + second.size());
  expect_whole(all, 0, 0, 0);
  expect_whole("", 9, 0, 0);
  // Cut off anywhere within the third, or with any of its bytes changed, two are whole.
  for (std::size_t i = 0; i < third.size(); ++i) {
    SCOPED_TRACE(i);
    const std::size_t begin = first.size() + second.size();
    expect_whole(all.substr(0, begin + i), 9, 2, begin);
    std::string changed = all;
    changed[begin + i] = static_cast<char>(changed[begin + i] ^ 0x40);
    expect_whole(changed, 9, 2, begin);
  }
  // A length that is beyond all memory.
  const std::string length = "\0\0\0\0\0\1\0\0"s;
  expect_whole(length + crc_of(length) + "abcd", 9, 0, 0);
}

}  // namespace
}  // namespace detent::report::event_file_test
