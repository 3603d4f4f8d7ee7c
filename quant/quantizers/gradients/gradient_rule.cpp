#include "detent/quant/quantizers/gradients/gradient_rule.h"

#include <algorithm>

#include "detent/core/text/nearest.h"
#include "detent/quant/quantizers/gradients/rules.h"
#include "detent/quant/quantizers/words.h"

namespace detent::quant {
namespace {

const std::vector<GradientRuleKind>& rules() {
  static const std::vector<GradientRuleKind> all = standard_gradient_rules();
  return all;
}

}  // namespace

void GradientRule::change(std::span<const float> w, std::span<float> changed) const {
  std::ranges::copy(w, changed.begin());
}

const GradientRuleKind* find_gradient_rule(std::string_view name) {
  const auto row = std::ranges::find(rules(), name, &GradientRuleKind::name);
  return row == rules().end() ? nullptr : &*row;
}

std::vector<std::string> gradient_rule_names() {
  std::vector<std::string> names;
  std::ranges::transform(rules(), std::back_inserter(names), [](const auto& row) { return std::string(row.name); });
  return names;
}

std::shared_ptr<const GradientRule> make_gradient_rule(const GradientSpec& spec) {
  const std::string_view name = spec.rule.empty() ? kStraightThroughRule : std::string_view(spec.rule);
  const GradientRuleKind* const kind = find_gradient_rule(name);
  if (kind == nullptr) {
    const std::vector<std::string> all = gradient_rule_names();
    std::string names;
    for (const std::string& known : all) {
      names += " " + known;
    }
    fail("gradient rule: there is no '", name, "'", did_you_mean(name, all, ";"), " the rules are:", names);
  }
  check(spec.numbers.size() <= kind->numbers, "gradient rule: '", to_text(spec), "': expected ",
        kind->numbers == 0 ? "no" : "at most 1", " numbers; write for example ", kind->example);
  try {
    return kind->make(spec.numbers);
  } catch (const Error& error) {
    fail("gradient rule: '", to_text(spec), "': ", error.what(), "; write for example ", kind->example);
  }
}

std::string to_text(const GradientSpec& spec) { return to_text(Phrase{spec.rule, spec.numbers}); }

GradientSpec parse_gradient(std::string_view text) {
  std::vector<Phrase> phrases = phrases_of("gradient rule", text);
  check(phrases.size() == 1, "gradient rule: expected a name and its numbers, got '", text, "'");
  GradientSpec spec{std::move(phrases[0].word), std::move(phrases[0].numbers)};
  make_gradient_rule(spec);
  return spec.rule == kStraightThroughRule ? GradientSpec{} : spec;
}

std::int32_t extent_of(std::int32_t zero_point, CodeRange codes) {
  return std::max(codes.qmax - zero_point, zero_point - codes.qmin);
}

}  // namespace detent::quant
