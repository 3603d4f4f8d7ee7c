#pragma once

#include <cstdint>
#include <span>

#include "detent/core/philox.h"
#include "detent/core/shape.h"

namespace detent::data {

/// Random distortions of an image, each drawn anew for every image and epoch. 0 turns one off.
struct Augmentation {
  float shift = 0.0F;     ///< pixels: shifted by uniform [-shift, shift) along both axes
  float rotation = 0.0F;  ///< degrees: turned by uniform [-rotation, rotation)
  float scale = 0.0F;     ///< share: height and width, each by itself, times uniform [1 - scale, 1 + scale); < 1
  float elastic = 0.0F;   ///< pixels: a smooth field of displacements, of about this size at the points of a 5 x 5 grid

  bool is_on() const { return shift > 0.0F || rotation > 0.0F || scale > 0.0F || elastic > 0.0F; }
  /// Throws Error naming the value that is negative, not finite or too large.
  void validate() const;
};

/// `image` u8 [H, W, C] distorted by `augmentation` with numbers from `random`, into `out`. Pixels are interpolated
/// between their four neighbours and rounded to whole pixel values; outside of the image is background (0). With
/// everything off, `out` is `image`.
void augment(std::span<const std::uint8_t> image, const Shape& shape, const Augmentation& augmentation,
             RandomStream& random, std::span<std::uint8_t> out);

}  // namespace detent::data
