#include "detent/report/evidence/evidence_json.h"

#include <nlohmann/json.hpp>

#include "detent/report/evidence/flips.h"

namespace detent::report {
namespace {

using nlohmann::json;

bool are_classes(const evaluation::ModelEvidence& model) { return model.targets == data::TargetKind::kClasses; }

json slices_json(const evaluation::ModelEvidence& model) {
  json rows = json::array();
  for (const evaluation::SliceScore& slice : model.slices) {
    json row{{"slice", slice.slice}, {"examples", slice.examples}};
    if (are_classes(model)) {
      row["accuracy"] = slice.accuracy();
      row["points"] = 100.0 * (slice.accuracy() - model.accuracy());
    } else {
      row["error"] = slice.error;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

json speed_json(const evaluation::Speed& speed) {
  json rows = json::array();
  for (const evaluation::Throughput& row : speed.throughput) {
    rows.push_back(
        {{"batch", row.batch}, {"examples_per_second", row.examples_per_second}, {"memory_bytes", row.memory_bytes}});
  }
  return {{"latency_ms",
           {{"p50", speed.latency.p50},
            {"p90", speed.latency.p90},
            {"p99", speed.latency.p99},
            {"max", speed.latency.max},
            {"runs", speed.latency.runs}}},
          {"throughput", std::move(rows)},
          {"peak_memory_bytes", speed.peak_memory_bytes}};
}

json model_json(const evaluation::ModelEvidence& model) {
  json modules = json::array();
  for (const evaluation::FloatModule& module : model.float_modules) {
    modules.push_back({{"module", module.module}, {"why", module.why}});
  }
  json result{{"kind", model.kind},
              {"examples", model.examples},
              {"slices", slices_json(model)},
              {"latency_ms", nullptr},
              {"throughput", json::array()},
              {"peak_memory_bytes", nullptr},
              {"file_bytes", model.file_bytes},
              {"parameter_bytes", model.parameter_bytes},
              {"float_modules", std::move(modules)}};
  if (are_classes(model)) {
    const evaluation::Interval interval = evaluation::wilson_interval(model.accuracy(), model.examples);
    result.update({{"accuracy", model.accuracy()},
                   {"interval", {interval.low, interval.high}},
                   {"confusion", model.confusion},
                   {"calibration_error", model.calibration_error}});
  } else {
    result["error"] = model.error;
  }
  if (model.speed) {
    result.update(speed_json(*model.speed));
  }
  return result;
}

json change_json(const evaluation::SliceChange& change) {
  const evaluation::Interval interval = change.interval();
  return {{"accuracy_a", change.accuracy_a()},
          {"accuracy_b", change.accuracy_b()},
          {"points", 100.0 * change.change()},
          {"interval", {100.0 * interval.low, 100.0 * interval.high}}};
}

json error_json(const evaluation::ErrorChange& change) {
  return {{"error_a", change.error_a},
          {"error_b", change.error_b},
          {"change", change.change()},
          {"interval", {change.interval.low, change.interval.high}}};
}

json errors_json(const evaluation::PairEvidence& pair) {
  json result = error_json(*pair.whole_error);
  result["slices"] = json::array();
  for (const evaluation::ErrorChange& slice : pair.slice_errors) {
    json row = error_json(slice);
    row["slice"] = slice.slice;
    row["examples"] = slice.examples;
    result["slices"].push_back(std::move(row));
  }
  return result;
}

json pair_json(const evaluation::PairEvidence& pair, std::size_t most_flips) {
  json result = pair.whole_error ? errors_json(pair) : change_json(pair.whole);
  result["a"] = pair.a;
  result["b"] = pair.b;
  if (pair.whole_error) {
    return result;
  }
  result["mcnemar_p"] = pair.mcnemar_p;
  result["a_only"] = pair.whole.lost;
  result["b_only"] = pair.whole.won;
  result["predictions_changed"] = pair.flips.size();
  result["flips"] = json::array();
  for (const evaluation::Flip& flip : worst_flips(pair.flips, most_flips)) {
    result["flips"].push_back({{"index", flip.index},
                               {"label", flip.label},
                               {"a", flip.a},
                               {"b", flip.b},
                               {"margin_a", flip.margin_a},
                               {"margin_b", flip.margin_b}});
  }
  result["slices"] = json::array();
  for (const evaluation::SliceChange& slice : pair.slices) {
    json row = change_json(slice);
    row["slice"] = slice.slice;
    row["examples"] = slice.examples;
    result["slices"].push_back(std::move(row));
  }
  return result;
}

}  // namespace

json to_json(const evaluation::Evidence& evidence, std::size_t most_flips) {
  json result{{"models", json::object()},
              {"pairs", json::array()},
              {"verdict",
               {{"checked", evidence.verdict.checked.size()},
                {"bounds", evidence.verdict.checked},
                {"failures", evidence.verdict.failures}}}};
  for (const evaluation::ModelEvidence& model : evidence.models) {
    result["models"][model.name] = model_json(model);
  }
  for (const evaluation::PairEvidence& pair : evidence.pairs) {
    result["pairs"].push_back(pair_json(pair, most_flips));
  }
  return result;
}

}  // namespace detent::report
