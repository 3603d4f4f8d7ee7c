#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/dtype.h"
#include "detent/quant/quantizers/quantizer_spec.h"

namespace detent::quant {

/// Which range quantizes a training batch while observers are observing. The first batch sets the range either way.
enum class RangeUse : std::uint8_t {
  Previous,  ///< the range as it stood before the batch, updated after it: codes come in one pass
  Current,   ///< the range with the batch in it, as PyTorch does
};

/// How one module is quantized.
struct QConfig {
  QuantizerSpec weight = int8_weights();
  QuantizerSpec activation = uint8_activations();
  DType numbers = DType::F32;    ///< of activations that are no codes, in weight-only products: F32 or BF16
  DType backward = DType::BF16;  ///< the type of the products of the backward pass: BF16 or F32
  RangeUse range = RangeUse::Previous;

  /// Throws Error, with the corrected line in the message, for what the int8 kernels cannot compute.
  void validate() const;
  bool operator==(const QConfig&) const = default;
};

/// Says for each module how it is quantized, or that it stays in float. The most particular rule wins: the module's
/// name, then a name pattern ('*' stands for any text, the last matching pattern wins), then its kind, then the rest.
class QConfigMapping {
 public:
  /// `rest` is for modules without a rule; nullopt keeps them in float.
  explicit QConfigMapping(std::optional<QConfig> rest = QConfig{}) : rest_(rest) {}
  QConfigMapping& set_name(std::string name, std::optional<QConfig> config);
  QConfigMapping& set_pattern(std::string pattern, std::optional<QConfig> config);
  QConfigMapping& set_kind(std::string kind, std::optional<QConfig> config);

  struct Choice {
    std::optional<QConfig> config;  ///< nullopt: the module stays in float
    std::string rule;               ///< the rule that says so: "'conv*'", "kind 'linear'"; "" for the rest
  };
  Choice choose(std::string_view name, std::string_view kind) const;
  std::optional<QConfig> lookup(std::string_view name, std::string_view kind) const {
    return choose(name, kind).config;
  }
  /// The names and patterns that were set, for checking them against a graph.
  std::vector<std::string> names() const;

 private:
  struct Rule {
    std::string key;
    std::optional<QConfig> config;
  };
  std::optional<QConfig> rest_;
  std::vector<Rule> names_, patterns_, kinds_;
};

/// Whether `name` matches `pattern`, in which '*' stands for any text.
bool matches(std::string_view pattern, std::string_view name);

}  // namespace detent::quant
