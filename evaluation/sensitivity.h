#pragma once

#include <string>
#include <vector>

#include "detent/core/names.h"
#include "detent/data/dataset.h"
#include "detent/data/loader.h"
#include "detent/evaluation/progress.h"
#include "detent/evaluation/targets/answers.h"
#include "detent/evaluation/targets/target_score.h"
#include "detent/nn/graph.h"
#include "detent/quant/quantizers/qconfig.h"
#include "detent/runtime/model.h"

/// Which layer needs what? The loss of a float model with one of its layers on codes, at each bit width.
namespace detent::evaluation {

/// What a model does on examples.
struct Score {
  double loss = 0.0;                     ///< the mean of target_loss over the examples
  TargetScore fit = {};                  ///< against the targets
  std::int64_t predictions_changed = 0;  ///< against the float model: count_changed of their answers; 0 of values
};

struct TrialSettings {
  std::int64_t calibration = 512;  ///< examples from which ranges are taken
  std::int64_t images = 1000;      ///< examples on which models are measured
  std::uint64_t seed = 1;          ///< of the order in which both are drawn
};

/// A float model, and examples on which quantized forms of it are measured. Both kinds of examples are training
/// examples, in the order in which static quantization draws those of its calibration: first `calibration` of them, so
/// that `quantize` makes the model that a run with this seed makes, then `images` others, on which models are measured.
/// What is chosen by measurement has not seen the test set.
class Trial {
 public:
  /// Throws Error if `train` has not so many examples, for a graph without weights, and for a loss that is not finite.
  Trial(const nn::Graph& graph, const data::Dataset& train, const data::Normalization& normalization,
        const TrialSettings& settings);

  const nn::Graph& graph() const { return graph_; }
  const TrialSettings& settings() const { return settings_; }
  const Score& float_score() const { return float_score_; }
  /// The int8 model by static quantization, calibrated. Throws Error as quant::prepare.
  runtime::Model quantize(const quant::QConfigMapping& mapping) const;
  /// What its plan gives. The loss of classes by a model that ends with a softmax is that of its probabilities. Throws
  /// Error for a loss that is not finite.
  Score score(const runtime::Model& model) const;

 private:
  Score run(const runtime::Model& model, Answers& answers) const;

  nn::Graph graph_;
  data::Dataset train_, held_out_;
  data::Normalization normalization_;
  TrialSettings settings_;
  Answers float_answers_;
  Score float_score_;
};

/// What has the bit width that is tried. The rest of the layer is on 8 bits.
enum class QuantizedPart : std::uint8_t { Weights, Activations, Both };
const Names<QuantizedPart>& quantized_part_names();  ///< "weights", "activations", "both"

struct SensitivitySettings {
  std::vector<int> bits{8, 4, 3, 2};  ///< each from 1 to 8, falling
  QuantizedPart what = QuantizedPart::Weights;
  quant::QuantizerSpec weights = quant::int8_weights();  ///< but for their bits
  quant::QuantizerSpec activations = {};

  /// With `width` bits where `what` says.
  quant::QConfig config(int width) const;
};

/// What the weights of a layer take, each packed into as many bits as it has.
struct LayerSize {
  std::int64_t weights = 0, biases = 0, scales = 0;
  std::int64_t parameters() const { return weights + biases; }
  /// weights * bits / 8, rounded up, and 4 bytes a scale and a bias.
  std::int64_t bytes(int bits) const { return (weights * bits + 7) / 8 + 4 * (scales + biases); }
  /// 4 bytes a weight and a bias, batch norms folded.
  std::int64_t float_bytes() const { return 4 * (weights + biases); }
};

struct SensitivityPoint {
  int bits = 8;
  Score score = {};
};

/// A convolution or linear layer, with the batch norm and the ReLU that are done with it.
struct LayerSensitivity {
  std::vector<std::string> names;  ///< of the nodes at which its module stands; mostly one
  std::string kind = {};           ///< "conv2d", "linear"
  LayerSize size = {};
  std::vector<SensitivityPoint> points = {};  ///< one for each of SensitivitySettings::bits
};

struct Sensitivity {
  SensitivitySettings settings;
  TrialSettings trial;
  Score float_score;
  std::vector<LayerSensitivity> layers;  ///< in running order

  double loss_increase(const Score& score) const { return score.loss - float_score.loss; }
  data::TargetKind targets() const { return float_score.fit.targets; }
  /// By how much fewer examples are right; below 0 where more are. Of values by how many millionths R2 is lower, of
  /// which a part counts as none, and none counts for more than 10^12.
  std::int64_t drop(const Score& score) const;
  /// The drop of a whole score of 1: so many examples, of values 10^6.
  std::int64_t whole() const;
  double share(std::int64_t drop) const { return static_cast<double>(drop) / static_cast<double>(whole()); }
};

/// Quantizes the layers that have an int8 form and weights one at a time, all others in float. Throws Error for a model
/// without such a layer, for bits that are not as said, and as quant::prepare.
Sensitivity measure_sensitivity(const Trial& trial, const SensitivitySettings& settings, Reporter& reporter);

}  // namespace detent::evaluation
