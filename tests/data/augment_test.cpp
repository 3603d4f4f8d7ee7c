#include "detent/data/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <vector>

#include "tests/data/temp_folder.h"

namespace detent::data::augment_test {
namespace {

using ::testing::HasSubstr;
using Pixels = std::vector<std::uint8_t>;

Pixels noise(std::size_t size) {
  RandomStream random(11, "augment test");
  Pixels pixels(size);
  for (auto& pixel : pixels) {
    pixel = static_cast<std::uint8_t>(random.index(256));
  }
  return pixels;
}

Pixels augmented(const Pixels& image, const Shape& shape, const Augmentation& augmentation, std::uint64_t seed = 1) {
  Pixels out(image.size());
  RandomStream random(seed, "augment");
  augment(image, shape, augmentation, random, out);
  return out;
}

/// A disc with soft edges in the middle of 28 x 28.
Pixels disc() {
  Pixels pixels(784);
  for (int i = 0; i < 784; ++i) {
    const double distance = std::hypot(i % 28 - 13.5, i / 28 - 13.5);
    pixels[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(255.0 / (1.0 + std::exp(2.0 * (distance - 7.0))));
  }
  return pixels;
}

double mass(const Pixels& pixels) {
  double sum = 0.0;
  for (const std::uint8_t pixel : pixels) {
    sum += pixel;
  }
  return sum;
}

std::array<double, 2> centre(const Pixels& pixels) {
  std::array<double, 2> sum{};
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    sum[0] += pixels[i] * static_cast<double>(i % 28);
    sum[1] += pixels[i] * static_cast<double>(i / 28);
  }
  return {sum[0] / mass(pixels), sum[1] / mass(pixels)};
}

TEST(Augment, NothingOnChangesNothing) {
  for (const Shape& shape : {Shape{28, 28, 1}, Shape{5, 8, 3}, Shape{1, 1, 1}}) {
    const Pixels image = noise(static_cast<std::size_t>(shape.elements()));
    EXPECT_EQ(augmented(image, shape, {}), image) << shape;
  }
  EXPECT_FALSE(Augmentation{}.is_on());
}

TEST(Augment, ShiftMovesTheCentreWithinItsBound) {
  double most = 0.0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Pixels moved = augmented(disc(), {28, 28, 1}, {.shift = 3.0F}, seed);
    const auto [x, y] = centre(moved);
    EXPECT_LE(std::abs(x - 13.5), 3.05) << "seed " << seed;
    EXPECT_LE(std::abs(y - 13.5), 3.05) << "seed " << seed;
    EXPECT_NEAR(mass(moved) / mass(disc()), 1.0, 0.01) << "seed " << seed;
    most = std::max(most, std::abs(x - 13.5));
  }
  EXPECT_GT(most, 2.5);
}

TEST(Augment, RotationLeavesADiscAlone) {
  const Pixels before = disc();
  const Pixels after = augmented(before, {28, 28, 1}, {.rotation = 90.0F});
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_NEAR(before[i], after[i], 14) << "pixel " << i;
  }
}

TEST(Augment, ScaleChangesTheArea) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const double ratio = mass(augmented(disc(), {28, 28, 1}, {.scale = 0.2F}, seed)) / mass(disc());
    EXPECT_GT(ratio, 0.8 * 0.8 - 0.02) << "seed " << seed;
    EXPECT_LT(ratio, 1.2 * 1.2 + 0.02) << "seed " << seed;
  }
}

TEST(Augment, ElasticBendsSmoothly) {
  const Pixels before = disc();
  double moved = 0.0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Pixels after = augmented(before, {28, 28, 1}, {.elastic = 1.5F}, seed);
    EXPECT_NE(after, before);
    EXPECT_NEAR(mass(after) / mass(before), 1.0, 0.5) << "seed " << seed;
    moved += std::abs(centre(after)[0] - 13.5);
  }
  EXPECT_GT(moved / 20.0, 0.1);
}

TEST(Augment, ChannelsMoveTogether) {
  const Pixels grey = noise(100);
  Pixels colour;
  for (const std::uint8_t pixel : grey) {
    colour.insert(colour.end(), {pixel, pixel, pixel});
  }
  const Augmentation all{.shift = 1, .rotation = 20, .scale = 0.2F, .elastic = 1};
  const Pixels grey_out = augmented(grey, {10, 10, 1}, all);
  const Pixels colour_out = augmented(colour, {10, 10, 3}, all);
  for (std::size_t i = 0; i < colour_out.size(); ++i) {
    EXPECT_EQ(colour_out[i], grey_out[i / 3]) << i;
  }
}

TEST(Augment, EqualStreamsGiveEqualImages) {
  const Augmentation all{.shift = 1, .rotation = 20, .scale = 0.2F, .elastic = 1};
  EXPECT_EQ(augmented(disc(), {28, 28, 1}, all, 5), augmented(disc(), {28, 28, 1}, all, 5));
  EXPECT_NE(augmented(disc(), {28, 28, 1}, all, 5), augmented(disc(), {28, 28, 1}, all, 6));
}

TEST(Augment, RefusesSizesThatCannotBeMeant) {
  EXPECT_THAT(error_of([] { Augmentation{.shift = -1}.validate(); }), HasSubstr("shift: expected 0 to 1000, got -1"));
  EXPECT_THAT(error_of([] { Augmentation{.rotation = 181}.validate(); }), HasSubstr("rotation"));
  EXPECT_THAT(error_of([] { Augmentation{.elastic = NAN}.validate(); }), HasSubstr("elastic"));
}

TEST(Augment, FlipTurnsEveryOtherImageLeftToRight) {
  const Pixels image{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};  // 2 x 3 of 2 channels
  const Pixels turned{5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8};
  int times = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Pixels out = augmented(image, {2, 3, 2}, {.flip = true}, seed);
    EXPECT_TRUE(out == image || out == turned) << "seed " << seed;
    times += out == turned ? 1 : 0;
  }
  EXPECT_NEAR(times, 100, 30);
}

TEST(Augment, CropMovesByWholePixelsOverBackground) {
  Pixels image(25, 0);
  image[12] = 200;  // the middle of 5 x 5
  std::vector<int> seen(25, 0);
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Pixels out = augmented(image, {5, 5, 1}, {.crop = 1.0F}, seed);
    ASSERT_EQ(mass(out), 200.0);
    ++seen[static_cast<std::size_t>(std::ranges::max_element(out) - out.begin())];
  }
  for (int i = 0; i < 25; ++i) {
    const bool is_near = std::abs(i / 5 - 2) <= 1 && std::abs(i % 5 - 2) <= 1;
    EXPECT_EQ(seen[static_cast<std::size_t>(i)] > 0, is_near) << i;
  }
  const Pixels corner = augmented(Pixels(4, 9), {2, 2, 1}, {.crop = 1000.0F}, 3);
  EXPECT_EQ(mass(corner), 0.0) << "moved out of sight";
}

TEST(Augment, JitterOfOneColourIsBrightnessAlone) {
  // Of a plain grey image the mean is each pixel, and there is no saturation: what is left is p * b, b in [0.5, 1.5).
  std::vector<int> seen(256, 0);
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Pixels out = augmented(Pixels(12, 100), {2, 2, 3}, {.jitter = 0.5F}, seed);
    for (const std::uint8_t value : out) {
      EXPECT_NEAR(value, out[0], 1);
    }
    ++seen[out[0]];
  }
  EXPECT_EQ(std::ranges::count_if(seen.begin(), seen.begin() + 49, [](int n) { return n > 0; }), 0);
  EXPECT_EQ(std::ranges::count_if(seen.begin() + 152, seen.end(), [](int n) { return n > 0; }), 0);
  EXPECT_GT(std::ranges::count_if(seen, [](int n) { return n > 0; }), 60);
}

TEST(Augment, JitterChangesSaturationAndStaysInRange) {
  const Pixels image = noise(3 * 64);
  bool is_colourful = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Pixels out = augmented(image, {8, 8, 3}, {.jitter = 0.9F}, seed);
    is_colourful = is_colourful || (out[0] != out[1] && out != image);
  }
  EXPECT_TRUE(is_colourful);
  EXPECT_EQ(augmented(image, {8, 8, 3}, {.jitter = 1e-6F}), image) << "whole pixel values come back";
}

TEST(Augment, RefusesColourOptionsOutOfBounds) {
  const auto error = [](const Augmentation& augmentation) {
    try {
      augmentation.validate();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error({.crop = 1.5F}), "augment: crop: expected whole pixels, got 1.5");
  EXPECT_THAT(error({.jitter = 1.0F}), HasSubstr("augment: jitter: expected 0 to 0.99"));
  EXPECT_THAT(error({.crop = -1.0F}), HasSubstr("augment: crop: expected 0 to 1000"));
  EXPECT_EQ(error({.crop = 4.0F, .jitter = 0.2F, .flip = true}), "no error");
}

}  // namespace
}  // namespace detent::data::augment_test
