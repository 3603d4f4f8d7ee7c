#include "detent/evaluation/evidence/image_measures.h"

#include <cmath>

#include "detent/core/threads/parallel.h"

namespace detent::evaluation {
namespace {

struct Moments {
  double mean = 0.0, deviation = 0.0;
};

Moments moments_of(std::span<const std::uint8_t> image) {
  std::int64_t sum = 0, squares = 0;
  for (const std::uint8_t pixel : image) {
    sum += pixel;
    squares += std::int64_t{pixel} * pixel;
  }
  const auto count = static_cast<double>(image.size());
  const double mean = static_cast<double>(sum) / count;
  const double variance = static_cast<double>(squares) / count - mean * mean;
  return {.mean = mean / 255.0, .deviation = std::sqrt(std::max(variance, 0.0)) / 255.0};
}

double brightness(std::span<const std::uint8_t> image, const Shape&) { return moments_of(image).mean; }
double contrast(std::span<const std::uint8_t> image, const Shape&) { return moments_of(image).deviation; }

double stroke_thickness(std::span<const std::uint8_t> image, const Shape& shape) {
  const std::int64_t height = shape[0], width = shape[1], channels = shape[2];
  const auto is_ink = [&](std::int64_t y, std::int64_t x) {
    if (y < 0 || y >= height || x < 0 || x >= width) {
      return false;
    }
    std::int64_t sum = 0;
    for (std::int64_t c = 0; c < channels; ++c) {
      sum += image[static_cast<std::size_t>((y * width + x) * channels + c)];
    }
    return 2 * sum > 255 * channels;
  };
  std::int64_t ink = 0, boundary = 0;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      if (is_ink(y, x)) {
        ++ink;
        boundary += (is_ink(y - 1, x) ? 0 : 1) + (is_ink(y + 1, x) ? 0 : 1) + (is_ink(y, x - 1) ? 0 : 1) +
                    (is_ink(y, x + 1) ? 0 : 1);
      }
    }
  }
  return ink == 0 ? 0.0 : 2.0 * static_cast<double>(ink) / static_cast<double>(boundary);
}

}  // namespace

const std::vector<ImageMeasure>& image_measures() {
  static const std::vector<ImageMeasure> measures{
      {"brightness", &brightness}, {"contrast", &contrast}, {"stroke_thickness", &stroke_thickness}};
  return measures;
}

std::vector<double> measured(const ImageMeasure& measure, const data::Dataset& dataset) {
  const Shape shape = dataset.example_shape();
  const std::int64_t size = shape.elements();
  const std::span<const std::uint8_t> pixels = dataset.examples.data<std::uint8_t>();
  std::vector<double> numbers(static_cast<std::size_t>(dataset.size()));
  const Slices slices = slice_by_bytes(dataset.size(), size);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t i = slices[slice].begin; i < slices[slice].end; ++i) {
      numbers[static_cast<std::size_t>(i)] =
          measure.of(pixels.subspan(static_cast<std::size_t>(i * size), static_cast<std::size_t>(size)), shape);
    }
  });
  return numbers;
}

}  // namespace detent::evaluation
