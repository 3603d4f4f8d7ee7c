#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "detent/data/dataset.h"

/// What an image looks like, as one number: slices of an evaluation are cut by it.
namespace detent::evaluation {

/// A number of an image u8 [H, W, C].
struct ImageMeasure {
  std::string_view name;
  double (*of)(std::span<const std::uint8_t> image, const Shape& shape);
};

/// brightness         the mean of pixel / 255, in [0, 1]
/// contrast           the standard deviation of pixel / 255 (the mean of squares: divided by their number), in [0, 0.5]
/// stroke_thickness   2 * ink / boundary, in pixels: ink is how many pixels have a mean of their channels above 127.5,
///                    boundary how many of their sides touch a pixel that is none, or the image's edge. A straight
///                    stroke of thickness t and length l gives 2 t l / (2 t + 2 l), nearly t where it is long. 0 where
///                    there is no ink.
const std::vector<ImageMeasure>& image_measures();

/// The measure of every image. REQUIRES: dataset.has_images().
std::vector<double> measured(const ImageMeasure& measure, const data::Dataset& dataset);

}  // namespace detent::evaluation
