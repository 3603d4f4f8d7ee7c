#pragma once

#include <nlohmann/json_fwd.hpp>

#include "detent/io/option_reader.h"
#include "detent/quant/kinds/qat_product.h"

namespace detent::quant {

/// How quantized modules write their options into files, and read them strictly.
nlohmann::json to_json(const QatOptions& options);
QatOptions qat_options_from_json(const nlohmann::json& json);
nlohmann::json to_json(const QuantizerSpec& config, FakeQuant::State state);

struct ActivationOptions {
  QuantizerSpec config;
  FakeQuant::State state = FakeQuant::State::Observing;
};
ActivationOptions activation_options_from_json(const nlohmann::json& json);

/// json[key], which must be an object. Throws Error naming the kind and the key.
const nlohmann::json& object_at(const nlohmann::json& json, const char* key, std::string_view kind);

}  // namespace detent::quant
