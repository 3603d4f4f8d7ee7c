#include "detent/train/settings.h"

namespace detent::train {

evaluation::CheckSettings Settings::check_for(std::string_view dataset) const {
  evaluation::CheckSettings result = check;
  for (const NamedCheck& named : checks_by_dataset) {
    if (named.dataset != dataset) {
      continue;
    }
    const auto overlay = [](auto& base, const auto& top) { base = top ? top : base; };
    overlay(result.fp32_accuracy, named.check.fp32_accuracy);
    overlay(result.int8_accuracy, named.check.int8_accuracy);
    overlay(result.min_r2, named.check.min_r2);
    overlay(result.max_drop, named.check.max_drop);
    overlay(result.static_max_drop, named.check.static_max_drop);
    overlay(result.codes_mismatched, named.check.codes_mismatched);
    overlay(result.max_slice_drop, named.check.max_slice_drop);
    overlay(result.min_slice_accuracy, named.check.min_slice_accuracy);
    overlay(result.max_flips, named.check.max_flips);
    overlay(result.max_calibration_error, named.check.max_calibration_error);
  }
  return result;
}

quant::QConfigMapping Settings::qconfig_mapping(std::optional<quant::QuantizerSpec> weights) const {
  // Static models beside a dynamic one have one scale.
  const auto activation_of = [&](quant::QuantizerSpec spec) {
    spec.granularity = weights && spec.is_per_token() ? quant::PerTensor{} : spec.granularity;
    return spec;
  };
  const quant::QConfig config{.weight = weights.value_or(quantize.weights),
                              .activation = activation_of(quantize.activations),
                              .numbers = quantize.numbers,
                              .backward = qat.backward,
                              .range = qat.range};
  quant::QConfigMapping mapping(config);
  const auto set = [&](const std::string& pattern, const std::optional<quant::QConfig>& choice) {
    if (pattern.find('*') == std::string::npos) {
      mapping.set_name(pattern, choice);
    } else {
      mapping.set_pattern(pattern, choice);
    }
  };
  for (const LayerSettings& layer : quantize.layers) {
    quant::QConfig own = config;
    own.weight = layer.weights.value_or(config.weight);
    own.activation = activation_of(layer.activations.value_or(config.activation));
    own.numbers = layer.numbers.value_or(config.numbers);
    set(layer.pattern, layer.keep_float ? std::nullopt : std::optional(own));
  }
  for (const std::string& pattern : quantize.keep_float) {
    set(pattern, std::nullopt);
  }
  return mapping;
}

}  // namespace detent::train
