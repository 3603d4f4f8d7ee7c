#include "detent/interchange/onnx/in/windows.h"

#include <algorithm>

#include "detent/core/error.h"

namespace detent::onnx {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 31;

/// Along one axis.
struct Line {
  std::int64_t kernel, stride, dilation, image;
  std::int64_t before = 0, after = 0;

  std::int64_t reach() const { return dilation * (kernel - 1) + 1; }

  /// auto_pad SAME: as many outputs as ceil(image / stride).
  void pad_same(bool is_upper) {
    const std::int64_t outputs = (image + stride - 1) / stride;
    const std::int64_t sum = std::max<std::int64_t>((outputs - 1) * stride + reach() - image, 0);
    before = is_upper ? sum / 2 : sum - sum / 2;
    after = sum - before;
  }

  std::int64_t outputs(bool rounds_up) {
    const std::int64_t room = image + before + after - reach();
    check(room >= 0, "its window of ", reach(), " is larger than the padded image of ", image + before + after);
    std::int64_t count = room / stride + 1;
    if (rounds_up && room % stride != 0 && count * stride < image + before) {  // a window begins in the image
      after += (count * stride + reach()) - (image + before + after);
      ++count;
    }
    return count;
  }
};

}  // namespace

Extent2d extent_of(const Node& node, const char* attribute, std::int64_t other) {
  const std::vector<std::int64_t> numbers = node.integers(attribute, {other, other});
  check(numbers.size() == 2, "its ", attribute, " are ", numbers.size(), " numbers; expected 2, of an image");
  for (const std::int64_t number : numbers) {
    check(1 <= number && number < kLargest, "its ", attribute, " hold ", number, "; expected numbers of at least 1");
  }
  return {numbers[0], numbers[1]};
}

Windows windows_of(const Node& node, Extent2d kernel, Extent2d image, Padding2d padding) {
  Windows windows{.stride = extent_of(node, "strides", 1), .dilation = extent_of(node, "dilations", 1)};
  const std::vector<std::int64_t> pads = node.integers("pads", {0, 0, 0, 0});
  check(pads.size() == 4, "its pads are ", pads.size(), " numbers; expected 4, of an image");
  for (const std::int64_t pad : pads) {
    check(0 <= pad && pad < kLargest, "its pads hold ", pad, "; expected numbers of at least 0");
  }
  for (const std::int64_t number : {kernel.h, kernel.w, image.h, image.w}) {
    check(1 <= number && number < kLargest, "a window or image has the extent ", number);
  }
  Line h{kernel.h, windows.stride.h, windows.dilation.h, image.h};
  Line w{kernel.w, windows.stride.w, windows.dilation.w, image.w};
  const std::string automatic = node.text("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    h.pad_same(automatic == "SAME_UPPER");
    w.pad_same(automatic == "SAME_UPPER");
  } else if (automatic != "VALID") {
    check(automatic == "NOTSET" || automatic.empty(), "its auto_pad is '", automatic,
          "'; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER");
    h.before = pads[0];
    w.before = pads[1];
    h.after = pads[2];
    w.after = pads[3];
  }
  const bool rounds_up = node.integer("ceil_mode", 0) != 0;
  windows.out.h = h.outputs(rounds_up);
  windows.out.w = w.outputs(rounds_up);
  windows.padding = {h.before + padding.top, w.before + padding.left, h.after + padding.bottom,
                     w.after + padding.right};
  return windows;
}

}  // namespace detent::onnx
