#include "detent/quant/quantizers/qconfig.h"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace detent::quant {
namespace {

void check_bits(std::string_view what, int bits) {
  check(2 <= bits && bits <= 8, what, ": expected 2 to 8 bits, got ", bits);
}

struct Words {
  std::string_view type;  ///< "int" or "uint": what stands before the number of bits
  int bits = 0;
  bool is_per_channel = false;
  bool is_symmetric = false;
};

/// Reads "<type><bits> per-tensor|per-channel affine|symmetric" in any order; what is not said keeps its value.
Words parse_words(std::string_view what, std::string_view text, Words words, std::string_view example) {
  std::istringstream stream{std::string(text)};
  bool has_bits = false;
  for (std::string word; stream >> word;) {
    const std::string_view digits = std::string_view(word).substr(std::min(word.size(), words.type.size()));
    int bits = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (word.starts_with(words.type) && error == std::errc() && end == digits.data() + digits.size()) {
      words.bits = bits;
      has_bits = true;
    } else if (word == "per-tensor" || word == "per-channel") {
      words.is_per_channel = word == "per-channel";
    } else if (word == "affine" || word == "symmetric") {
      words.is_symmetric = word == "symmetric";
    } else {
      fail(what, ": '", word, "' in '", text, "' is not understood; write for example \"", example, "\"");
    }
  }
  check(has_bits, what, ": '", text, "' does not say the type; write for example \"", example, "\"");
  check_bits(what, words.bits);
  return words;
}

}  // namespace

void QConfig::validate() const {
  check_bits("weights", weight.bits);
  check_bits("activations", activation.bits);
  check(weight.scheme == Scheme::Symmetric,
        "weights: affine weights are not computed by the int8 kernels; write weights = \"int", weight.bits,
        " per-channel symmetric\"");
  check(activation.scheme == Scheme::Affine,
        "activations: symmetric activations are not computed by the int8 kernels; write activations = \"uint",
        activation.bits, " per-tensor affine\"");
  check(backward == DType::BF16 || backward == DType::F32, "backward: expected bf16 or f32, got ", backward);
}

WeightQuantizer parse_weight_quantizer(std::string_view text) {
  const Words words = parse_words("weights", text, {"int", 8, true, true}, "int8 per-channel symmetric");
  return {words.bits, words.is_symmetric ? Scheme::Symmetric : Scheme::Affine,
          words.is_per_channel ? Granularity::PerChannel : Granularity::PerTensor};
}

ActivationQuantizer parse_activation_quantizer(std::string_view text) {
  const Words words = parse_words("activations", text, {"uint", 8, false, false}, "uint8 per-tensor affine");
  check(!words.is_per_channel, "activations: '", text, "': activations have one scale; write \"uint", words.bits,
        " per-tensor affine\"");
  return {words.bits, words.is_symmetric ? Scheme::Symmetric : Scheme::Affine, {}};
}

QConfigMapping& QConfigMapping::set_name(std::string name, std::optional<QConfig> config) {
  names_.push_back({std::move(name), std::move(config)});
  return *this;
}

QConfigMapping& QConfigMapping::set_pattern(std::string pattern, std::optional<QConfig> config) {
  patterns_.push_back({std::move(pattern), std::move(config)});
  return *this;
}

QConfigMapping& QConfigMapping::set_kind(std::string kind, std::optional<QConfig> config) {
  kinds_.push_back({std::move(kind), std::move(config)});
  return *this;
}

QConfigMapping::Choice QConfigMapping::choose(std::string_view name, std::string_view kind) const {
  const auto last = [](const std::vector<Rule>& rules, auto&& applies) -> const Rule* {
    const auto rule = std::find_if(rules.rbegin(), rules.rend(), applies);
    return rule == rules.rend() ? nullptr : &*rule;
  };
  if (const Rule* rule = last(names_, [&](const Rule& r) { return r.key == name; })) {
    return {rule->config, "'" + rule->key + "'"};
  }
  if (const Rule* rule = last(patterns_, [&](const Rule& r) { return matches(r.key, name); })) {
    return {rule->config, "'" + rule->key + "'"};
  }
  if (const Rule* rule = last(kinds_, [&](const Rule& r) { return r.key == kind; })) {
    return {rule->config, "kind '" + rule->key + "'"};
  }
  return {rest_, {}};
}

std::vector<std::string> QConfigMapping::names() const {
  std::vector<std::string> names;
  for (const std::vector<Rule>* rules : {&names_, &patterns_}) {
    for (const Rule& rule : *rules) {
      names.push_back(rule.key);
    }
  }
  return names;
}

bool matches(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) {
    return pattern == name;
  }
  if (!name.starts_with(pattern.substr(0, star))) {
    return false;
  }
  const std::string_view rest = pattern.substr(star + 1);
  for (std::size_t i = star; i <= name.size(); ++i) {
    if (matches(rest, name.substr(i))) {
      return true;
    }
  }
  return false;
}

}  // namespace detent::quant
