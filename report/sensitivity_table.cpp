#include "detent/report/sensitivity_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/evaluation/targets/target_loss.h"
#include "detent/report/metrics_table.h"
#include "detent/report/targets/score_text.h"

namespace detent::report {
namespace {

using evaluation::LayerSensitivity;
using evaluation::Score;
using evaluation::Sensitivity;
using evaluation::SensitivityPoint;

std::size_t name_width(const Sensitivity& sensitivity) {
  std::size_t width = 5;
  for (const LayerSensitivity& layer : sensitivity.layers) {
    width = std::max(width, layer.names.front().size());
  }
  return width;
}

std::string what_of(const Sensitivity& sensitivity) {
  switch (sensitivity.settings.what) {
    case evaluation::QuantizedPart::Weights:
      return "weights (activations on 8)";
    case evaluation::QuantizedPart::Activations:
      return "activations (weights on 8)";
    case evaluation::QuantizedPart::Both:
      return "weights and activations";
  }
  return {};
}

bool are_values(const Sensitivity& sensitivity) { return sensitivity.targets() == data::TargetKind::kValues; }

// What stands in brackets behind the loss of a model.
std::string in_brackets(const Score& score) {
  return score.fit.targets == data::TargetKind::kValues ? fmt::format("({})", score_cell(score.fit))
                                                        : fmt::format("({})", score.predictions_changed);
}

std::string float_line(const Sensitivity& sensitivity) {
  return fmt::format("float: loss {:.5f}, {}, of {} training examples held out from calibration\n",
                     sensitivity.float_score.loss, score_text(sensitivity.float_score.fit),
                     with_separators(sensitivity.trial.images));
}

nlohmann::json json_of(const Sensitivity& sensitivity, const Score& score) {
  nlohmann::json json{{"loss", score.loss}, {"loss_increase", sensitivity.loss_increase(score)}};
  if (are_values(sensitivity)) {
    json["r2"] = score.fit.value();
  } else {
    json["accuracy"] = score.fit.value();
    json["predictions_changed"] = score.predictions_changed;
  }
  return json;
}

// What was lost by a drop: "0.50 points", of values "0.0050 of R2".
std::string lost_text(const Sensitivity& sensitivity, std::int64_t drop) {
  const double share = sensitivity.share(drop);
  return are_values(sensitivity) ? fmt::format("{:.4f} of R2", share) : fmt::format("{:.2f} points", 100.0 * share);
}

std::string measured_line(const Sensitivity& sensitivity, const Score& measured) {
  const std::string changed =
      are_values(sensitivity) ? std::string() : fmt::format("{} predictions changed, ", measured.predictions_changed);
  return fmt::format("measured:  loss {:+.5f}, {} lost, {}the whole model on codes\n",
                     sensitivity.loss_increase(measured), lost_text(sensitivity, sensitivity.drop(measured)), changed);
}

}  // namespace

std::string to_text(const Sensitivity& sensitivity) {
  const std::size_t width = name_width(sensitivity);
  std::string text = fmt::format(
      "increase of the loss with one layer's {} on so many bits, the others in float\n"
      "(in brackets: {})\n\n",
      what_of(sensitivity), are_values(sensitivity) ? "R2" : "predictions changed");
  text += fmt::format("{:<{}}{:>12}", "layer", width, "parameters");
  for (const int bits : sensitivity.settings.bits) {
    text += fmt::format("{:>18}", fmt::format("{} bits", bits));
  }
  text += "\n" + std::string(width + 12 + 18 * sensitivity.settings.bits.size(), '-') + "\n";
  for (const LayerSensitivity& layer : sensitivity.layers) {
    text += fmt::format("{:<{}}{:>12}", layer.names.front(), width, with_separators(layer.size.parameters()));
    for (const SensitivityPoint& point : layer.points) {
      const std::string brackets = in_brackets(point.score);
      text += fmt::format("{:>+{}.2g}{:>{}}", sensitivity.loss_increase(point.score), are_values(sensitivity) ? 9 : 11,
                          brackets, are_values(sensitivity) ? 9 : 7);
    }
    text += "\n";
  }
  return text + float_line(sensitivity);
}

nlohmann::json to_json(const Sensitivity& sensitivity) {
  nlohmann::json layers = nlohmann::json::array();
  for (const LayerSensitivity& layer : sensitivity.layers) {
    nlohmann::json points = nlohmann::json::array();
    for (const SensitivityPoint& point : layer.points) {
      nlohmann::json row = json_of(sensitivity, point.score);
      row["bits"] = point.bits;
      row["bytes"] = layer.size.bytes(point.bits);
      points.push_back(std::move(row));
    }
    layers.push_back({{"name", layer.names.front()},
                      {"nodes", layer.names},
                      {"kind", layer.kind},
                      {"parameters", layer.size.parameters()},
                      {"float_bytes", layer.size.float_bytes()},
                      {"points", std::move(points)}});
  }
  return {{"targets", std::string(data::name_of(sensitivity.targets()))},
          {"loss", evaluation::loss_name(sensitivity.targets())},
          {"what", name_in(evaluation::quantized_part_names(), sensitivity.settings.what)},
          {"images", sensitivity.trial.images},
          {"calibration", sensitivity.trial.calibration},
          {"seed", sensitivity.trial.seed},
          {"float", json_of(sensitivity, sensitivity.float_score)},
          {"layers", std::move(layers)}};
}

BarChart chart_of(const Sensitivity& sensitivity) {
  BarChart chart{.title = fmt::format("One layer's {} on few bits", what_of(sensitivity)),
                 .axis = fmt::format("increase of the loss ({})", evaluation::loss_name(sensitivity.targets()))};
  for (const int bits : sensitivity.settings.bits) {
    chart.series.push_back(fmt::format("{} bits", bits));
  }
  for (const LayerSensitivity& layer : sensitivity.layers) {
    chart.groups.push_back(layer.names.front());
    chart.values.emplace_back();
    for (const SensitivityPoint& point : layer.points) {
      chart.values.back().push_back(sensitivity.loss_increase(point.score));
    }
  }
  return chart;
}

std::string to_text(const Sensitivity& sensitivity, const evaluation::Allocation& allocation, const Score& measured) {
  const std::size_t width = name_width(sensitivity);
  std::string text =
      fmt::format("{:<{}}{:>12}{:>6}{:>12}{:>12}{:>15}{:>13}\n", "layer", width, "parameters", "bits", "bytes",
                  "of float", "loss increase", are_values(sensitivity) ? "R2 lost" : "points lost");
  text += std::string(width + 70, '-') + "\n";
  for (std::size_t i = 0; i < sensitivity.layers.size(); ++i) {
    const LayerSensitivity& layer = sensitivity.layers[i];
    const SensitivityPoint& point = layer.points[allocation.points[i]];
    const std::int64_t bytes = layer.size.bytes(point.bits);
    const double lost = sensitivity.share(sensitivity.drop(point.score));
    text += fmt::format("{:<{}}{:>12}{:>6}{:>12}{:>10.1f} %{:>+15.2g}{:>13}\n", layer.names.front(), width,
                        with_separators(layer.size.parameters()), point.bits, with_separators(bytes),
                        100.0 * static_cast<double>(bytes) / static_cast<double>(layer.size.float_bytes()),
                        sensitivity.loss_increase(point.score),
                        are_values(sensitivity) ? fmt::format("{:.4f}", lost) : fmt::format("{:.2f}", 100.0 * lost));
  }
  text += fmt::format("{} bytes, {:.1f} % of float (bits * weights / 8, and 4 bytes a scale and a bias); {}\n",
                      with_separators(allocation.bytes),
                      100.0 * static_cast<double>(allocation.bytes) / static_cast<double>(allocation.float_bytes),
                      allocation.is_exact ? "no choice is better if effects add up" : "chosen greedily");
  text += float_line(sensitivity);
  text += fmt::format("predicted: loss {:+.5f}, {} lost\n", allocation.loss_increase,
                      lost_text(sensitivity, allocation.drop));
  return text + measured_line(sensitivity, measured);
}

nlohmann::json to_json(const Sensitivity& sensitivity, const evaluation::Allocation& allocation,
                       const Score& measured) {
  nlohmann::json bits;
  for (std::size_t i = 0; i < sensitivity.layers.size(); ++i) {
    const LayerSensitivity& layer = sensitivity.layers[i];
    bits[layer.names.front()] = layer.points[allocation.points[i]].bits;
  }
  return {{"bits", std::move(bits)},
          {"bytes", allocation.bytes},
          {"float_bytes", allocation.float_bytes},
          {"is_exact", allocation.is_exact},
          {"predicted",
           {{"loss_increase", allocation.loss_increase},
            {are_values(sensitivity) ? "r2_lost" : "accuracy_lost", sensitivity.share(allocation.drop)}}},
          {"measured", json_of(sensitivity, measured)}};
}

}  // namespace detent::report
