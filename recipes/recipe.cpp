#include "detent/recipes/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "detent/core/error.h"
#include "detent/core/utf8.h"
#include "detent/data/source.h"
#include "detent/recipes/nearest.h"
#include "detent/recipes/overrides.h"
#include "detent/recipes/sections.h"

namespace detent::recipes {
namespace {

using namespace detent::train;
using evaluation::CheckSettings;

const Names<data::Augmentation> kAugmentations{
    {"none", {}},
    {"shift", {.shift = 2.0F}},
    {"affine", {.shift = 2.0F, .rotation = 10.0F, .scale = 0.1F}},
    {"elastic", {.shift = 2.0F, .rotation = 10.0F, .scale = 0.1F, .elastic = 1.5F}}};

// The table at `key` of `parent` as a section; a key that holds something else is refused.
SectionReader section(const toml::table& parent, const std::string& key, const std::string& name,
                      const std::string& file) {
  const toml::node* node = parent.get(key);
  check(node == nullptr || node->is_table(), node == nullptr ? file : location(*node, file), ": '", key,
        "' must be a section; write [", name, "]");
  return {node == nullptr ? nullptr : node->as_table(), name, file};
}

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// "conv1: conv 32 3x3" is the layer "conv 32 3x3" named conv1.
LayerSpec layer_from_line(const std::string& line, const std::string& where) {
  const std::size_t colon = line.find(':');
  if (colon == std::string::npos) {
    return {.text = trimmed(line), .where = where};
  }
  return {.text = trimmed(line.substr(colon + 1)), .name = trimmed(line.substr(0, colon)), .where = where};
}

// A path in a recipe file starts at the file's folder; one on the command line at the current folder.
void read_path(SectionReader& in, std::string_view key, std::string& path) {
  in.text(key, path);
  const toml::node* node = in.find(key);
  if (node != nullptr && !location(*node, in.file()).starts_with("--set ")) {
    path = (std::filesystem::path(in.file()).parent_path() / path).string();
  }
}

void read_layers(SectionReader& in, const toml::node& node, ModelSection& model) {
  std::vector<std::string> lines;
  in.texts("layers", lines);
  const toml::array& array = *node.as_array();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    model.layers.push_back(
        layer_from_line(lines[i], fmt::format("{}: [model] layer {}", location(array[i], in.file()), i + 1)));
  }
}

void read_nodes(SectionReader& in, const toml::node& node, ModelSection& model) {
  if (!node.is_array_of_tables()) {
    in.fail_key("nodes", node, "expected tables; write [[model.nodes]] with name, op and inputs");
  }
  for (const toml::node& element : *node.as_array()) {
    const std::size_t number = model.layers.size() + 1;
    SectionReader table(element.as_table(), "model.nodes", in.file());
    LayerSpec layer{.where = fmt::format("{}: [model] node {}", location(element, in.file()), number)};
    table.text("op", layer.text);
    table.text("name", layer.name);
    table.texts("inputs", layer.inputs);
    table.done();
    check(!layer.text.empty(), layer.where, ": has no op; write op = \"conv 32 3x3\"");
    model.layers.push_back(std::move(layer));
  }
}

void read(SectionReader in, ModelSection& model) {
  in.choice("init", model.init, nn::init_names());
  const toml::node* layers = in.find("layers");
  const toml::node* nodes = in.find("nodes");
  if (layers != nullptr && nodes != nullptr) {
    in.fail_key("nodes", *nodes, "a model has either layers or nodes, not both; remove one");
  }
  if (layers != nullptr) {
    read_layers(in, *layers, model);
  } else if (nodes != nullptr) {
    read_nodes(in, *nodes, model);
  }
  if (in.find("file") != nullptr) {
    read_path(in, "file", model.file);
    for (const char* const other : {"layers", "nodes", "init"}) {
      if (const toml::node* const node = in.find(other)) {
        in.fail_key(other, *node, "a model that comes from a file has its own; remove one");
      }
    }
  }
  in.done();
  check(!model.layers.empty() || !model.file.empty(), in.file(),
        ": [model] has no layers; write layers = [\"flatten\", \"linear 10\"], or file = \"fp32.h5\"");
}

template <typename Settings>
void read(SectionReader in, Settings& settings) {
  describe(in, settings);
  in.done();
}

void read(SectionReader in, TrainSettings& train) {
  describe(in, train);
  in.done();
  if (train.nesterov && (train.optimizer != OptimizerKind::Sgd || train.momentum == 0.0)) {
    in.fail_key("nesterov", *in.find("nesterov"), "needs optimizer = \"sgd\" and momentum > 0");
  }
  if (train.label_smoothing > 0.0 && train.loss != LossKind::CrossEntropy) {
    in.fail_key("label_smoothing", *in.find("label_smoothing"), "needs loss = \"cross_entropy\"");
  }
}

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

void check_activations(SectionReader& in, QuantizeSettings& quantize) {
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
  bool is_said = in.find("activations") != nullptr;
  for (LayerSettings& layer : quantize.layers) {
    if (layer.activations) {
      fit("layers", *layer.activations);
      is_said = true;
    }
  }
  if (is_said && quantize.method == quant::Method::WeightOnly) {
    const char* const key = in.find("activations") != nullptr ? "activations" : "layers";
    in.fail_key(key, *in.find(key), "the method is \"weight-only\", which leaves activations in f32; remove them");
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

void read(SectionReader in, QuantizeSettings& quantize) {
  describe(in, quantize);
  in.done();
  check_activations(in, quantize);
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

void read(SectionReader in, QatSettings& qat, const TrainSettings& train) {
  describe(in, qat);
  in.done();
  if (qat.distill > 0.0 && train.loss != LossKind::CrossEntropy) {
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

void read_checks(SectionReader in, Recipe& recipe) {
  describe(in, recipe.check);
  if (in.table() != nullptr) {
    for (const auto& [key, node] : *in.table()) {
      if (!node.is_table()) {
        continue;
      }
      const std::string dataset(key.str());
      in.find(dataset);
      SectionReader table(node.as_table(), "check." + dataset, in.file());
      NamedCheck named{.dataset = dataset, .check = {}};
      describe(table, named.check);
      table.done();
      recipe.checks_by_dataset.push_back(named);
    }
  }
  in.done();
}

std::string stem(const std::string& file) {
  const std::string name = std::filesystem::path(file).filename().string();
  return valid_utf8(name.ends_with(".toml") ? name.substr(0, name.size() - 5) : name);
}

}  // namespace

void read_augment(SectionReader& in, data::Augmentation& augment) {
  const toml::node* node = in.find("augment");
  if (node == nullptr || !node->is_table()) {
    if (node != nullptr && !node->is_string()) {
      in.fail_expected("augment", *node, "a word or a table", "\"none\" or {shift = 2.0}");
    }
    in.choice("augment", augment, kAugmentations);
    return;
  }
  SectionReader table(node->as_table(), "data.augment", in.file());
  table.number("shift", augment.shift, kAtLeastZero);
  table.number("rotation", augment.rotation, {.min = 0, .max = 180});
  table.number("scale", augment.scale, kShareBelowOne);
  table.number("elastic", augment.elastic, kAtLeastZero);
  table.done();
}

void read_normalize(SectionReader& in, std::optional<data::Normalization>& normalize) {
  const toml::node* node = in.find("normalize");
  if (node == nullptr) {
    return;
  }
  if (!node->is_table()) {
    in.fail_expected("normalize", *node, "a table", "{mean = 0.1307, std = 0.3081}");
  }
  SectionReader table(node->as_table(), "data.normalize", in.file());
  normalize.emplace();
  table.number("mean", normalize->mean);
  table.number("std", normalize->std, kPositive);
  table.done();
}

void read_freeze_observers_at(SectionReader& in, Moment& moment) { read_moment(in, "freeze_observers_at", moment); }
void read_freeze_batch_norm_at(SectionReader& in, Moment& moment) { read_moment(in, "freeze_batch_norm_at", moment); }

void read_data_name(SectionReader& in, std::optional<std::string>& name) {
  if (in.find("name") != nullptr) {
    in.text("name", name.emplace());
    if (data::is_path(*name)) {
      read_path(in, "name", *name);
    }
  }
}

void read_weights(SectionReader& in, quant::QuantizerSpec& weights) {
  read_quantizer(in, "weights", weights, supported_weights);
}

void read_activations(SectionReader& in, quant::QuantizerSpec& activations) {
  read_quantizer(in, "activations", activations, supported_activations);
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
      read_quantizer(own, "activations", layer.activations, supported_activations);
      own.done();
    } else {
      table.fail_expected(layer.pattern, value, "weights, \"float\" or a table",
                          "\"int4\" or {weights = \"int4\", activations = \"uint4\"}");
    }
  }
}

Recipe parse_recipe(std::string_view text, const std::string& file, const std::vector<std::string>& overrides) {
  const std::size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    fail(file, ":", 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(invalid), '\n'),
         fmt::format(": expected UTF-8, got byte 0x{:02x}; save the file as UTF-8",
                     static_cast<unsigned char>(text[invalid])));
  }
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    fail(file, ":", error.source().begin.line, ": not valid TOML: ", error.description());
  }
  apply_overrides(root, overrides);

  const std::vector<std::string> sections{"data", "model", "train", "quantize", "qat", "convert", "check"};
  for (const auto& [key, node] : root) {
    const std::string name(key.str());
    check(std::find(sections.begin(), sections.end(), name) != sections.end(), location(node, file),
          ": unknown section [", name, "]", did_you_mean(name, sections));
  }
  Recipe recipe;
  recipe.name = stem(file);
  recipe.description = first_comment(text);
  const auto open = [&](const std::string& name) { return section(root, name, name, file); };
  read(open("data"), recipe.data);
  read(open("model"), recipe.model);
  // A model that was trained is not trained again unasked.
  recipe.train.epochs = recipe.model.file.empty() ? recipe.train.epochs : 0;
  read(open("train"), recipe.train);
  read(open("quantize"), recipe.quantize);
  read(open("qat"), recipe.qat, recipe.train);
  read(open("convert"), recipe.convert);
  read_checks(open("check"), recipe);
  return recipe;
}

std::string first_comment(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::size_t begin = line.find_first_not_of("# ");
  return line.starts_with('#') && begin != std::string_view::npos ? std::string(line.substr(begin)) : std::string();
}

}  // namespace detent::recipes
