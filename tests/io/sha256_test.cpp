#include "detent/io/sha256.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/data/temp_folder.h"
#include "tests/error_of.h"

namespace detent::sha256_test {
namespace {

std::string digest(Sha256::Path path, std::string_view text, std::size_t piece) {
  Sha256 sha(path);
  const auto bytes = std::as_bytes(std::span(text));
  for (std::size_t begin = 0; begin < bytes.size(); begin += piece) {
    sha.update(bytes.subspan(begin, std::min(piece, bytes.size() - begin)));
  }
  return sha.hex();
}

class Sha256Test : public ::testing::TestWithParam<Sha256::Path> {};

// The examples of FIPS 180-4 and of NIST's SHA-256 test vectors.
TEST_P(Sha256Test, GivesThePublishedDigests) {
  const struct {
    std::string text;
    const char* hex;
  } kVectors[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrst"
       "u",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1000000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& vector : kVectors) {
    EXPECT_EQ(digest(GetParam(), vector.text, 1 << 20), vector.hex) << vector.text.size() << " bytes";
  }
}

TEST_P(Sha256Test, DoesNotDependOnThePiecesThatTheBytesComeIn) {
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text += static_cast<char>(i * 7 % 251);
  }
  for (const std::size_t length : {1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 1000}) {
    const std::string whole = digest(GetParam(), std::string_view(text).substr(0, length), length);
    EXPECT_EQ(whole, digest(Sha256::Path::Portable, std::string_view(text).substr(0, length), length)) << length;
    for (const std::size_t piece : {1, 3, 63, 64, 65, 100}) {
      EXPECT_EQ(digest(GetParam(), std::string_view(text).substr(0, length), piece), whole)
          << length << " bytes in pieces of " << piece;
    }
  }
}

TEST_P(Sha256Test, MayBeAskedInBetween) {
  Sha256 sha(GetParam());
  sha.update(std::as_bytes(std::span(std::string_view("a"))));
  (void)sha.hex();
  sha.update(std::as_bytes(std::span(std::string_view("bc"))));
  EXPECT_EQ(sha.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

std::string path_name(const ::testing::TestParamInfo<Sha256::Path>& path) {
  return path.param == Sha256::Path::Fastest ? "Fastest" : "Portable";
}

INSTANTIATE_TEST_SUITE_P(Paths, Sha256Test, ::testing::Values(Sha256::Path::Fastest, Sha256::Path::Portable),
                         path_name);

TEST(FileSha256, IsThatOfTheBytes) {
  const TempFolder folder;
  std::string text(3'000'001, 'x');  // more than is read at once
  text[2'000'000] = 'y';
  write_text(folder / "some", text);
  EXPECT_EQ(file_sha256(folder / "some"), sha256_hex(std::as_bytes(std::span(text))));
  EXPECT_EQ(error_of([&] { file_sha256(folder / "none"); }), (folder / "none").string() + ": cannot be read");
}

}  // namespace
}  // namespace detent::sha256_test
