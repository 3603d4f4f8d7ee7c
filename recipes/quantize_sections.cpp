#include "detent/recipes/quantize_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "detent/core/error.h"
#include "detent/recipes/sections.h"

namespace detent::recipes {

using namespace detent::train;

namespace {

quant::QuantizerSpec supported_weights(std::string_view text) {
  quant::QConfig config;
  config.weight = quant::parse_weight_quantizer(text);
  config.validate();
  return config.weight;
}

quant::QuantizerSpec supported_activations(std::string_view text) {
  const quant::QuantizerSpec activation = quant::parse_activation_quantizer(text);
  quant::QConfig config;
  config.activation = activation;
  if (activation.is_per_token()) {  // as the method allows: fit_to_method
    config.activation.granularity = quant::PerTensor{};
  }
  config.validate();
  return activation;
}

// One scale for each example is the one granularity of dynamic quantization, and of it alone. False: `activations`
// does not fit.
bool fit_to_method(quant::Method method, quant::QuantizerSpec& activations) {
  if (method == quant::Method::Dynamic) {
    activations.granularity = quant::PerToken{};
    return !activations.range.is_said() && activations.map.empty();
  }
  return !activations.is_per_token();
}

// The type that activations have where they are no codes; none where `node` says codes, or nothing.
std::optional<DType> numbers_of(const toml::node* node) {
  static const Names<DType> kNumbers{{"fp32", DType::F32}, {"bf16", DType::BF16}};
  const auto text = node == nullptr ? std::nullopt : node->value_exact<std::string>();
  const auto row = std::ranges::find(kNumbers, text.value_or(""), &Names<DType>::value_type::first);
  return row == kNumbers.end() ? std::nullopt : std::optional(row->second);
}

// Whether all that is said of layers is that they stay in float.
bool are_all_float(const std::vector<LayerSettings>& layers) {
  return std::ranges::all_of(layers, &LayerSettings::keep_float);
}

void check_quantizers(SectionReader& in, QuantizeSettings& quantize) {
  const std::string method(quant::name_of(quantize.method));
  const auto fit = [&](const char* key, quant::QuantizerSpec& activations) {
    if (!fit_to_method(quantize.method, activations)) {
      in.fail_key(key, *in.find(key),
                  quantize.method == quant::Method::Dynamic
                      ? "dynamic quantization takes the range of each example as it is; leave out range and map rules"
                      : "per-token ranges are taken as the model runs, and the method is \"" + method +
                            "\"; write method = \"dynamic\", or per-tensor");
    }
  };
  fit("activations", quantize.activations);
  const toml::node* const said = in.find("activations");
  const bool are_numbers = numbers_of(said).has_value();
  const char* codes = said != nullptr && !are_numbers ? "activations" : nullptr;  // the key that says them
  const char* numbers = are_numbers ? "activations" : nullptr;
  for (LayerSettings& layer : quantize.layers) {
    if (layer.activations) {
      fit("layers", *layer.activations);
      codes = codes == nullptr ? "layers" : codes;
    }
    numbers = layer.numbers && numbers == nullptr ? "layers" : numbers;
  }
  if (quantize.method == quant::Method::Bf16) {
    for (const char* const key : {"weights", "activations", "layers"}) {
      const bool is_quantizer = std::string_view(key) != "layers" || !are_all_float(quantize.layers);
      if (in.find(key) != nullptr && is_quantizer) {
        in.fail_key(key, *in.find(key), "the method is \"bf16\", which makes no codes; remove them");
      }
    }
  }
  if (codes != nullptr && quantize.method == quant::Method::WeightOnly) {
    in.fail_key(
        codes, *in.find(codes),
        "the method is \"weight-only\", which makes no codes of activations; write \"bf16\" or \"fp32\", or remove "
        "them");
  }
  if (numbers != nullptr && quantize.method != quant::Method::WeightOnly) {
    in.fail_key(numbers, *in.find(numbers),
                "activations that are no codes are of method = \"weight-only\", and the method is \"" + method +
                    "\"; write for example \"uint8\"");
  }
}

template <typename Quantizer, typename Parse>
void read_quantizer(SectionReader& in, const std::string& key, Quantizer& quantizer, Parse parse) {
  std::string text;
  if (const toml::node* node = in.find(key)) {
    in.text(key, text);
    try {
      quantizer = parse(text);
    } catch (const Error& error) {
      in.fail_key(key, *node, error.what());
    }
  }
}

// Codes, or what numbers are rounded to.
template <typename Quantizer, typename Number>
void read_activations_of(SectionReader& in, Quantizer& codes, Number& numbers) {
  if (const std::optional<DType> type = numbers_of(in.find("activations"))) {
    numbers = *type;
  } else {
    read_quantizer(in, "activations", codes, supported_activations);
  }
}

// "2 epochs", "600 steps"
std::optional<Moment> moment_of(const std::string& text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, text.data() + text.size());
  if (error != std::errc() || count < 0 || count > std::int64_t{1} << 53) {
    return std::nullopt;
  }
  if (unit == " epochs" || unit == " epoch") {
    return Moment(static_cast<double>(count), Moment::Unit::Epochs);
  }
  return unit == " steps" || unit == " step" ? std::optional(Moment(static_cast<double>(count), Moment::Unit::Steps))
                                             : std::nullopt;
}

void read_moment(SectionReader& in, std::string_view key, Moment& moment) {
  const toml::node* const node = in.find(key);
  const auto text = node == nullptr ? std::nullopt : node->value_exact<std::string>();
  if (!text) {
    in.number(key, moment.value, kShare);
    return;
  }
  const std::optional<Moment> read = moment_of(*text);
  if (!read) {
    in.fail_expected(key, *node, "a share of the steps, epochs or steps", "0.8, \"2 epochs\" or \"600 steps\"");
  }
  moment = *read;
}

}  // namespace

void read(SectionReader in, QuantizeSettings& quantize) {
  describe(in, quantize);
  in.done();
  check_quantizers(in, quantize);
  if (!quantize.improve.empty() && quantize.method != quant::Method::Static) {
    in.fail_key("improve", *in.find("improve"),
                "is for static quantization, and the method is \"" + std::string(quant::name_of(quantize.method)) +
                    "\"; write method = \"static\", or remove it");
  }
  std::vector<quant::QuantizerSpec> seen;
  for (const std::string& weights : quantize.compare_static) {
    try {
      seen.push_back(supported_weights(weights));
      check(std::find(seen.begin(), seen.end() - 1, seen.back()) == seen.end() - 1, "'", weights,
            "' stands twice; remove one");
    } catch (const Error& error) {
      in.fail_key("compare_static", *in.find("compare_static"), error.what());
    }
  }
}

void read(SectionReader in, QatSettings& qat, const TrainSettings& train) {
  describe(in, qat);
  in.done();
  if (qat.distill > 0.0 && train.loss != LossKind::CrossEntropy && train.loss != LossKind::Auto) {
    in.fail_key("distill", *in.find("distill"), "needs [train] loss = \"cross_entropy\"");
  }
  if (qat.start >= qat.epochs) {
    in.fail_key("start", *(in.find("start") != nullptr ? in.find("start") : in.find("epochs")),
                fmt::format("{} of {} epochs in float leave none with quantizers; write start = {}", qat.start,
                            qat.epochs, qat.epochs - 1));
  }
  const auto check_moment = [&](const char* key, const Moment& moment) {
    if (moment.unit == Moment::Unit::Epochs && moment.value > static_cast<double>(qat.epochs)) {
      in.fail_key(key, *in.find(key), fmt::format("{:.0f} epochs are more than epochs = {}", moment.value, qat.epochs));
    }
  };
  check_moment("freeze_observers_at", qat.freeze_observers_at);
  check_moment("freeze_batch_norm_at", qat.freeze_batch_norm_at);
}

void read_weights(SectionReader& in, quant::QuantizerSpec& weights) {
  read_quantizer(in, "weights", weights, supported_weights);
}

void read_activations(SectionReader& in, QuantizeSettings& quantize) {
  read_activations_of(in, quantize.activations, quantize.numbers);
}

// A module name may hold what is no bare key of TOML, so tables are read as they are.
void read_layer_settings(SectionReader& in, std::vector<LayerSettings>& layers) {
  const toml::node* const node = in.find("layers");
  if (node == nullptr) {
    return;
  }
  if (!node->is_table()) {
    in.fail_expected("layers", *node, "a table", "{\"fc*\" = \"int4\"}");
  }
  SectionReader table(node->as_table(), "quantize.layers", in.file());
  for (const auto& [key, value] : *node->as_table()) {
    LayerSettings& layer = layers.emplace_back(LayerSettings{.pattern = std::string(key.str())});
    if (value.value_exact<std::string>() == "float") {
      table.find(layer.pattern);
      layer.keep_float = true;
    } else if (value.is_string()) {
      read_quantizer(table, layer.pattern, layer.weights, supported_weights);
    } else if (value.is_table()) {
      table.find(layer.pattern);
      SectionReader own(value.as_table(), "quantize.layers." + layer.pattern, in.file());
      read_quantizer(own, "weights", layer.weights, supported_weights);
      read_activations_of(own, layer.activations, layer.numbers);
      own.done();
    } else {
      table.fail_expected(layer.pattern, value, "weights, \"float\" or a table",
                          "\"int4\" or {weights = \"int4\", activations = \"uint4\"}");
    }
  }
}

void read_freeze_observers_at(SectionReader& in, Moment& moment) { read_moment(in, "freeze_observers_at", moment); }
void read_freeze_batch_norm_at(SectionReader& in, Moment& moment) { read_moment(in, "freeze_batch_norm_at", moment); }

}  // namespace detent::recipes
