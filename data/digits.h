#pragma once

#include <cstdint>
#include <span>

#include "detent/core/philox.h"
#include "detent/data/dataset.h"

namespace detent::data {

/// The edges of a digit's image, in pixels.
inline constexpr std::int64_t kDigitSize = 28;

struct DigitsOptions {
  std::int64_t train = 40000;
  std::int64_t test = 4000;
  std::uint64_t seed = 1;
};

/// Handwritten digits that the program draws itself, for runs without a data set on disk: u8 [N, 28, 28, 1], 10 classes
/// in equal shares and random order.
///
/// Every image draws one of the ways in which people write its digit (data/digit_strokes.h), bends the strokes (jitter
/// of their points, a smooth field, slant, rotation, taper), inks them with a pen of random width, fits the ink into
/// 20 x 20 pixels keeping its proportions, and moves its centre of mass to the centre of 28 x 28, as MNIST does.
/// Nothing of MNIST is in it.
///
/// Image i depends on (seed, train or test, i) alone. Only exactly rounded operations (+ - * / sqrt) are used, so the
/// pixels are the same on every processor. Throws Error if there are fewer than 10 images in a part.
DataSource make_digits(const DigitsOptions& options = {});

/// Draws `digit` into `image` [28 * 28] with numbers from `random`. REQUIRES: 0 <= digit <= 9; throws Error otherwise.
void draw_digit(int digit, RandomStream& random, std::span<std::uint8_t> image);

}  // namespace detent::data
