#pragma once

#include "detent/core/geometry.h"
#include "detent/interchange/onnx/model.h"

namespace detent::onnx {

/// Where the windows of a convolution or pool lie.
struct Windows {
  Extent2d stride = 1;
  Extent2d dilation = 1;
  Padding2d padding = 0;
  Extent2d out = 1;
};

/// From the attributes strides, dilations, pads, auto_pad and ceil_mode of a node, for a kernel and an image, of whose
/// extents `padding` is part. With ceil_mode the last windows reach into padding that is added below and on the right.
/// Throws Error for what no windows are.
Windows windows_of(const Node& node, Extent2d kernel, Extent2d image, Padding2d padding);

/// Two numbers of an attribute, `other` twice where it is missing. Throws Error unless they are two of at least 1 each.
Extent2d extent_of(const Node& node, const char* attribute, std::int64_t other);

}  // namespace detent::onnx
