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
  float crop = 0.0F;      ///< whole pixels: cut out of the image with a margin of background of this width
  float jitter = 0.0F;    ///< share: brightness, contrast and, of three channels, saturation, each times uniform
                          ///< [1 - jitter, 1 + jitter), in this order; < 1
  bool flip = false;      ///< turned left to right, every other time

  bool is_on() const { return distorts() || crop > 0.0F || jitter > 0.0F || flip; }
  /// Whether pixels are interpolated.
  bool distorts() const { return shift > 0.0F || rotation > 0.0F || scale > 0.0F || elastic > 0.0F; }
  /// Throws Error naming the value that is negative, not finite or too large.
  void validate() const;
};

/// `image` u8 [H, W, C] distorted by `augmentation` with numbers from `random`, into `out`. Pixels are interpolated
/// between their four neighbours and rounded to whole pixel values; outside of the image is background (0). Then it is
/// turned, cropped and its colours are changed:
///
///   brightness   p * b
///   contrast     m + c * (p - m), m the mean grey of the image
///   saturation   g + s * (p - g), g the grey of the pixel, 0.299 R + 0.587 G + 0.114 B (of one channel p itself)
///
/// rounded and limited to 0 to 255 once, at the end. With everything off, `out` is `image`.
void augment(std::span<const std::uint8_t> image, const Shape& shape, const Augmentation& augmentation,
             RandomStream& random, std::span<std::uint8_t> out);

}  // namespace detent::data
