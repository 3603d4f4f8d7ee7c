#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detent/evaluation/evaluate.h"
#include "detent/quant/passes/open_model.h"

/// Where do two models part? Any two forms of one network, layer by layer, on the same examples.
namespace detent::evaluation {

/// How far the values b of a layer of the second model lie from those of the first, a. Codes count as the reals that
/// they stand for. Sums are taken in double, in the order of the examples.
struct LayerDifference {
  std::string name = {};
  std::string type_a = {}, type_b = {};  ///< "f32", "u8"
  std::int64_t values = 0;
  double mean = 0.0;       ///< of |a - b|
  double largest = 0.0;    ///< |a - b|
  double cosine = 1.0;     ///< a . b / (|a| |b|); 1 where both are zeros
  double snr = 0.0;        ///< 10 log10(sum a^2 / sum (a - b)^2), in dB; infinite where nothing differs
  double saturated = 0.0;  ///< share of b's codes at an end of their range that does not stand for 0
  MinMax range_a = {}, range_b = {};
};

struct Comparison {
  std::vector<LayerDifference> layers;  ///< that both have under one name and shape, in running order
  std::vector<std::string> only_a, only_b;
  std::int64_t images = 0;
  TargetScore score_a = {}, score_b = {};  ///< against the targets
  std::int64_t predictions_changed = 0;    ///< count_changed of their answers; 0 of values
};

/// From how many dB of signal to noise on two models are said to agree: an error of a tenth.
inline constexpr double kAgreementDb = 20.0;
/// The first layer with less than `db`; null: they agree everywhere.
const LayerDifference* first_below(const Comparison& comparison, double db = kAgreementDb);

/// Runs both models on `dataset` and compares what their layers give. A float model's batch norms are folded and its
/// ReLUs done where an int8 model does them, so that values of one name mean the same. Models in training for int8 run
/// their own forward pass, int8 models the plan of what ships. Throws Error for models of other inputs, without a layer
/// in common, or in training for int8 and not frozen.
Comparison compare(const quant::OpenedModel& a, const quant::OpenedModel& b, const data::Dataset& dataset,
                   const data::Normalization& normalization, Reporter& reporter);

}  // namespace detent::evaluation
