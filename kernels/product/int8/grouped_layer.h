#pragma once

#include <memory>
#include <vector>

#include "detent/kernels/product/int8_conv.h"

namespace detent::kernels {

/// A convolution with groups, made of a layer of its own for each: the channels of a group are copied out of the image,
/// and its codes into the result, so that what serves no groups (BitProduct) serves them. `groups`: the layers of
/// `shape` divided by groups, in their order. A part of a run is a group.
std::shared_ptr<const Int8Conv::Layer> make_grouped_layer(const ConvShape& shape,
                                                          std::vector<std::shared_ptr<const Int8Conv::Layer>> groups);

/// The convolution of one group.
ConvShape shape_of_group(const ConvShape& shape);
/// What makes codes of the sums of group `group`. REQUIRES: weights have no groups.
Requantization requantization_of_group(const ConvShape& shape, const Requantization& r, std::int64_t group);

}  // namespace detent::kernels
