#include "detent/evaluation/drift/monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "detent/evaluation/drift/value_tally.h"

namespace detent::evaluation {
namespace {

// Stored shares are of 65535.
constexpr double kMargin = 1e-4;

/// How many values of a place were compared.
std::int64_t values_of(const WatchedValue& place, std::int64_t examples) {
  const std::int64_t all = std::max<std::int64_t>(1, place.an_example * examples);
  return place.are_codes ? all : std::min(all, kSampledValues);
}

/// Throws Error unless every distribution of `known` is of a value of the model.
void check_places(const std::map<std::string, Distribution>& known, const std::vector<WatchedValue>& places,
                  bool are_codes) {
  for (const auto& [name, distribution] : known) {
    const bool is_there = std::ranges::any_of(places, [&, wanted = &name](const WatchedValue& place) {
      return place.are_codes == are_codes && place.name == *wanted;
    });
    check(is_there, "distributions: '", name, "' is no ", are_codes ? "value of codes" : "real value",
          " of the model: they are of another one");
  }
}

ValueDrift compare(const WatchedValue& place, const ModelDistributions& reference, const ModelDistributions& live) {
  const Distribution& before = (place.are_codes ? reference.codes : reference.reals).at(place.name);
  const auto& all_now = place.are_codes ? live.codes : live.reals;
  const auto found = all_now.find(place.name);
  const Distribution& now = found == all_now.end() ? before : found->second;  // if no number is finite
  const auto not_finite = live.not_finite.find(place.name);
  return {.name = place.name,
          .feature = {},
          .are_codes = place.are_codes,
          .psi = stability_index(before, now),
          .ks = kolmogorov_smirnov(before, now),
          .mean_shift = mean_shift(before, now),
          .unseen = unseen_share(before, now),
          .saturated_before = before.saturated,
          .saturated = now.saturated,
          .not_finite = not_finite == live.not_finite.end() ? 0 : not_finite->second,
          .chance = by_chance(before, now, values_of(place, reference.examples), values_of(place, live.examples)),
          .state = DriftState::Stable,
          .bounds = before.bounds,
          .shares_before = before.shares,
          .shares = now.shares};
}

/// Sets the value's state; what it misses, "" if nothing.
std::string judge(const DriftBounds& bounds, ValueDrift& value) {
  std::string missed;
  const auto at_most = [&](const char* what, double bound, double got) {
    if (!(got <= bound + kMargin)) {
      missed += fmt::format("{}{}: expected <= {:.4g}, got {:.4g}", missed.empty() ? "" : "; ", what, bound, got);
    }
  };
  at_most("psi", std::max(bounds.max_psi, value.chance.stability_index), value.psi);
  if (bounds.max_ks) {
    at_most("ks", std::max(*bounds.max_ks, value.chance.kolmogorov_smirnov), value.ks);
  }
  if (bounds.max_saturation && value.are_codes) {
    at_most("saturation", value.saturated_before + *bounds.max_saturation, value.saturated);
  }
  if (bounds.max_mean_shift) {
    at_most("mean shift", *bounds.max_mean_shift, std::abs(value.mean_shift));
  }
  if (value.not_finite > 0) {
    missed += fmt::format("{}{} values are not finite", missed.empty() ? "" : "; ", value.not_finite);
  }
  const bool has_moved = value.psi > std::max(bounds.moved, value.chance.stability_index) + kMargin;
  value.state = !missed.empty() ? DriftState::Left : has_moved ? DriftState::Moved : DriftState::Stable;
  return missed;
}

std::vector<std::string> texts_of(const DriftBounds& bounds) {
  std::vector<std::string> texts{fmt::format("psi <= {:g}", bounds.max_psi)};
  if (bounds.max_ks) {
    texts.push_back(fmt::format("ks <= {:g}", *bounds.max_ks));
  }
  if (bounds.max_saturation) {
    texts.push_back(fmt::format("saturation <= before + {:g}", *bounds.max_saturation));
  }
  if (bounds.max_mean_shift) {
    texts.push_back(fmt::format("mean shift <= {:g} deviations", *bounds.max_mean_shift));
  }
  return texts;
}

}  // namespace

std::string_view name_of(DriftState state) {
  constexpr std::array<std::string_view, 3> kNames{"stable", "moved", "left its range"};
  return kNames[static_cast<std::size_t>(state)];
}

const ValueDrift* Drift::first(DriftState state) const {
  const auto found = std::ranges::find(values, state, &ValueDrift::state);
  return found == values.end() ? nullptr : &*found;
}

Drift drift_of(const runtime::Model& model, const ModelDistributions& reference, const data::Dataset& live,
               const data::Normalization& normalization, const std::vector<std::string>& features,
               const DriftBounds& bounds, Reporter& reporter) {
  const std::vector<WatchedValue> places = watched_values(model);
  check(!places.empty(), "monitor: expected a model of one input of real numbers");
  check_places(reference.codes, places, true);
  check_places(reference.reals, places, false);
  const ModelDistributions seen = distributions_of(model, live, normalization, reporter, &reference);
  Drift drift{.examples = seen.examples, .reference_examples = reference.examples};
  drift.verdict.checked = texts_of(bounds);
  for (const WatchedValue& place : places) {
    if (!(place.are_codes ? reference.codes : reference.reals).contains(place.name)) {
      continue;
    }
    ValueDrift value = compare(place, reference, seen);
    const auto column = static_cast<std::size_t>(std::max<std::int64_t>(place.column, 0));
    if (place.column >= 0 && column < features.size()) {
      value.feature = features[column];
    }
    const std::string missed = judge(bounds, value);
    if (!missed.empty()) {
      drift.verdict.failures.push_back(
          fmt::format("{}{}: {}", value.name, value.feature.empty() ? "" : " '" + value.feature + "'", missed));
    }
    drift.values.push_back(std::move(value));
  }
  return drift;
}

}  // namespace detent::evaluation
