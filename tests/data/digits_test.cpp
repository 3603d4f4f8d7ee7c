#include "detent/data/digits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include "detent/core/threads/parallel.h"
#include "detent/data/digit_strokes.h"
#include "detent/io/sha256.h"
#include "tests/data/temp_folder.h"

namespace detent::data::digits_test {
namespace {

using ::testing::HasSubstr;

constexpr DigitsOptions kSmall{.train = 500, .test = 100, .seed = 7};

std::string hash_of(const DataSource& source) {
  Sha256 sha;
  for (const Dataset* part : {&source.train, &source.test}) {
    sha.update({part->examples.raw(), part->examples.bytes()});
    sha.update({part->labels.raw(), part->labels.bytes()});
  }
  return sha.hex();
}

std::span<const std::uint8_t> image(const Dataset& dataset, std::int64_t index) {
  return dataset.examples.data<std::uint8_t>().subspan(static_cast<std::size_t>(index * 784), 784);
}

TEST(Digits, TheSameSeedGivesTheSamePixelsAtAnyNumberOfThreads) {
  std::vector<std::string> hashes;
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    pool.run([&] { hashes.push_back(hash_of(make_digits(kSmall))); });
  }
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_EQ(hashes[0], hashes[2]);
}

// Runs on different machines are compared, so the pixels must not move unnoticed. If the drawing was changed on
// purpose, put the new digest here and measure the accuracy on MNIST again.
TEST(Digits, ThePixelsAreStable) {
  EXPECT_EQ(hash_of(make_digits(kSmall)), "ba1de063888912774d9ed1bd7125f6ee32fb18ee41aaa8adb8b70e4944eda435");
}

TEST(Digits, OtherSeedsAndPartsGiveOtherImages) {
  const DataSource first = make_digits(kSmall);
  DigitsOptions other = kSmall;
  other.seed = 8;
  const DataSource second = make_digits(other);
  std::set<std::string> images;
  for (const Dataset* part : {&first.train, &first.test, &second.train, &second.test}) {
    for (std::int64_t i = 0; i < part->size(); ++i) {
      images.insert(sha256_hex(std::as_bytes(image(*part, i))));
    }
  }
  EXPECT_EQ(images.size(), 1200U) << "some images are drawn twice";
}

TEST(Digits, EqualStreamsDrawEqualImages) {
  RandomStream random(3, "test", 5);
  std::array<std::uint8_t, 784> first;
  draw_digit(4, random, first);
  RandomStream again(3, "test", 5);
  std::array<std::uint8_t, 784> second;
  draw_digit(4, again, second);
  EXPECT_EQ(first, second);
}

TEST(Digits, ComesInEqualSharesAndRandomOrder) {
  const DataSource source = make_digits(kSmall);
  source.train.validate("train");
  source.test.validate("test");
  EXPECT_TRUE(source.is_builtin);
  EXPECT_THAT(source.description, HasSubstr("built-in digits"));
  EXPECT_EQ(source.train.example_shape(), Shape({28, 28, 1}));
  std::array<int, 10> counts{};
  int ascents = 0;
  const auto labels = std::as_const(source.train.labels).data<std::int32_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ++counts[static_cast<std::size_t>(labels[i])];
    ascents += i > 0 && labels[i] == (labels[i - 1] + 1) % 10;
  }
  EXPECT_THAT(counts, ::testing::Each(50));
  EXPECT_LT(ascents, 100) << "of 499: about 50 expected";
}

TEST(Digits, AreFramedAsMnistIs) {
  const Dataset digits = make_digits({.train = 2000, .test = 10}).train;
  double ink = 0.0;
  for (std::int64_t i = 0; i < digits.size(); ++i) {
    const auto pixels = image(digits, i);
    double mass = 0.0;
    double x = 0.0;
    double y = 0.0;
    std::size_t left = 28;
    std::size_t right = 0;
    std::size_t top = 28;
    std::size_t bottom = 0;
    for (std::size_t p = 0; p < pixels.size(); ++p) {
      mass += pixels[p];
      x += pixels[p] * (static_cast<double>(p % 28) + 0.5);
      y += pixels[p] * (static_cast<double>(p / 28) + 0.5);
      if (pixels[p] > 0) {
        left = std::min(left, p % 28);
        right = std::max(right, p % 28);
        top = std::min(top, p / 28);
        bottom = std::max(bottom, p / 28);
      }
    }
    ink += mass / 255.0 / 784.0;
    ASSERT_GT(mass, 255.0 * 15.0) << "image " << i << " is nearly empty";
    // Ink that the move pushes over the edge may shift the centre a little more than half a pixel.
    EXPECT_NEAR(x / mass, 14.0, 0.6) << "image " << i;
    EXPECT_NEAR(y / mass, 14.0, 0.6) << "image " << i;
    const auto longest = static_cast<int>(std::max(right - left, bottom - top)) + 1;
    EXPECT_GE(longest, 16) << "image " << i;
    EXPECT_LE(longest, 23) << "image " << i;
  }
  // MNIST: 0.131 of all pixels, weighted by their value.
  EXPECT_NEAR(ink / static_cast<double>(digits.size()), 0.131, 0.015);
}

TEST(Digits, EveryStyleHasStrokesThatCanBeDrawn) {
  for (int digit = 0; digit <= 9; ++digit) {
    EXPECT_GE(digit_styles(digit).size(), 5U) << digit;
    for (const DigitStyle& style : digit_styles(digit)) {
      EXPECT_GT(style.weight, 0.0F) << digit;
      ASSERT_FALSE(style.strokes.empty()) << digit;
      for (const Stroke& stroke : style.strokes) {
        ASSERT_GE(stroke.size(), 2U) << digit;
        EXPECT_FALSE(stroke[0] == stroke[1]) << digit << ": a stroke cannot begin with a corner";
        EXPECT_FALSE(stroke[stroke.size() - 2] == stroke.back()) << digit << ": a stroke cannot end with a corner";
      }
    }
  }
}

TEST(Digits, RefusesWhatCannotBeDrawn) {
  EXPECT_THAT(error_of([] { make_digits({.train = 9}); }), HasSubstr("expected at least 10 images, got 9"));
  RandomStream random(1, "test");
  std::array<std::uint8_t, 784> pixels;
  EXPECT_THROW(draw_digit(10, random, pixels), Error);
  EXPECT_THROW(draw_digit(0, random, std::span(pixels).first(100)), Error);
}

}  // namespace
}  // namespace detent::data::digits_test
