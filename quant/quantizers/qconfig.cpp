#include "detent/quant/quantizers/qconfig.h"

#include <algorithm>

namespace detent::quant {
namespace {

void check_spec(std::string_view what, const QuantizerSpec& spec, const QuantizerSpec& example) {
  check(1 <= spec.grid.bits && spec.grid.bits <= 8, what, ": expected 1 to 8 bits, got ", spec.grid.bits);
  check(!spec.grid.is_ternary || spec.grid.bits == 2, what, ": expected ternary codes to have 2 bits, got ",
        spec.grid.bits);
  QuantizerSpec computed = spec;
  computed.scheme = example.scheme;
  computed.grid.is_signed = example.grid.is_signed;
  computed.grid.is_ternary = example.grid.is_signed && spec.grid.is_ternary;
  const std::string_view scheme = example.scheme == Scheme::Symmetric ? "affine " : "symmetric ";
  check(computed == spec, what, ": ", spec.scheme == example.scheme ? "" : scheme, what,
        spec.grid.is_signed == example.grid.is_signed ? ""
        : example.grid.is_signed                      ? " of unsigned codes"
                                                      : " of signed codes",
        " are not computed by the int8 kernels; write ", what, " = \"", to_text(computed), "\"");
  check(!spec.grid.is_ternary || !spec.range.is_said(), what, ": ternary codes have a range of their own rule; leave '",
        to_text(spec.range), "' out, or write int2 ", to_text(spec.range));
}

void check_gradient(std::string_view what, const QuantizerSpec& spec, bool GradientRuleKind::*serves,
                    std::string_view others) {
  const bool learns = make_gradient_rule(spec.gradient)->learned() > 0;
  const GradientRuleKind* const kind = spec.gradient.rule.empty() ? nullptr : find_gradient_rule(spec.gradient.rule);
  QuantizerSpec mended = spec;
  mended.gradient = kind != nullptr && kind->*serves ? spec.gradient : GradientSpec{"lsq", {}};
  check(kind == nullptr || kind->*serves, what, ": the gradient rule '", spec.gradient.rule, "' is one of ", others,
        "; write ", what, " = \"", to_text(mended), "\"");
  mended.map.clear();
  const bool has_own_scale = spec.grid.is_signed && (spec.grid.bits == 1 || spec.grid.is_ternary);
  check(!learns || !has_own_scale, what, ": signs and ternary codes have a scale of their own rule, which '",
        spec.gradient.rule, "' cannot learn; leave it out, or write ", what, " = \"int2 ", to_text(spec.gradient),
        "\"");
  check(spec.map.empty() || !learns, what, ": '", spec.gradient.rule, "' learns any scale, and '", spec.map,
        "' lets it have few; write ", what, " = \"", to_text(mended), "\"");
}

}  // namespace

void QConfig::validate() const {
  check_spec("weights", weight, int8_weights());
  check_spec("activations", activation, uint8_activations());
  check_gradient("weights", weight, &GradientRuleKind::of_weights, "activations");
  check_gradient("activations", activation, &GradientRuleKind::of_activations, "weights");
  check(!weight.is_per_token(), "weights: per-token is for activations; write weights = \"", to_text(int8_weights()),
        "\"");
  check(activation.is_per_tensor(), "activations: expected one scale, got ", to_text(activation.granularity),
        activation.is_per_token() ? "; ranges a token are of dynamic quantization" : "");
  check(backward == DType::BF16 || backward == DType::F32, "backward: expected bf16 or f32, got ", backward);
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
