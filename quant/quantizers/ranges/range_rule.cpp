#include "detent/quant/quantizers/ranges/range_rule.h"

#include <algorithm>
#include <deque>
#include <mutex>

#include "detent/core/text/nearest.h"
#include "detent/core/threads/parallel.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/quantizer_spec.h"
#include "detent/quant/quantizers/ranges/rules.h"
#include "detent/quant/quantizers/words.h"

namespace detent::quant {
namespace {

constexpr std::int64_t kValuesPerSlice = 1 << 16;

/// Of a large batch, rules that may_sample are shown a sample: the first values of every kPeriod, a
/// prime, so that each channel has its share. A value of the sample stands for as many as there are for it.
constexpr std::int64_t kPeriod = 1031;
constexpr std::int64_t kPeriodsPerSlice = 512;
std::int64_t values_per_sampled(std::int64_t values) {
  constexpr std::int64_t kEnough = 1 << 15;
  constexpr std::int64_t kMost = 32;
  std::int64_t per_sampled = 1;
  while (per_sampled < kMost && values > per_sampled * kEnough) {
    per_sampled *= 2;
  }
  return per_sampled;
}

/// What the rule says of the sample of some periods. The extremes of the batch are in the first.
std::vector<double> collect_sample(const RangeRule& rule, const MinMax& batch, std::span<const float> values,
                                   Range periods, std::int64_t values_per_sampled) {
  const auto block_size = static_cast<std::size_t>(kPeriod / values_per_sampled);
  std::vector<float> sample;
  sample.reserve(static_cast<std::size_t>(periods.size()) * block_size + 2);
  if (periods.begin == 0) {
    sample = {batch.min, batch.max};
  }
  for (std::int64_t period = periods.begin; period < periods.end; ++period) {
    const auto begin = static_cast<std::size_t>(period * kPeriod);
    const auto block = values.subspan(begin, std::min(block_size, values.size() - begin));
    sample.insert(sample.end(), block.begin(), block.end());
  }
  std::vector<double> collected = rule.collect(sample);
  std::ranges::for_each(collected, [=](double& count) { count *= static_cast<double>(values_per_sampled); });
  return collected;
}

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
    const std::vector<std::string> known = range_rule_names();
    std::string names;
    for (const std::string& name : known) {
      names += " " + name;
    }
    fail("range rule: there is no '", spec.rule, "'", did_you_mean(spec.rule, known, ";"), " the rules are:", names);
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
  const auto size = static_cast<std::int64_t>(values.size());
  const std::int64_t per_sampled = rule.may_sample() ? values_per_sampled(size) : 1;
  const bool is_sampled = per_sampled > 1;
  const Slices slices =
      is_sampled ? slice_rows((size + kPeriod - 1) / kPeriod, kPeriodsPerSlice) : slice_rows(size, kValuesPerSlice);
  std::vector<std::vector<double>> collected(static_cast<std::size_t>(slices.count));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range rows = slices[slice];
    collected[static_cast<std::size_t>(slice)] =
        is_sampled
            ? collect_sample(rule, batch, values, rows, per_sampled)
            : rule.collect(values.subspan(static_cast<std::size_t>(rows.begin), static_cast<std::size_t>(rows.size())));
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
