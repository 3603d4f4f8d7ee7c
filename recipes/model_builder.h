#pragma once

#include <functional>
#include <map>
#include <string>

#include "detent/nn/model_file.h"
#include "detent/quant/kinds/kind.h"
#include "detent/recipes/layer_text.h"
#include "detent/recipes/recipe.h"

namespace detent::recipes {

/// What a layer is made from, besides its text.
struct LayerContext {
  const Shape& input;  ///< of its first input, one example
  std::size_t inputs;  ///< how many it has
  nn::Init init;
};
/// An operation of recipes: how its text is read.
struct Layer {
  std::string stem = {};  ///< of default node names: "conv" for conv1, conv2, ...
  /// Reads the words after the operation's name. Throws Error for what it does not understand.
  std::function<std::shared_ptr<nn::Module>(LayerText& text, const LayerContext& context)> make = {};
};
/// By the first word of their text: one row an operation.
using Layers = std::map<std::string, Layer, std::less<>>;
/// The operations that build_model lists. A program that has one of its own passes a copy with a row for it.
const Layers& standard_layers();

/// Builds the graph that [model] describes, without weights. A layer is an operation and its options:
///
///   conv 32 3x3         [stride S] [pad P | pad same] [dilation D] [groups G] [nobias]  32 output channels
///   depthwise 3x3       the same; as many output channels as input channels, one group each
///   linear 128          [nobias]
///   batchnorm           [noaffine] [eps E] [momentum M]
///   maxpool 2           [stride S] [pad P | pad same]    avgpool 2   the same    gap   global average pool
///   relu relu6 sigmoid tanh gelu hard_swish silu sign   leaky_relu [SLOPE]
///   dropout 0.25        flatten        add (of two inputs)   concat (of two or more)   softmax
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
nn::Graph build_model(const ModelSection& model, const Shape& input, std::int64_t classes,
                      const Layers& layers = standard_layers());

/// The float model in the file that a recipe's [model] names, fp32.h5 or an ONNX model (*.onnx). An ONNX model's
/// softmax at the end is left out where the recipe's loss has one of its own. Throws Error, naming the file, as
/// quant::open_model and onnx::import_file do, and for a model of another kind.
nn::Model trained_model_of(const Recipe& recipe, const quant::Kinds& kinds);

}  // namespace detent::recipes
