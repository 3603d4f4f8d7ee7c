#include "detent/quant/kinds/product/weight_rounding.h"

#include "detent/kernels/codes/layer_step_sums.h"
#include "detent/kernels/codes/sign_codes.h"
#include "detent/quant/kinds/product/weight_groups.h"
#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

/// Of a channel's elements those of one group, one behind the other.
void gather(const WeightGroups& groups, std::int64_t g, std::span<const float> channel, std::vector<float>& part) {
  part.clear();
  groups.for_each(g, [&](std::size_t k) { part.push_back(channel[k]); });
}

WeightGroups groups_of_map(const Shape& weight, std::int64_t group) {
  return group > 0 ? WeightGroups(weight, group) : WeightGroups(weight);
}

/// Calls fn(o, first element) for the output channels of slices in parallel.
template <typename Fn>
void for_each_output(const Shape& weight, Fn&& fn) {
  const auto row = static_cast<std::size_t>(weight.row_elements());
  const Slices slices = slice_by_bytes(weight[0], static_cast<std::int64_t>(row * sizeof(float)));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t o = slices[slice].begin; o < slices[slice].end; ++o) {
      fn(static_cast<std::size_t>(o), static_cast<std::size_t>(o) * row);
    }
  });
}

/// Calls fn(m) for each map, in parallel: the functions of learned numbers take their time.
template <typename Fn>
void for_each_map(std::int64_t maps, Fn&& fn) {
  constexpr std::int64_t kMapsPerSlice = 32;
  const Slices slices = slice_rows(maps, kMapsPerSlice);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t m = slices[slice].begin; m < slices[slice].end; ++m) {
      fn(static_cast<std::size_t>(m));
    }
  });
}

/// What one group of one channel adds to its map.
struct Part {
  kernels::StepSums sums;
  std::int64_t count = 0;
};

}  // namespace

LearnedWeightMaps::LearnedWeightMaps(const QuantizerSpec& spec, const Shape& weight)
    : spec_(spec), rule_(make_gradient_rule(spec.gradient)), shape_(weight) {
  if (has_groups(weight, spec)) {
    group_ = std::get<PerGroup>(spec.granularity).size;
    maps_ = weight[0] * WeightGroups(weight, group_).count();
  } else if (!spec.is_per_tensor()) {
    maps_ = weight[0];
  }
}

Tensor LearnedWeightMaps::first_numbers(const Tensor& weight) const {
  const WeightGroups groups = groups_of_map(shape_, group_);
  const std::span<const float> all = weight.data<float>();
  const auto row = static_cast<std::size_t>(shape_.row_elements());
  const auto first_scale = [&](std::span<const float> values) {
    const double mean = kernels::mean_magnitude(values);
    if (mean == 0.0) {
      return 0.0F;
    }
    const ScaleZero map = spec_.map_of(range_of(spec_.range, spec_.range_target(), values));
    return spec_.range.is_said() ? map.scale : rule_->first_scale(map, mean, spec_.codes());
  };
  std::vector<float> scales;
  std::vector<float> part;
  for (std::size_t o = 0; maps_ > 1 && o < static_cast<std::size_t>(shape_[0]); ++o) {
    for (std::int64_t g = 0; g < groups.count(); ++g) {
      gather(groups, g, all.subspan(o * row, row), part);
      scales.push_back(first_scale(part));
    }
  }
  if (maps_ == 1) {
    scales.push_back(first_scale(all));
  }
  double sum = 0.0;
  std::int64_t count = 0;
  for (const float scale : scales) {
    sum += double{scale};
    count += scale > 0.0F ? 1 : 0;
  }
  const float rest =
      count > 0 ? static_cast<float>(sum / static_cast<double>(count)) : spec_.map_of({-1.0F, 1.0F}).scale;
  std::vector<float> numbers;
  for (const float scale : scales) {
    std::ranges::copy(rule_->numbers_of({scale > 0.0F ? scale : rest, 0}, spec_.codes()), std::back_inserter(numbers));
  }
  return Tensor::from(numbers, {static_cast<std::int64_t>(numbers.size())});
}

std::vector<float> LearnedWeightMaps::scales(std::span<const float> numbers) const {
  const std::size_t each = rule_->learned();
  check(numbers.size() == each * static_cast<std::size_t>(maps_), "weights: expected ", maps_,
        " learned maps, got numbers of ", numbers.size() / each);
  std::vector<float> scales(static_cast<std::size_t>(maps_));
  for_each_map(maps_, [&](std::size_t m) {
    scales[m] = rule_->map_of(numbers.subspan(m * each, each), 0, spec_.codes()).scale;
  });
  return scales;
}

bool may_clip(const QuantizerSpec& spec) {
  return (spec.range.is_said() && spec.range.rule != kMinMaxRule) || make_gradient_rule(spec.gradient)->learned() > 0;
}

std::vector<float> WeightRounding::run(Tensor& dw, const QParams& map, std::span<const float> factor) const {
  const Shape& shape = weight.shape();
  const WeightGroups groups = groups_of_map(shape, map.group);
  const auto row = static_cast<std::size_t>(shape.row_elements());
  const auto group_count = static_cast<std::size_t>(groups.count());
  const auto outputs = static_cast<std::size_t>(shape[0]);
  const auto map_at = [&](std::size_t o, std::size_t g) { return map.is_per_channel() ? o * group_count + g : 0; };
  std::vector<Part> parts(outputs * group_count);
  for_each_output(shape, [&](std::size_t o, std::size_t first) {
    const std::span<const float> w = weight.data<float>().subspan(first, row);
    const std::span<float> g_row = dw.data<float>().subspan(first, row);
    std::vector<float> w_part, g_part;
    std::vector<std::int8_t> codes;
    std::vector<std::uint8_t> mask;
    if (learned.empty()) {
      codes.resize(row);
      mask.resize(static_cast<std::size_t>(kernels::mask_bytes(static_cast<std::int64_t>(row))));
    }
    for (std::size_t g = 0; g < group_count; ++g) {
      const auto group = static_cast<std::int64_t>(g);
      const ScaleZero at = map.at(map_at(o, g));
      if (group_count > 1) {
        gather(groups, group, w, w_part);
        gather(groups, group, g_row, g_part);
      }
      const std::span<const float> values = group_count > 1 ? std::span<const float>(w_part) : w;
      const std::span<float> gradient = group_count > 1 ? std::span(g_part) : g_row;
      if (learned.empty()) {
        kernels::quantize(values, at, map.codes, codes.data(), mask.data());
        kernels::apply_mask(std::span<const float>(gradient), mask.data(), gradient.data());
      } else {
        const kernels::StepSums sums = kernels::step_sums_and_pass(gradient, values, at, map.codes);
        parts[o * group_count + g] = {factor.empty() ? sums : sums.divided_by(double{factor[o]}),
                                      static_cast<std::int64_t>(values.size())};
      }
      if (group_count > 1) {
        groups.for_each(group, [&, next = std::size_t{0}](std::size_t k) mutable { g_row[k] = g_part[next++]; });
      }
    }
  });
  std::vector<float> gradients;
  const std::size_t each = rule->learned();
  if (learned.empty()) {
    return gradients;
  }
  std::vector<Part> of_map(map.scale.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Part& total = of_map[map_at(i / group_count, i % group_count)];
    total.sums.include(parts[i].sums);
    total.count += parts[i].count;
  }
  gradients.resize(of_map.size() * each);
  for_each_map(static_cast<std::int64_t>(of_map.size()), [&](std::size_t m) {
    const std::span<const float> numbers = std::span(learned).subspan(m * each, each);
    if (rule->map_of(numbers, 0, map.codes).scale == map.scale[m]) {  // else it was raised, and is not in force
      std::ranges::transform(rule->gradient(numbers, 0, map.codes, of_map[m].sums, of_map[m].count),
                             gradients.begin() + static_cast<std::ptrdiff_t>(m * each),
                             [](double value) { return static_cast<float>(value); });
    }
  });
  return gradients;
}

void WeightRounding::through_change(Tensor& dw) const {
  if (layer_weight.defined()) {
    rule->through_change(layer_weight.data<float>(), dw.data<float>());
  }
}

}  // namespace detent::quant
