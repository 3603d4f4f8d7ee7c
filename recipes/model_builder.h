#pragma once

#include "detent/nn/graph.h"
#include "detent/recipes/recipe.h"

namespace detent::recipes {

/// Builds the graph that [model] describes, without weights. A layer is an operation and its options:
///
///   conv 32 3x3         [stride S] [pad P | pad same] [dilation D] [groups G] [nobias]  32 output channels
///   depthwise 3x3       the same; as many output channels as input channels, one group each
///   linear 128          [nobias]
///   batchnorm           [noaffine] [eps E] [momentum M]
///   maxpool 2           [stride S] [pad P | pad same]    avgpool 2   the same    gap   global average pool
///   relu relu6 sigmoid tanh gelu hard_swish        leaky_relu [SLOPE]
///   dropout 0.25        flatten        add (of two inputs)
///
/// Windows, strides and dilations are height and width, "3x5", or one number for both; pads also top, left, bottom,
/// right: "1,0,1,2". Default stride is 1 for convolutions and the window for pools; "pad same", or "same", pads so that
/// stride 1 keeps height and width, of an odd sum the larger half below and on the right. Layers without a name are
/// numbered by operation: conv1, fc1, bn1, pool1, relu1
/// ...
///
/// Throws Error in one line, starting with the layer's `where` and text, for an unknown operation or option (naming the
/// nearest), a missing number, an unknown input, or a shape that does not fit; and if the result is not `classes`
/// numbers an example.
nn::Graph build_model(const ModelSection& model, const Shape& input, std::int64_t classes);

}  // namespace detent::recipes
