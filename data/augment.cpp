#include "detent/data/augment.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <numbers>
#include <vector>

#include "detent/core/error.h"

namespace detent::data {
namespace {

constexpr int kGrid = 5;

/// Displacements at the points of a grid over the image, smooth in between: uniform cubic B-splines, whose values stay
/// within those of the grid. The grid reaches one cell beyond the image on every side.
class ElasticField {
 public:
  ElasticField(float size, RandomStream& random) {
    // A spline averages its neighbours, which takes off about half of the spread: draw twice as wide.
    for (auto& row : dx_) {
      std::ranges::generate(row, [&] { return random.uniform(-2.0F, 2.0F) * size; });
    }
    for (auto& row : dy_) {
      std::ranges::generate(row, [&] { return random.uniform(-2.0F, 2.0F) * size; });
    }
  }

  /// The displacement at (u, v), both in [0, 1].
  std::array<float, 2> at(float u, float v) const {
    const auto [column, wx] = weights(u);
    const auto [row, wy] = weights(v);
    std::array<float, 2> sum{};
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t j = 0; j < 4; ++j) {
        sum[0] += wy[i] * wx[j] * dx_[row + i][column + j];
        sum[1] += wy[i] * wx[j] * dy_[row + i][column + j];
      }
    }
    return sum;
  }

 private:
  struct Weights {
    std::size_t first;
    std::array<float, 4> w;
  };
  static Weights weights(float u) {
    const float place = std::clamp(u, 0.0F, 1.0F) * (kGrid - 1);
    const float cell = std::min(std::floor(place), static_cast<float>(kGrid - 2));
    const float t = place - cell;
    const float s = 1.0F - t;
    return {static_cast<std::size_t>(cell),
            {s * s * s / 6.0F, (3.0F * t * t * t - 6.0F * t * t + 4.0F) / 6.0F,
             (3.0F * s * s * s - 6.0F * s * s + 4.0F) / 6.0F, t * t * t / 6.0F}};
  }

  using Grid = std::array<std::array<float, kGrid + 2>, kGrid + 2>;
  Grid dx_;
  Grid dy_;
};

void check_at_most(const char* what, float value, float most) {
  check(std::isfinite(value) && value >= 0.0F && value <= most, "augment: ", what, ": expected 0 to ", most, ", got ",
        value);
}

}  // namespace

void Augmentation::validate() const {
  check_at_most("shift", shift, 1000.0F);
  check_at_most("rotation", rotation, 180.0F);
  check_at_most("scale", scale, 0.9F);
  check_at_most("elastic", elastic, 1000.0F);
  check_at_most("crop", crop, 1000.0F);
  check_at_most("jitter", jitter, 0.99F);
  check(crop == std::floor(crop), "augment: crop: expected whole pixels, got ", crop);
}

namespace {

void distort(std::span<const std::uint8_t> image, const Shape& shape, const Augmentation& augmentation,
             RandomStream& random, std::span<std::uint8_t> out) {
  const std::int64_t height = shape[0];
  const std::int64_t width = shape[1];
  const std::int64_t channels = shape[2];
  const auto draw = [&](float size) { return random.uniform(-size, size); };
  const float shift_x = draw(augmentation.shift);
  const float shift_y = draw(augmentation.shift);
  const float angle = draw(augmentation.rotation) * std::numbers::pi_v<float> / 180.0F;
  const float scale_x = 1.0F + draw(augmentation.scale);
  const float scale_y = 1.0F + draw(augmentation.scale);
  const ElasticField field(augmentation.elastic, random);
  const float sine = std::sin(angle);
  const float cosine = std::cos(angle);
  const float centre_x = static_cast<float>(width - 1) / 2.0F;
  const float centre_y = static_cast<float>(height - 1) / 2.0F;

  const auto pixel = [&](std::int64_t y, std::int64_t x, std::int64_t channel) {
    const bool is_inside = y >= 0 && y < height && x >= 0 && x < width;
    return is_inside ? static_cast<float>(image[static_cast<std::size_t>((y * width + x) * channels + channel)]) : 0.0F;
  };
  // Each pixel of the result looks up where it comes from: the inverse of shift, rotation and scale, then the field.
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const float dx = static_cast<float>(x) - centre_x - shift_x;
      const float dy = static_cast<float>(y) - centre_y - shift_y;
      float from_x = (cosine * dx + sine * dy) / scale_x + centre_x;
      float from_y = (cosine * dy - sine * dx) / scale_y + centre_y;
      if (augmentation.elastic > 0.0F) {
        const auto [move_x, move_y] = field.at((static_cast<float>(x) + 0.5F) / static_cast<float>(width),
                                               (static_cast<float>(y) + 0.5F) / static_cast<float>(height));
        from_x += move_x;
        from_y += move_y;
      }
      const float left = std::floor(from_x);
      const float top = std::floor(from_y);
      const float fx = from_x - left;
      const float fy = from_y - top;
      const auto ix = static_cast<std::int64_t>(left);
      const auto iy = static_cast<std::int64_t>(top);
      for (std::int64_t channel = 0; channel < channels; ++channel) {
        const float above = (1.0F - fx) * pixel(iy, ix, channel) + fx * pixel(iy, ix + 1, channel);
        const float below = (1.0F - fx) * pixel(iy + 1, ix, channel) + fx * pixel(iy + 1, ix + 1, channel);
        out[static_cast<std::size_t>((y * width + x) * channels + channel)] =
            static_cast<std::uint8_t>((1.0F - fy) * above + fy * below + 0.5F);
      }
    }
  }
}

// Turned if `is_turned`, then moved by whole pixels.
void turn_and_move(std::span<std::uint8_t> image, const Shape& shape, bool is_turned, std::int64_t down,
                   std::int64_t right) {
  const std::int64_t height = shape[0];
  const std::int64_t width = shape[1];
  const auto channels = static_cast<std::size_t>(shape[2]);
  const std::vector<std::uint8_t> from(image.begin(), image.end());
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t from_y = y - down;
      const std::int64_t moved_x = x - right;
      const std::int64_t from_x = is_turned ? width - 1 - moved_x : moved_x;
      const bool is_inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
      const auto to = image.subspan(static_cast<std::size_t>(y * width + x) * channels, channels);
      if (is_inside) {
        const std::size_t at = static_cast<std::size_t>(from_y * width + from_x) * channels;
        std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), channels, to.begin());
      } else {
        std::ranges::fill(to, std::uint8_t{0});
      }
    }
  }
}

// What eyes see of the pixel that begins here (ITU-R BT.601); of other than three channels their mean.
float grey_of(std::span<const std::uint8_t> pixel) {
  if (pixel.size() == 3) {
    return 0.299F * static_cast<float>(pixel[0]) + 0.587F * static_cast<float>(pixel[1]) +
           0.114F * static_cast<float>(pixel[2]);
  }
  float sum = 0.0F;
  for (const std::uint8_t channel : pixel) {
    sum += static_cast<float>(channel);
  }
  return sum / static_cast<float>(pixel.size());
}

void change_colours(std::span<std::uint8_t> image, std::size_t channels, float brightness, float contrast,
                    float saturation) {
  double sum = 0.0;
  for (std::size_t at = 0; at < image.size(); at += channels) {
    sum += static_cast<double>(grey_of(image.subspan(at, channels)));
  }
  const float mean = brightness * static_cast<float>(sum / static_cast<double>(image.size() / channels));
  for (std::size_t at = 0; at < image.size(); at += channels) {
    const std::span<std::uint8_t> pixel = image.subspan(at, channels);
    const float grey = mean + contrast * (brightness * grey_of(pixel) - mean);
    for (std::uint8_t& value : pixel) {
      const float contrasted = mean + contrast * (brightness * static_cast<float>(value) - mean);
      const float saturated = channels == 3 ? grey + saturation * (contrasted - grey) : contrasted;
      value = static_cast<std::uint8_t>(std::clamp(saturated, 0.0F, 255.0F) + 0.5F);
    }
  }
}

}  // namespace

void augment(std::span<const std::uint8_t> image, const Shape& shape, const Augmentation& augmentation,
             RandomStream& random, std::span<std::uint8_t> out) {
  assert(image.size() == out.size() && static_cast<std::int64_t>(image.size()) == shape.elements());
  if (augmentation.distorts()) {
    distort(image, shape, augmentation, random, out);
  } else {
    std::ranges::copy(image, out.begin());
  }
  if (augmentation.flip || augmentation.crop > 0.0F) {
    const auto margin = static_cast<std::int64_t>(augmentation.crop);
    const auto draw = [&] {
      return margin == 0 ? 0 : std::int64_t{random.index(static_cast<std::uint32_t>(2 * margin + 1))} - margin;
    };
    const bool is_turned = augmentation.flip && random.index(2) == 1;
    const std::int64_t down = draw();
    turn_and_move(out, shape, is_turned, down, draw());
  }
  if (augmentation.jitter > 0.0F) {
    const auto draw = [&] { return random.uniform(1.0F - augmentation.jitter, 1.0F + augmentation.jitter); };
    const float brightness = draw();
    const float contrast = draw();
    change_colours(out, static_cast<std::size_t>(shape[2]), brightness, contrast, draw());
  }
}

}  // namespace detent::data
