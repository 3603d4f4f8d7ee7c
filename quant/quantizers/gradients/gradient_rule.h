#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detent/kernels/codes/step_sums.h"
#include "detent/quant/quantizers/ranges/range_rule.h"

/// What becomes of the gradient where values are rounded to codes, and what of their map is learned from it. Weights
/// and activations have the same rules.
namespace detent::quant {

/// A rule by its name, with the numbers that it takes: "pact 0.0001". No name: straight-through.
struct GradientSpec {
  std::string rule = {};
  std::vector<double> numbers = {};
  bool operator==(const GradientSpec&) const = default;
};

/// With every rule the gradient of a value passes where its code before clamping lies in [qmin, qmax], else it is 0.
///
/// A rule may learn numbers of each map, which are parameters of the network: they begin with the map of the first
/// batch (`first_scale`, `numbers_of`), give the map of every forward pass (`map_of`) and get a gradient in every
/// backward pass (`gradient`) until the map is frozen. A map is that of an activation, or of the weights of a tensor,
/// channel or group.
class GradientRule {
 public:
  virtual ~GradientRule() = default;

  /// How many numbers are learned of a map; 0: none, its range is observed.
  virtual std::size_t learned() const { return 0; }
  /// The scale to begin with where no range rule is said: `of_range` covers the values, whose mean magnitude is `mean`.
  virtual float first_scale(ScaleZero of_range, double /*mean*/, CodeRange /*codes*/) const { return of_range.scale; }
  /// The numbers whose map is `map`, up to rounding.
  virtual std::vector<float> numbers_of(ScaleZero /*map*/, CodeRange /*codes*/) const { return {}; }
  /// The map of any numbers; its scale is within [2^-60, 2^60]. Its zero point is `zero_point` where that is not
  /// learned. Throws Error for a number that is not finite.
  virtual ScaleZero map_of(std::span<const float> /*numbers*/, std::int32_t zero_point, CodeRange /*codes*/) const {
    return {1.0F, zero_point};
  }
  /// What the optimizer gets for each of the numbers, of `sums` over `count` values that map_of(numbers) quantized.
  virtual std::vector<double> gradient(std::span<const float> /*numbers*/, std::int32_t /*zero_point*/,
                                       CodeRange /*codes*/, const kernels::StepSums& /*sums*/,
                                       std::int64_t /*count*/) const {
    return {};
  }

  /// The range rule of activations where none is said; not said here: the place's own.
  virtual RangeSpec activation_range() const { return {}; }

  /// Whether a layer's weights are changed before they are multiplied and quantized.
  virtual bool changes_weights() const { return false; }
  /// changed[i] of the layer's weights w, and dw[i] = dL/d(changed)[i] as dL/dw[i].
  virtual void change(std::span<const float> w, std::span<float> changed) const;
  virtual void through_change(std::span<const float> /*w*/, std::span<float> /*dw*/) const {}
};

/// A row of the table of rules.
struct GradientRuleKind {
  std::string_view name;          ///< in the text form
  std::size_t numbers = 0;        ///< how many it takes, at most
  bool of_weights = true;         ///< whether weights can have it
  bool of_activations = true;     ///< likewise
  std::string_view example = {};  ///< with its numbers
  /// Throws Error for numbers that it cannot have.
  std::unique_ptr<GradientRule> (*make)(std::span<const double> numbers) = nullptr;
};

/// The rule of this name; null: there is none.
const GradientRuleKind* find_gradient_rule(std::string_view name);
std::vector<std::string> gradient_rule_names();

/// Throws Error for a name that is none, or numbers that the rule cannot have.
std::shared_ptr<const GradientRule> make_gradient_rule(const GradientSpec& spec);
/// "pact 0.0001". to_text of straight-through is "".
std::string to_text(const GradientSpec& spec);
GradientSpec parse_gradient(std::string_view text);

/// The larger number of codes that a map has on one side of its zero point.
std::int32_t extent_of(std::int32_t zero_point, CodeRange codes);

}  // namespace detent::quant
