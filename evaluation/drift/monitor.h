#pragma once

#include <optional>
#include <string>
#include <vector>

#include "detent/evaluation/drift/model_distributions.h"
#include "detent/evaluation/evidence/evidence.h"

/// Drift: whether the values of a model on new examples still are spread as they were on its training data.
namespace detent::evaluation {

/// What a value may differ by. No bound is below what chance alone gives (Chance).
struct DriftBounds {
  double moved = 0.1;  ///< a stability index from which on a value is said to have moved; fails nothing
  double max_psi = 0.25;
  std::optional<double> max_ks = 0.2;
  std::optional<double> max_saturation = 0.02;  ///< saturated share, more than on the training data
  std::optional<double> max_mean_shift = {};    ///< either way, in deviations of the training data
};

enum class DriftState : std::uint8_t { Stable, Moved, Left };
/// "stable", "moved", "left its range"
std::string_view name_of(DriftState state);

/// One place of a model, then and now.
struct ValueDrift {
  std::string name = {};     ///< WatchedValue::name
  std::string feature = {};  ///< of a column that has a name
  bool are_codes = false;
  double psi = 0.0;
  double ks = 0.0;
  double mean_shift = 0.0;        ///< in deviations of the training data
  double unseen = 0.0;            ///< share of values beyond all, or between any, that the training data gave
  double saturated_before = 0.0;  ///< of codes, and
  double saturated = 0.0;
  std::int64_t not_finite = 0;  ///< numbers
  Chance chance = {};
  DriftState state = DriftState::Stable;
  std::vector<float> bounds = {};                       ///< of the bins that were compared (Distribution), and
  std::vector<double> shares_before = {}, shares = {};  ///< what lay in them
};

struct Drift {
  std::int64_t examples = 0, reference_examples = 0;
  std::vector<ValueDrift> values = {};  ///< in running order
  Verdict verdict = {};                 ///< a failure a value that left its range

  /// The first of that state in running order, or null.
  const ValueDrift* first(DriftState state) const;
};

/// Runs `model` on `live` and compares its values with `reference`, its distributions on training data. `features` are
/// the names of an input's columns. Throws Error for a reference that is of another model.
Drift drift_of(const runtime::Model& model, const ModelDistributions& reference, const data::Dataset& live,
               const data::Normalization& normalization, const std::vector<std::string>& features,
               const DriftBounds& bounds, Reporter& reporter);

}  // namespace detent::evaluation
