#include "detent/quant/kinds/qat_options.h"

#include <nlohmann/json.hpp>

namespace detent::quant {
namespace {

using nlohmann::json;

constexpr const char* kPerTensor = "per_tensor";
constexpr const char* kPerChannel = "per_channel";

}  // namespace

json to_json(const ActivationQuantizer& config, FakeQuant::State state) {
  return {{"bits", config.bits},
          {"observer", name_of(config.observer.kind)},
          {"constant", config.observer.constant},
          {"state", name_of(state)}};
}

ActivationOptions activation_options_from_json(const json& options) {
  OptionReader reader("activation quantizer", options);
  ActivationOptions read;
  read.config.bits = static_cast<int>(reader.integer("bits", 8));
  read.config.observer.kind = observer_kind_from_name(reader.text("observer", name_of(read.config.observer.kind)));
  read.config.observer.constant = static_cast<float>(reader.real("constant", 0.01));
  read.state = fake_quant_state_from_name(reader.text("state", name_of(read.state)));
  reader.finish();
  QConfig{.weight = {}, .activation = read.config}.validate();
  return read;
}

json to_json(const QatOptions& options) {
  const QConfig& config = options.qconfig;
  return {{"weight",
           {{"bits", config.weight.bits},
            {"granularity", config.weight.granularity == Granularity::PerTensor ? kPerTensor : kPerChannel}}},
          {"activation", to_json(config.activation, options.state)},
          {"relu", options.relu},
          {"backward", name_of(config.backward)},
          {"range", config.range == RangeUse::Previous ? "previous" : "current"}};
}

QatOptions qat_options_from_json(const json& json) {
  QatOptions read;
  OptionReader weight("weight quantizer", object_at(json, "weight", "quantized layer"));
  read.qconfig.weight.bits = static_cast<int>(weight.integer("bits", 8));
  const std::string granularity = weight.text("granularity", kPerChannel);
  check(granularity == kPerTensor || granularity == kPerChannel,
        "weight quantizer: granularity: expected per_tensor or per_channel, got '", granularity, "'");
  read.qconfig.weight.granularity = granularity == kPerTensor ? Granularity::PerTensor : Granularity::PerChannel;
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
