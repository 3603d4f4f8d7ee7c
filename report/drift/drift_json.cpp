#include "detent/report/drift/drift_json.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace detent::report {
namespace {

using nlohmann::json;

/// To six digits: what is stored is no finer.
template <typename Number>
json rounded(const std::vector<Number>& numbers) {
  json list = json::array();
  for (const Number number : numbers) {
    list.push_back(std::stod(fmt::format("{:.6g}", number)));
  }
  return list;
}

json value_json(const evaluation::ValueDrift& value) {
  json row{
      {"value", value.name},
      {"type", value.are_codes ? "codes" : "reals"},
      {"psi", value.psi},
      {"ks", value.ks},
      {"psi_by_chance", value.chance.stability_index},
      {"ks_by_chance", value.chance.kolmogorov_smirnov},
      {"mean_shift", std::isfinite(value.mean_shift) ? json(value.mean_shift) : json(nullptr)},
      {"unseen", value.unseen},
      {"not_finite", value.not_finite},
      {"state", name_of(value.state)},
      {"bins",
       {{"bounds", rounded(value.bounds)}, {"before", rounded(value.shares_before)}, {"now", rounded(value.shares)}}}};
  if (value.are_codes) {
    row["saturated_before"] = value.saturated_before;
    row["saturated"] = value.saturated;
  }
  if (!value.feature.empty()) {
    row["feature"] = value.feature;
  }
  return row;
}

}  // namespace

json to_json(const evaluation::Drift& drift) {
  json values = json::array();
  for (const evaluation::ValueDrift& value : drift.values) {
    values.push_back(value_json(value));
  }
  const evaluation::ValueDrift* const first = drift.first(evaluation::DriftState::Left);
  return {{"examples", drift.examples},
          {"reference_examples", drift.reference_examples},
          {"values", std::move(values)},
          {"first_left", first == nullptr ? json(nullptr) : json(first->name)},
          {"verdict",
           {{"passed", drift.verdict.failures.empty()},
            {"checked", drift.verdict.checked.size()},
            {"bounds", drift.verdict.checked},
            {"failures", drift.verdict.failures}}}};
}

}  // namespace detent::report
