#include "detent/data/formats/images/layout.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "detent/core/error.h"
#include "detent/core/threads/parallel.h"

namespace detent::data {
namespace {

// The pixels that one new pixel covers along an axis, and their weights, whose sum is 1.
struct Window {
  std::int64_t first = 0;
  std::vector<double> weights;
};

std::vector<Window> windows(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(scale, 1.0);
  std::vector<Window> all(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    Window& window = all[static_cast<std::size_t>(i)];
    const double centre = (static_cast<double>(i) + 0.5) * scale - 0.5;
    window.first = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(centre - reach)));
    const auto last = std::min<std::int64_t>(from - 1, static_cast<std::int64_t>(std::floor(centre + reach)));
    double sum = 0.0;
    for (std::int64_t p = window.first; p <= last; ++p) {
      window.weights.push_back(std::max(0.0, 1.0 - std::abs(static_cast<double>(p) - centre) / reach));
      sum += window.weights.back();
    }
    for (double& weight : window.weights) {
      weight /= sum;
    }
  }
  return all;
}

// One image of `height` x `width`, first along its rows, then along its columns.
void resize_one(std::span<const std::uint8_t> from, std::int64_t from_width, std::int64_t channels,
                const std::vector<Window>& down, const std::vector<Window>& across, std::span<std::uint8_t> to) {
  const std::int64_t from_height = std::ssize(from) / (from_width * channels);
  const std::int64_t width = std::ssize(across);
  std::vector<double> rows(static_cast<std::size_t>(from_height * width * channels));
  for (std::int64_t y = 0; y < from_height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const Window& window = across[static_cast<std::size_t>(x)];
      for (std::int64_t c = 0; c < channels; ++c) {
        double sum = 0.0;
        for (std::size_t k = 0; k < window.weights.size(); ++k) {
          const std::int64_t at = (y * from_width + window.first + static_cast<std::int64_t>(k)) * channels + c;
          sum += window.weights[k] * from[static_cast<std::size_t>(at)];
        }
        rows[static_cast<std::size_t>((y * width + x) * channels + c)] = sum;
      }
    }
  }
  const std::int64_t row = width * channels;
  for (std::int64_t y = 0; y < std::ssize(down); ++y) {
    const Window& window = down[static_cast<std::size_t>(y)];
    for (std::int64_t i = 0; i < row; ++i) {
      double sum = 0.0;
      for (std::size_t k = 0; k < window.weights.size(); ++k) {
        sum +=
            window.weights[k] * rows[static_cast<std::size_t>((window.first + static_cast<std::int64_t>(k)) * row + i)];
      }
      to[static_cast<std::size_t>(y * row + i)] = static_cast<std::uint8_t>(std::lround(std::clamp(sum, 0.0, 255.0)));
    }
  }
}

}  // namespace

Tensor channels_last(const std::string& where, const Tensor& images, bool is_told, const std::string& hint) {
  const Shape& shape = images.shape();
  check(shape.rank() == 3 || shape.rank() == 4, where, ": expected images [N, H, W, C] or [N, H, W], got ", shape);
  if (shape.rank() == 3) {
    return images.reshape({shape[0], shape[1], shape[2], 1});
  }
  const bool looks_channels_first = (shape[1] == 1 || shape[1] == 3) && shape[2] > 4 && shape[3] > 4;
  check(is_told || !looks_channels_first, where, ": expected [N, H, W, C], got ", shape,
        ", which looks like channels first; write images.transpose(0, 2, 3, 1)", hint);
  return images;
}

Tensor resized(const Tensor& images, std::int64_t height, std::int64_t width) {
  const Shape& shape = images.shape();
  check(shape.rank() == 4 && images.dtype() == DType::U8 && shape.elements() > 0 && height >= 1 && width >= 1,
        "resize: expected images u8 [N, H, W, C] and a size, got ", images.dtype(), ' ', shape, " and ", height, " x ",
        width);
  if (shape[1] == height && shape[2] == width) {
    return images;
  }
  Tensor made = Tensor::empty({shape[0], height, width, shape[3]}, DType::U8);
  const std::vector<Window> down = windows(shape[1], height), across = windows(shape[2], width);
  const auto from_size = static_cast<std::size_t>(shape.row_elements());
  const auto to_size = static_cast<std::size_t>(made.shape().row_elements());
  const std::span<const std::uint8_t> from = images.data<std::uint8_t>();
  const std::span<std::uint8_t> to = made.data<std::uint8_t>();
  parallel_slices(shape[0], [&](std::int64_t i) {
    const auto n = static_cast<std::size_t>(i);
    resize_one(from.subspan(n * from_size, from_size), shape[2], shape[3], down, across,
               to.subspan(n * to_size, to_size));
  });
  return made;
}

Tensor with_channels(const Tensor& images, std::int64_t channels) {
  const Shape& shape = images.shape();
  check(shape.rank() == 4 && (shape[3] == 1 || shape[3] == 3) && (channels == 1 || channels == 3),
        "channels: expected images of 1 or 3 channels, got ", shape);
  if (shape[3] == channels) {
    return images;
  }
  Tensor made = Tensor::empty({shape[0], shape[1], shape[2], channels}, DType::U8);
  const std::span<const std::uint8_t> from = images.data<std::uint8_t>();
  const std::span<std::uint8_t> to = made.data<std::uint8_t>();
  const std::size_t pixels = std::min(from.size(), to.size());
  for (std::size_t p = 0; p < pixels; ++p) {
    if (channels == 3) {
      std::fill_n(to.begin() + static_cast<std::ptrdiff_t>(3 * p), 3, from[p]);
    } else {
      const std::uint32_t luma = 19595U * from[3 * p] + 38470U * from[3 * p + 1] + 7471U * from[3 * p + 2] + 32768U;
      to[p] = static_cast<std::uint8_t>(luma >> 16);
    }
  }
  return made;
}

}  // namespace detent::data
