#include "detent/evaluation/allocate.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "detent/cli/console.h"
#include "detent/cli/sensitivity.h"
#include "detent/core/utf8.h"
#include "detent/io/tensor_file.h"
#include "detent/recipes/recipe.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_table.h"
#include "detent/report/sensitivity_table.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;
using evaluation::Allocation;
using evaluation::Sensitivity;

// A number >= 0 at the beginning of `text`; the rest is its unit. nullopt: there is none.
struct Quantity {
  double number = 0.0;
  std::string unit = {};
};
std::optional<Quantity> quantity_of(const std::string& text) {
  Quantity quantity;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), quantity.number);
  if (error != std::errc() || !std::isfinite(quantity.number) || quantity.number < 0.0) {
    return std::nullopt;
  }
  quantity.unit = text.substr(static_cast<std::size_t>(end - text.data()));
  return quantity;
}

/// A size in bytes, or a share of the weights in float.
struct Budget {
  double number = 0.0;
  bool is_share = false;

  std::int64_t bytes(std::int64_t float_bytes) const {
    return static_cast<std::int64_t>(is_share ? number * static_cast<double>(float_bytes) : number);
  }
};

Budget budget_of(const std::string& text) {
  static const std::vector<std::pair<std::string_view, double>> units{
      {"", 1.0}, {"B", 1.0}, {"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"KiB", 1024.0}, {"MiB", 1024.0 * 1024.0}};
  if (const std::optional<Quantity> quantity = quantity_of(text)) {
    if (quantity->unit == "%") {
      return {quantity->number / 100.0, true};
    }
    for (const auto& [unit, factor] : units) {
      if (unit == quantity->unit && quantity->number * factor < 1e15) {
        return {quantity->number * factor, false};
      }
    }
  }
  fail("--budget: expected a size or a share of the weights in float, got '", text,
       "'; write --budget 30%, 120KB or 1.5MiB");
}

double points_of(const std::string& text) {
  const std::optional<Quantity> quantity = quantity_of(text);
  check(quantity && quantity->unit.empty() && quantity->number <= 100.0,
        "--max-drop: expected points of accuracy, or of R2, from 0 to 100, got '", text, "'; write --max-drop 0.5");
  return quantity->number;
}

/// What --budget or --max-drop asks for, of which there is one.
struct Goal {
  std::optional<Budget> budget = {};
  double max_drop = 0.0;  ///< in points
  evaluation::Ends ends = evaluation::Ends::AsOthers;

  Allocation reach(const Sensitivity& sensitivity) const {
    if (budget) {
      std::int64_t float_bytes = 0;
      for (const evaluation::LayerSensitivity& layer : sensitivity.layers) {
        float_bytes += layer.size.float_bytes();
      }
      return evaluation::allocate_by_size(sensitivity, budget->bytes(float_bytes), ends);
    }
    // 0.3 points of 1000 examples are 3, although 0.3 / 100 * 1000 is a little less in binary.
    const double drop = max_drop * static_cast<double>(sensitivity.whole()) / 100.0;
    return evaluation::allocate_by_drop(sensitivity, static_cast<std::int64_t>(drop + 1e-6), ends);
  }
};

Goal goal_of(const Arguments& arguments) {
  const auto budget = arguments.text("budget");
  const auto max_drop = arguments.text("max-drop");
  check(budget.has_value() != max_drop.has_value(),
        "allocate: expected one of --budget and --max-drop; write --budget 30% or --max-drop 0.5");
  Goal goal{.ends = arguments.has("keep-ends") ? evaluation::Ends::EightBits : evaluation::Ends::AsOthers};
  if (budget) {
    goal.budget = budget_of(*budget);
  } else {
    goal.max_drop = points_of(*max_drop);
  }
  return goal;
}

// How each layer is quantized: names, and weights.
std::vector<std::pair<std::string, quant::QConfig>> layers_of(const Sensitivity& sensitivity,
                                                              const Allocation& allocation) {
  std::vector<std::pair<std::string, quant::QConfig>> layers;
  for (std::size_t i = 0; i < sensitivity.layers.size(); ++i) {
    const evaluation::LayerSensitivity& layer = sensitivity.layers[i];
    for (const std::string& name : layer.names) {
      layers.emplace_back(name, sensitivity.settings.config(layer.points[allocation.points[i]].bits));
    }
  }
  return layers;
}

quant::QConfigMapping mapping_of(const Sensitivity& sensitivity, const Allocation& allocation) {
  quant::QConfigMapping mapping(sensitivity.settings.config(8));
  for (const auto& [name, config] : layers_of(sensitivity, allocation)) {
    mapping.set_name(name, config);
  }
  return mapping;
}

// A recipe that makes the model again; `folder` is where it will lie.
std::string recipe_of(const Sensitivity& sensitivity, const Allocation& allocation, const std::string& model,
                      const std::string& folder) {
  const fs::path path = fs::path(model).is_absolute() ? fs::path(model) : fs::proximate(model, folder);
  std::string text = fmt::format(
      "# Bits a layer by measured sensitivity: {} bytes of weights, {:.1f} % of float\n"
      "[model]\nfile = {}\n\n[quantize]\nmethod = \"static\"\n",
      report::with_separators(allocation.bytes),
      100.0 * static_cast<double>(allocation.bytes) / static_cast<double>(allocation.float_bytes),
      recipes::quoted(valid_utf8(path.string())));
  text += fmt::format("activations = {}\ncalibration = {}\n\n[quantize.layers]\n",
                      recipes::quoted(quant::to_text(sensitivity.settings.config(8).activation)),
                      sensitivity.trial.calibration);
  for (const auto& [name, config] : layers_of(sensitivity, allocation)) {
    text += fmt::format("{} = {}\n", recipes::quoted(name), recipes::quoted(quant::to_text(config.weight)));
  }
  return text;
}

int allocate(const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  const Goal goal = goal_of(arguments);
  const evaluation::SensitivitySettings settings = sensitivity_settings(arguments);
  ConsoleReporter reporter(is_json);
  Sensitivity sensitivity;
  Allocation allocation;
  evaluation::Score measured;
  in_pool(arguments, [&] {
    const evaluation::Trial trial = open_trial(arguments, reporter);
    sensitivity = evaluation::measure_sensitivity(trial, settings, reporter);
    allocation = goal.reach(sensitivity);
    measured = trial.score(trial.quantize(mapping_of(sensitivity, allocation)));
  });
  const std::optional<std::string> out = arguments.text("out");
  const std::string folder = out ? fs::path(*out).parent_path().string() : "";
  const std::string recipe =
      recipe_of(sensitivity, allocation, arguments.positionals()[0], folder.empty() ? "." : folder);
  if (out) {
    write_text_file(*out, recipe);
  }
  if (is_json) {
    print(report::json_text({{"sensitivity", report::to_json(sensitivity)},
                             {"allocation", report::to_json(sensitivity, allocation, measured)},
                             {"recipe", recipe}}));
  } else {
    print(report::to_text(sensitivity, allocation, measured) + (out ? "recipe in " + *out + "\n" : "\n" + recipe));
  }
  return 0;
}

}  // namespace

Command allocate_command() {
  std::vector<OptionSpec> options = sensitivity_options();
  options.insert(
      options.begin(),
      {{"budget", "SIZE", "The least loss at this size of the weights: 30% of float, 120KB, 1.5MiB"},
       {"max-drop", "POINTS", "The least size at which layers together lose so many points of accuracy, or R2"},
       {"keep-ends", "", "Keep the first and the last layer at 8 bits"},
       {"o,out", "FILE.toml", "Write the recipe there (default: to standard output)"}});
  return {
      .spec = {.name = "allocate",
               .positionals = "FP32.h5",
               .min_positionals = 1,
               .max_positionals = 1,
               .summary = "Bits for each layer's weights by measured sensitivity, as a recipe",
               .example = "detent allocate runs/mnist-cnn/fp32.h5 --budget 15% -o mixed.toml && detent run mixed.toml\n"
                          "detent allocate fp32.h5 --max-drop 0.5 --keep-ends",
               .options = std::move(options)},
      .run = allocate};
}

}  // namespace detent::cli
