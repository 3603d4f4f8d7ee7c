#include "detent/report/portrait_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace detent::report {
namespace {

constexpr double kLeastDb = -100.0;

nlohmann::json to_json(const evaluation::ValueCounts& values) {
  return {{"lower", values.lower},
          {"width", values.width},
          {"counts", values.counts},
          {"total", values.total},
          {"zeros", values.zeros}};
}

nlohmann::json to_json(const evaluation::CodeCounts& weights) {
  return {{"qmin", weights.codes.qmin},         {"qmax", weights.codes.qmax},
          {"codes_a_bar", weights.codes_a_bar}, {"counts", weights.counts},
          {"granularity", weights.granularity}, {"scale", {weights.smallest_scale, weights.largest_scale}}};
}

nlohmann::json grid_json(const QParams* grid) {
  if (grid == nullptr || grid->is_per_channel() || grid->scale.size() != 1) {
    return nullptr;
  }
  const ScaleZero map = grid->tensor();
  return {{"scale", map.scale}, {"zero_point", map.zero_point}, {"qmin", grid->codes.qmin}, {"qmax", grid->codes.qmax}};
}

}  // namespace

nlohmann::json layers_json(const evaluation::Portrait& portrait) {
  nlohmann::json rows = nlohmann::json::array();
  for (const evaluation::LayerPortrait& layer : portrait.layers) {
    const evaluation::LayerDifference& difference = layer.difference;
    const bool is_equal = std::isinf(difference.snr) && difference.snr > 0.0;
    rows.push_back({{"name", difference.name},
                    {"kind", layer.kind},
                    {"type", difference.type_b},
                    {"snr_db", is_equal ? nlohmann::json() : nlohmann::json(std::max(difference.snr, kLeastDb))},
                    {"mean_difference", difference.mean},
                    {"largest_difference", difference.largest},
                    {"cosine", difference.cosine},
                    {"saturated", difference.saturated},
                    {"range_float", {difference.range_a.min, difference.range_a.max}},
                    {"range_int8", {difference.range_b.min, difference.range_b.max}},
                    {"values", to_json(layer.values)},
                    {"grid", grid_json(layer.grid.get())},
                    {"weights", layer.weights ? to_json(*layer.weights) : nlohmann::json(nullptr)}});
  }
  return {{"examples", portrait.examples},
          {"against", portrait.is_against_float ? "float" : "int8"},
          {"rows", std::move(rows)}};
}

nlohmann::json model_json(const evaluation::Portrait& portrait) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const evaluation::DrawnNode& node : portrait.model) {
    const std::span<const std::int64_t> shape = node.shape.extents();
    nodes.push_back({{"name", node.name},
                     {"kind", node.kind},
                     {"shape", std::vector<std::int64_t>(shape.begin(), shape.end())},
                     {"type", node.type},
                     {"codes", node.is_codes},
                     {"inputs", node.inputs},
                     {"parameters", node.parameters},
                     {"multiply_adds", node.multiply_adds},
                     {"weight_bits", node.weight_bits},
                     {"note", node.note}});
  }
  return {{"nodes", std::move(nodes)}};
}

}  // namespace detent::report
