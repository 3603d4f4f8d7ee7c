#include "detent/report/drift/drift_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace detent::report {
namespace {

using nlohmann::json;

json value_json(const evaluation::ValueDrift& value) {
  json row{{"value", value.name},
           {"type", value.are_codes ? "codes" : "reals"},
           {"psi", value.psi},
           {"ks", value.ks},
           {"psi_by_chance", value.chance.stability_index},
           {"ks_by_chance", value.chance.kolmogorov_smirnov},
           {"mean_shift", std::isfinite(value.mean_shift) ? json(value.mean_shift) : json(nullptr)},
           {"unseen", value.unseen},
           {"not_finite", value.not_finite},
           {"state", name_of(value.state)}};
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
