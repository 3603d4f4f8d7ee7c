#include "detent/quant/kinds/qat_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

using nlohmann::json;

// Files call the two oldest rules and granularities by names with an underscore, and keep the constant of the moving
// average apart.
constexpr std::string_view kMinMaxName = "min_max";
constexpr std::string_view kMovingAverageName = "moving_average";
// Of a map that is learned from the first batch on.
constexpr std::string_view kNoObserver = "none";

std::string with(std::string text, char from, char to) {
  std::ranges::replace(text, from, to);
  return text;
}

float constant_of(const RangeSpec& range) {
  return static_cast<float>(range.numbers.empty() ? kMovingAverageConstant : range.numbers[0]);
}

bool learns(const QuantizerSpec& config) { return make_gradient_rule(config.gradient)->learned() > 0; }

RangeSpec moving_average(float constant) {
  RangeSpec range{std::string(kMovingAverageRule), {}};
  if (constant != constant_of(range)) {
    range.numbers = {double{constant}};
  }
  make_range_rule(range, {});
  return range;
}

GradientSpec gradient_from(OptionReader& reader) {
  const std::string gradient = reader.text("gradient", "");
  return gradient.empty() ? GradientSpec{} : parse_gradient(gradient);
}

void write_gradient(const QuantizerSpec& config, json& options) {
  if (!config.gradient.rule.empty()) {
    options["gradient"] = to_text(config.gradient);
  }
}

std::string map_from(OptionReader& reader) {
  std::string map = reader.text("map", "");
  check(map.empty() || is_map_rule(map), "quantizer: map: there is no rule called '", map, "'; register it first");
  return map;
}

}  // namespace

json to_json(const QuantizerSpec& config, FakeQuant::State state) {
  const RangeSpec range = config.range.or_else(kMovingAverageRule);
  json options{{"bits", config.grid.bits}, {"state", name_of(state)}};
  if (!config.range.is_said() && learns(config)) {
    options["observer"] = kNoObserver;
  } else if (range.rule == kMinMaxRule || range.rule == kMovingAverageRule) {
    options["observer"] = range.rule == kMinMaxRule ? kMinMaxName : kMovingAverageName;
    options["constant"] = constant_of(range);
  } else {
    options["observer"] = to_text(range);
  }
  if (!config.map.empty()) {
    options["map"] = config.map;
  }
  write_gradient(config, options);
  return options;
}

ActivationOptions activation_options_from_json(const json& options) {
  OptionReader reader("activation quantizer", options);
  ActivationOptions read;
  read.config.grid.bits = static_cast<int>(reader.integer("bits", 8));
  const std::string observer = reader.text("observer", kMovingAverageName);
  const auto constant = static_cast<float>(reader.real("constant", kMovingAverageConstant));
  read.config.range = observer == kNoObserver          ? RangeSpec{}
                      : observer == kMinMaxName        ? RangeSpec{std::string(kMinMaxRule), {}}
                      : observer == kMovingAverageName ? moving_average(constant)
                                                       : parse_range(observer);
  read.config.map = map_from(reader);
  read.config.gradient = gradient_from(reader);
  read.state = fake_quant_state_from_name(reader.text("state", name_of(read.state)));
  reader.finish();
  QConfig{.activation = read.config}.validate();
  return read;
}

json to_json(const QatOptions& options) {
  const QConfig& config = options.qconfig;
  json weight{{"bits", config.weight.grid.bits}, {"granularity", with(to_text(config.weight.granularity), '-', '_')}};
  if (config.weight.grid.is_ternary) {
    weight["ternary"] = true;
  }
  if (config.weight.range.is_said()) {
    weight["range"] = to_text(config.weight.range);
  }
  if (!config.weight.map.empty()) {
    weight["map"] = config.weight.map;
  }
  write_gradient(config.weight, weight);
  return {{"weight", weight},
          {"activation", to_json(config.activation, options.state)},
          {"relu", options.relu},
          {"backward", name_of(config.backward)},
          {"range", config.range == RangeUse::Previous ? "previous" : "current"}};
}

QatOptions qat_options_from_json(const json& json) {
  QatOptions read;
  OptionReader weight("weight quantizer", object_at(json, "weight", "quantized layer"));
  read.qconfig.weight.grid.bits = static_cast<int>(weight.integer("bits", 8));
  read.qconfig.weight.grid.is_ternary = weight.boolean("ternary", false);
  read.qconfig.weight.granularity = parse_granularity(with(weight.text("granularity", "per_channel"), '_', '-'));
  if (const std::string range = weight.text("range", ""); !range.empty()) {
    read.qconfig.weight.range = parse_range(range);
  }
  read.qconfig.weight.map = map_from(weight);
  read.qconfig.weight.gradient = gradient_from(weight);
  weight.finish();
  const ActivationOptions activation = activation_options_from_json(object_at(json, "activation", "quantized layer"));
  read.qconfig.activation = activation.config;
  read.state = activation.state;

  nlohmann::json rest = json;
  rest.erase("weight");
  rest.erase("activation");
  OptionReader reader("quantized layer", rest);
  read.relu = reader.boolean("relu", false);
  read.qconfig.backward = dtype_from_name(reader.text("backward", name_of(DType::BF16)));
  const std::string range = reader.text("range", "previous");
  check(range == "previous" || range == "current", "quantized layer: range: expected previous or current, got '", range,
        "'");
  read.qconfig.range = range == "previous" ? RangeUse::Previous : RangeUse::Current;
  reader.finish();
  read.qconfig.validate();
  return read;
}

const json& object_at(const json& json, const char* key, std::string_view kind) {
  check(json.is_object() && json.contains(key) && json[key].is_object(), kind, ": expected an object '", key, "'");
  return json[key];
}

}  // namespace detent::quant
