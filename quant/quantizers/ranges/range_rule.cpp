#include "detent/quant/quantizers/ranges/range_rule.h"

#include <algorithm>
#include <deque>
#include <mutex>

#include "detent/core/threads/parallel.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/quantizer_spec.h"
#include "detent/quant/quantizers/ranges/rules.h"
#include "detent/quant/quantizers/words.h"

namespace detent::quant {
namespace {

constexpr std::int64_t kValuesPerSlice = 1 << 16;

/// Rows are never removed, so that what find_range_rule gave stays.
struct Table {
  std::mutex mutex;
  std::deque<RangeRuleKind> rows = standard_range_rules();
};

Table& table() {
  static Table rules;
  return rules;
}

}  // namespace

ScaleZero RangeTarget::map_of(const MinMax& range) const { return map_of_range(map, range, codes, scheme); }

void register_range_rule(RangeRuleKind kind) {
  check_quantizer_name("range rule", kind.name);
  check(kind.make != nullptr, "range rule: '", kind.name, "' has no function that makes it");
  Table& rules = table();
  const std::lock_guard lock(rules.mutex);
  rules.rows.push_back(std::move(kind));
}

const RangeRuleKind* find_range_rule(std::string_view name) {
  Table& rules = table();
  const std::lock_guard lock(rules.mutex);
  const auto row = std::ranges::find(rules.rows, name, &RangeRuleKind::name);
  return row == rules.rows.end() ? nullptr : &*row;
}

std::vector<std::string> range_rule_names() {
  Table& rules = table();
  const std::lock_guard lock(rules.mutex);
  std::vector<std::string> names;
  std::ranges::transform(rules.rows, std::back_inserter(names), &RangeRuleKind::name);
  return names;
}

std::unique_ptr<RangeRule> make_range_rule(const RangeSpec& spec, const RangeTarget& target) {
  const RangeRuleKind* const kind = find_range_rule(spec.rule);
  if (kind == nullptr) {
    std::string names;
    for (const std::string& name : range_rule_names()) {
      names += " " + name;
    }
    fail("range rule: there is no '", spec.rule, "'; the rules are:", names);
  }
  check(kind->required <= spec.numbers.size() && spec.numbers.size() <= kind->numbers, "range rule: '", to_text(spec),
        "': expected ", kind->required == kind->numbers ? "" : "at most ", kind->numbers,
        " numbers; write for example ", kind->example);
  try {
    return kind->make(spec.numbers, target);
  } catch (const Error& error) {
    fail("range rule: '", to_text(spec), "': ", error.what(), "; write for example ", kind->example);
  }
}

std::string to_text(const RangeSpec& spec) { return to_text(Phrase{spec.rule, spec.numbers}); }

RangeSpec parse_range(std::string_view text) {
  std::vector<Phrase> phrases = phrases_of("range rule", text);
  check(phrases.size() == 1, "range rule: expected a name and its numbers, got '", text, "'");
  RangeSpec spec{std::move(phrases[0].word), std::move(phrases[0].numbers)};
  make_range_rule(spec, {});
  return spec;
}

void show(RangeRule& rule, const MinMax& batch, std::span<const float> values) {
  rule.begin(batch);
  const Slices slices = slice_rows(static_cast<std::int64_t>(values.size()), kValuesPerSlice);
  std::vector<std::vector<double>> collected(static_cast<std::size_t>(slices.count));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    collected[static_cast<std::size_t>(slice)] = rule.collect(
        values.subspan(static_cast<std::size_t>(slices[slice].begin), static_cast<std::size_t>(slices[slice].size())));
  });
  for (const std::vector<double>& slice : collected) {
    rule.merge(slice);
  }
}

MinMax range_of(const RangeSpec& spec, const RangeTarget& target, std::span<const float> values) {
  const MinMax all = kernels::min_max(values);
  if (all.empty() || !spec.is_said() || spec.rule == kMinMaxRule) {
    return all;
  }
  const std::unique_ptr<RangeRule> rule = make_range_rule(spec, target);
  rule->begin(all);
  if (rule->needs() == RangeNeeds::Values) {
    rule->merge(rule->collect(values));
  }
  return rule->observe(rule->initial(), all, 1);
}

}  // namespace detent::quant
