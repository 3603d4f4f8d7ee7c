#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "detent/quant/quantizers/gradients/gradient_rule.h"
#include "detent/quant/quantizers/map_rule.h"
#include "detent/quant/quantizers/ranges/range_rule.h"

/// What a quantizer is composed of: choices that do not depend on each other, each of a type of its own. Weights and
/// activations have the same; what the kernels cannot compute is refused by QConfig::validate.
namespace detent::quant {

/// Integers of 1 to 8 bits: signed ones are symmetric, [-(2^(bits-1) - 1), 2^(bits-1) - 1], the others [0, 2^bits - 1].
/// Signed ones of 1 bit are the signs, -1 and 1. Ternary ones are -1, 0 and 1, as those of 2 bits, but how weights
/// become them is a rule of its own (weight_codes.h).
struct IntegerGrid {
  int bits = 8;
  bool is_signed = false;
  bool is_ternary = false;  ///< REQUIRES: signed, of 2 bits
  CodeRange codes() const { return is_signed ? signed_codes(bits) : unsigned_codes(bits); }
  bool operator==(const IntegerGrid&) const = default;
};

/// One scale for the whole tensor.
struct PerTensor {
  bool operator==(const PerTensor&) const = default;
};
/// One scale for each output channel (axis 0).
struct PerChannel {
  bool operator==(const PerChannel&) const = default;
};
/// One scale for each `size` input channels (the last axis) of each output channel, the last for those that are left.
struct PerGroup {
  std::int64_t size = 32;
  bool operator==(const PerGroup&) const = default;
};
/// One scale for each row of activations, an example's, chosen as the model runs (dynamic quantization).
struct PerToken {
  bool operator==(const PerToken&) const = default;
};
using Granularity = std::variant<PerTensor, PerChannel, PerGroup, PerToken>;

/// How values become codes. As it stands: an activation's, "uint8 per-tensor affine".
struct QuantizerSpec {
  IntegerGrid grid = {};
  Scheme scheme = Scheme::Affine;
  Granularity granularity = PerTensor{};
  RangeSpec range = {};
  std::string map = {};  ///< the rule that makes a map of the range (map_rule.h); "": choose_qparams
  GradientSpec gradient = {};

  CodeRange codes() const { return grid.codes(); }
  bool is_per_tensor() const { return std::holds_alternative<PerTensor>(granularity); }
  bool is_per_token() const { return std::holds_alternative<PerToken>(granularity); }
  RangeTarget range_target() const { return {codes(), scheme, map}; }
  ScaleZero map_of(const MinMax& covered) const { return range_target().map_of(covered); }
  bool operator==(const QuantizerSpec&) const = default;
};

/// "int8 per-channel symmetric", whose ranges follow the current weights.
inline QuantizerSpec int8_weights() { return {{8, true}, Scheme::Symmetric, PerChannel{}}; }
/// "uint8 per-tensor affine"
inline QuantizerSpec uint8_activations() { return {}; }

/// Reads words in any order, the numbers that a word takes behind it:
///
///   grid          int1 to int8, uint1 to uint8, ternary  must be said; binary is int1
///   granularity   per-tensor, per-channel, per-group n,
///                 per-token                              what is not said below is as in `rest`
///   scheme        symmetric, affine
///   range         min-max, moving-average [c], percentile p, fixed lo hi, and rules of one's own
///   map           power-of-two, and rules of one's own
///   gradient      straight-through, lsq, lsq-plus, pact [decay], dorefa
///
/// Throws Error, beginning with `what`, that names the word, the nearest right one, and gives a corrected text.
QuantizerSpec parse_quantizer(std::string_view what, std::string_view text, const QuantizerSpec& rest);
/// "int8 per-channel symmetric percentile 99.9": what parse_quantizer gives back. A rule that is not said, and
/// straight-through, are left out.
std::string to_text(const QuantizerSpec& spec);
std::string to_text(const Granularity& granularity);
/// "per-channel". Throws Error for what is none.
Granularity parse_granularity(std::string_view text);

/// "int8 per-channel symmetric", "per-tensor int4": of weights, as QConfig has them.
QuantizerSpec parse_weight_quantizer(std::string_view text);
/// "uint8 per-tensor affine", "uint4 percentile 99.9", "uint8 per-token": of activations.
QuantizerSpec parse_activation_quantizer(std::string_view text);

/// Whether the text form has this word.
bool is_quantizer_word(std::string_view word);
/// Throws Error, beginning with `what`, unless `name` can be a new word: lower-case letters, digits and '-', not taken.
void check_quantizer_name(std::string_view what, std::string_view name);

}  // namespace detent::quant
