#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/qparams.h"
#include "detent/nn/module.h"

/// Which range of reals a quantizer covers: a rule takes statistics of batches in and gives a range; choose_qparams
/// makes a map of it. Weights and activations have the same rules.
namespace detent::quant {

/// What a rule must be shown of a batch.
enum class RangeNeeds : std::uint8_t {
  MinMax,  ///< its smallest and largest finite value, which come free from the kernels that made it
  Values,  ///< every value besides
};

/// A rule with its state, of one tensor, or of one channel or group of it.
///
/// For each batch: `begin`; where the rule needs values, `collect` of every slice of the batch, which any thread may
/// call at the same time as others, and `merge` of what they gave, in the order of the slices; then `observe`. Slices
/// are cut by the number of values alone, so the range never depends on the number of threads.
class RangeRule {
 public:
  virtual ~RangeRule() = default;

  virtual RangeNeeds needs() const { return RangeNeeds::MinMax; }
  /// Whether what `collect` gives are counts of values, for which a sample of a large batch will do (`show`).
  virtual bool may_sample() const { return false; }
  /// Whether the range is of all batches that were merged and of nothing else, however often it was asked for: then
  /// `observe` need not be called before the range is needed.
  virtual bool may_wait() const { return false; }
  /// The range before anything was observed; empty: none yet.
  virtual MinMax initial() const { return {}; }

  /// A batch whose finite values span `batch`, which is not empty, follows.
  virtual void begin(const MinMax& /*batch*/) {}
  /// What the values of a slice say, as numbers of the rule's own. NaN and infinities are to be passed over.
  virtual std::vector<double> collect(std::span<const float> /*values*/) const { return {}; }
  virtual void merge(std::span<const double> /*collected*/) {}
  /// The range with the batch in it: of finite numbers, min <= max. `range` is the range so far, empty before the
  /// first batch; the batch has `examples` >= 1.
  virtual MinMax observe(const MinMax& range, const MinMax& batch, std::int64_t examples) = 0;

  /// Whether a range that turns out to clip much may be widened to all that was seen: not that of a rule that clips on
  /// purpose.
  virtual bool may_widen() const { return false; }
  /// What is saved beside the range while it is observed; all of it is optional in files.
  virtual std::vector<nn::Slot> slots() { return {}; }
  /// Throws Error unless what was loaded into the slots is such a state.
  virtual void check_loaded() const {}
};

/// A rule by its name, with the numbers that it takes: "percentile 99.9". No name: not said, which is the rule that
/// belongs to the place (weights and static quantization min-max, training moving-average).
struct RangeSpec {
  std::string rule = {};
  std::vector<double> numbers = {};

  bool is_said() const { return !rule.empty(); }
  /// This, or where it is not said the rule `other`.
  RangeSpec or_else(std::string_view other) const { return is_said() ? *this : RangeSpec{std::string(other), {}}; }
  bool operator==(const RangeSpec&) const = default;
};

/// Where a rule is used: what its range will be divided into.
struct RangeTarget {
  CodeRange codes = {};
  Scheme scheme = Scheme::Affine;
  std::string map = {};  ///< the rule that makes a map of the range (map_rule.h); "": choose_qparams

  ScaleZero map_of(const MinMax& range) const;
};

/// A row of the table of rules.
struct RangeRuleKind {
  std::string name;          ///< in the text form: lower-case letters, digits and '-'
  std::string example;       ///< with its numbers: "percentile 99.9"
  std::size_t numbers = 0;   ///< how many it takes, at most
  std::size_t required = 0;  ///< and at least
  /// Throws Error for numbers that it cannot have.
  std::function<std::unique_ptr<RangeRule>(std::span<const double> numbers, const RangeTarget& target)> make;
};

/// Adds a rule of one's own, before it is used; a program does so once, as it starts. Throws Error for a name that is
/// taken or is none.
void register_range_rule(RangeRuleKind kind);
/// The rule of this name; null: there is none.
const RangeRuleKind* find_range_rule(std::string_view name);
/// The names of all rules.
std::vector<std::string> range_rule_names();

/// Throws Error for a name that is none, or numbers that the rule cannot have. REQUIRES: spec.is_said().
std::unique_ptr<RangeRule> make_range_rule(const RangeSpec& spec, const RangeTarget& target);
/// "moving-average 0.05". to_text of what is not said is "".
std::string to_text(const RangeSpec& spec);
RangeSpec parse_range(std::string_view text);

/// Shows a rule the values of a batch that spans `batch`, in slices on all threads: begin, collect and merge. A rule
/// that may_sample sees a sample of a batch of more than 32,768: its extremes, and
/// the first of every 1031 values, so many that more than 16,384, or a 32nd, of all are seen; each stands for as many
/// as it is one of. The sample depends on the number of values alone.
void show(RangeRule& rule, const MinMax& batch, std::span<const float> values);
/// The range of numbers that are all there are, such as a channel's weights: that of a new rule after one batch. Empty
/// where none is finite. Not said: min-max. Single-threaded.
MinMax range_of(const RangeSpec& spec, const RangeTarget& target, std::span<const float> values);

}  // namespace detent::quant
