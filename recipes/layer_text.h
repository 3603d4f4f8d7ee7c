#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/geometry.h"

namespace detent::recipes {

/// Reads the words of a layer's text, "conv 32 3x3 stride 2", from left to right. Each call throws Error for a word
/// that is not what it asks for.
class LayerText {
 public:
  explicit LayerText(const std::string& text);

  const std::string& operation() const { return operation_; }

  /// The next word as a whole number >= 1; `what` names it in messages, `example` shows the whole layer.
  std::int64_t whole(std::string_view what, std::string_view example);
  /// The next word as a window: "3x5", height and width, or "3" for both.
  Extent2d window(std::string_view example);
  /// The next word as a number.
  double number(std::string_view what, std::string_view example);
  /// Whether the next word is a number.
  bool has_number() const;

  /// The options after the numbers. Each is noted as known, and true if the layer has it.
  bool flag(const std::string& name);
  /// "stride 2": the number >= `min` after the word `name`, or `value`.
  std::int64_t option(const std::string& name, std::int64_t value, std::int64_t min = 1);
  /// "stride 2" or "stride 2x1".
  Extent2d extent_option(const std::string& name, Extent2d value);
  /// "pad 1", "pad 1x2" (above and below, left and right), "pad 1,0,1,2" (top, left, bottom, right), or, for `same`,
  /// "pad same" or "same"; else none.
  Padding2d padding_option(const Padding2d& same);
  double real_option(const std::string& name, double value);
  /// Throws Error for words that nobody asked for, naming the nearest option.
  void done() const;

 private:
  std::string next(std::string_view what, std::string_view example);
  std::size_t find(const std::string& name);

  std::string operation_;
  std::vector<std::string> words_;
  std::vector<bool> is_used_;
  std::size_t position_ = 0;
  std::vector<std::string> known_;
};

}  // namespace detent::recipes
