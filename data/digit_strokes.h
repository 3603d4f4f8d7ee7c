#pragma once

#include <span>
#include <vector>

namespace detent::data {

/// A point of a digit's drawing: x to the right, y down; a digit is about 60 wide and 100 high.
struct StrokePoint {
  float x;
  float y;
  bool operator==(const StrokePoint&) const = default;
};

/// A movement of the pen: a smooth curve (Catmull-Rom) through its points. A point written twice in a row is a corner.
/// A stroke that ends where it began is closed and has no corner there.
using Stroke = std::vector<StrokePoint>;

/// One way of writing a digit. Equal points, of one stroke or of several, are one point: distortion keeps them
/// together.
struct DigitStyle {
  float weight;  ///< how common it is, relative to the digit's other styles
  std::vector<Stroke> strokes;
};

/// The ways of writing `digit`. REQUIRES: 0 <= digit <= 9.
std::span<const DigitStyle> digit_styles(int digit);

}  // namespace detent::data
