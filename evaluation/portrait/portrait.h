#pragma once

#include <optional>
#include <string>
#include <vector>

#include "detent/evaluation/compare.h"
#include "detent/runtime/model.h"

/// What reports show of a model: what it is made of, and layer by layer how far it is from the float model and how its
/// weights and activations lie on their grids.
namespace detent::evaluation {

/// One operation of a model, or an input of it.
struct DrawnNode {
  std::string name = {};
  std::string kind = {};  ///< "convolution", "linear", "max pool"; "input"
  Shape shape = {};       ///< of one example
  std::string type = {};  ///< "f32", "u8"
  bool is_codes = false;
  std::vector<std::size_t> inputs = {};  ///< nodes before it
  std::int64_t parameters = 0, multiply_adds = 0;
  int weight_bits = 0;    ///< 0: no weights
  std::string note = {};  ///< why it stayed in float
};
/// Inputs first, then the operations in running order.
std::vector<DrawnNode> drawn(const runtime::Model& model);

/// How often values occur: bin i holds the reals in [lower + i * width, lower + (i + 1) * width). Zeros, of which a
/// ReLU makes most values, are counted by themselves and are in no bin.
struct ValueCounts {
  double lower = 0.0, width = 0.0;
  std::vector<double> counts = {};  ///< at most kMostBars
  double total = 0.0;               ///< of finite values, with the zeros
  double zeros = 0.0;
};
inline constexpr std::int64_t kMostBars = 64;

/// How often the codes of weights occur: bar i counts the codes qmin + i * codes_a_bar and those up to the next bar.
struct CodeCounts {
  CodeRange codes = {};
  std::int64_t codes_a_bar = 1;
  std::vector<double> counts = {};
  std::string granularity = {};  ///< "tensor", "channel", "group of 64": what has one scale
  float smallest_scale = 0.0F, largest_scale = 0.0F;
};
/// REQUIRES: s8 codes with their QParams.
CodeCounts count_codes(const Tensor& weight);

struct LayerPortrait {
  LayerDifference difference = {};  ///< a: the float model, b: the one that ships
  std::string kind = {};
  ValueCounts values = {};                        ///< of the float model
  std::shared_ptr<const QParams> grid = nullptr;  ///< of the layer's codes; null: it gives reals
  std::optional<CodeCounts> weights = {};         ///< where they are codes
};

struct Portrait {
  std::vector<DrawnNode> model = {};
  std::int64_t examples = 0;               ///< that were run
  bool is_against_float = true;            ///< false: the reference is the model itself
  std::vector<LayerPortrait> layers = {};  ///< that both models have under one name and shape, in running order
};

/// Of so many test examples a portrait is made, unless there are fewer.
inline constexpr std::int64_t kPortraitExamples = 128;

/// Runs `shipped`, and the float model `reference` whose values go by the same names (quant::lower with Sums::Apart),
/// or `shipped` itself (the same object) where there is none, on the first examples of `dataset`. Models with several
/// inputs have no layers in it. Reshapes and dequantizations are left out: their values are those before them. The
/// result does not depend on the number of threads.
Portrait portray(const runtime::Model& reference, const runtime::Model& shipped, const data::Dataset& dataset,
                 const data::Normalization& normalization);

}  // namespace detent::evaluation
