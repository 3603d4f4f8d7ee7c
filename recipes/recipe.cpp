#include "detent/recipes/recipe.h"

#include <fmt/format.h>

#include <algorithm>

#include "detent/core/error.h"
#include "detent/core/names.h"
#include "detent/core/utf8.h"
#include "detent/data/source.h"
#include "detent/recipes/nearest.h"
#include "detent/recipes/overrides.h"
#include "detent/recipes/section_reader.h"

namespace detent::recipes {
namespace {

using namespace detent::train;
using evaluation::CheckSettings;

const Names<OptimizerKind> kOptimizers{
    {"sgd", OptimizerKind::Sgd}, {"adam", OptimizerKind::Adam}, {"adamw", OptimizerKind::AdamW}};
const Names<ScheduleKind> kSchedules{{"constant", ScheduleKind::Constant},
                                     {"step", ScheduleKind::Step},
                                     {"cosine", ScheduleKind::Cosine},
                                     {"one_cycle", ScheduleKind::OneCycle}};
const Names<LossKind> kLosses{{"cross_entropy", LossKind::CrossEntropy},
                              {"squared_hinge", LossKind::SquaredHinge},
                              {"mse", LossKind::MeanSquaredError}};
const Names<nn::Init> kInits{{"default", nn::Init::Default},
                             {"kaiming_uniform", nn::Init::KaimingUniform},
                             {"kaiming_normal", nn::Init::KaimingNormal},
                             {"xavier_uniform", nn::Init::XavierUniform},
                             {"xavier_normal", nn::Init::XavierNormal}};
const Names<quant::RangeUse> kRanges{{"previous", quant::RangeUse::Previous}, {"current", quant::RangeUse::Current}};
const Names<data::Augmentation> kAugmentations{
    {"none", {}},
    {"shift", {.shift = 2.0F}},
    {"affine", {.shift = 2.0F, .rotation = 10.0F, .scale = 0.1F}},
    {"elastic", {.shift = 2.0F, .rotation = 10.0F, .scale = 0.1F, .elastic = 1.5F}}};

const NumberRange kAtLeastZero{.min = 0};
const NumberRange kAtLeastOne{.min = 1};
// With at most 2^32 examples, steps of two phases stay below 2^53.
const NumberRange kEpochs{.min = 0, .max = 1e6};
const NumberRange kSomeEpochs{.min = 1, .max = 1e6};
const NumberRange kPositive{.min = 0, .is_open_below = true};
const NumberRange kShare{.min = 0, .max = 1};
const NumberRange kShareBelowOne{.min = 0, .max = 1, .is_open_above = true};

// The table at `key` of `parent` as a section; a key that holds something else is refused.
SectionReader section(const toml::table& parent, const std::string& key, const std::string& name,
                      const std::string& file) {
  const toml::node* node = parent.get(key);
  check(node == nullptr || node->is_table(), node == nullptr ? file : location(*node, file), ": '", key,
        "' must be a section; write [", name, "]");
  return {node == nullptr ? nullptr : node->as_table(), name, file};
}

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

void read_normalize(SectionReader& in, data::Normalization& normalize) {
  const toml::node* node = in.find("normalize");
  if (node == nullptr) {
    return;
  }
  if (!node->is_table()) {
    in.fail_expected("normalize", *node, "a table", "{mean = 0.1307, std = 0.3081}");
  }
  SectionReader table(node->as_table(), "data.normalize", in.file());
  table.number("mean", normalize.mean);
  table.number("std", normalize.std, kPositive);
  table.done();
}

// A path in a recipe file starts at the file's folder; one on the command line at the current folder.
void read_data_name(SectionReader& in, std::string& name) {
  in.text("name", name);
  const toml::node* node = in.find("name");
  const bool is_from_file = node != nullptr && location(*node, in.file()).rfind("--set ", 0) != 0;
  if (is_from_file && data::is_path(name)) {
    name = (std::filesystem::path(in.file()).parent_path() / name).string();
  }
}

void read(SectionReader in, DataSettings& data) {
  read_data_name(in, data.name);
  in.number("validation", data.validation, kShareBelowOne);
  in.whole("train_examples", data.train_examples, kAtLeastZero);
  in.whole("test_examples", data.test_examples, kAtLeastZero);
  read_normalize(in, data.normalize);
  read_augment(in, data.augment);
  in.done();
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
  in.choice("init", model.init, kInits);
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
  in.done();
  check(!model.layers.empty(), in.file(), ": [model] has no layers; write layers = [\"flatten\", \"linear 10\"]");
}

void read(SectionReader in, TrainSettings& train) {
  in.whole("epochs", train.epochs, kEpochs);
  in.whole("batch", train.batch, {.min = 1, .max = 1 << 20});
  in.flag("drop_last", train.drop_last);
  in.choice("optimizer", train.optimizer, kOptimizers);
  in.number("learning_rate", train.learning_rate, kPositive);
  in.choice("schedule", train.schedule, kSchedules);
  in.whole("step_epochs", train.step_epochs, kSomeEpochs);
  in.number("step_factor", train.step_factor, kPositive);
  in.number("final_learning_rate", train.final_learning_rate, kAtLeastZero);
  in.number("warmup_share", train.warmup_share, {.min = 0, .max = 1, .is_open_below = true, .is_open_above = true});
  in.whole("warmup_steps", train.warmup_steps, kAtLeastZero);
  in.number("momentum", train.momentum, kShareBelowOne);
  in.flag("nesterov", train.nesterov);
  in.number("weight_decay", train.weight_decay, kAtLeastZero);
  in.number("clip_norm", train.clip_norm, kAtLeastZero);
  in.choice("loss", train.loss, kLosses);
  in.number("label_smoothing", train.label_smoothing, kShareBelowOne);
  in.choice("precision", train.precision, precision_names());
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
  quant::QConfig config;
  config.activation = quant::parse_activation_quantizer(text);
  config.validate();
  return config.activation;
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
  in.choice("method", quantize.method, quant::method_names());
  read_quantizer(in, "weights", quantize.weights, supported_weights);
  read_quantizer(in, "activations", quantize.activations, supported_activations);
  in.texts("keep_float", quantize.keep_float);
  in.whole("calibration", quantize.calibration, kAtLeastOne);
  in.texts("compare_static", quantize.compare_static);
  in.done();
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

void read(SectionReader in, QatSettings& qat) {
  in.whole("epochs", qat.epochs, kSomeEpochs);
  in.number("learning_rate", qat.learning_rate, kPositive);
  in.number("freeze_observers_at", qat.freeze_observers_at, kShare);
  in.number("freeze_batch_norm_at", qat.freeze_batch_norm_at, kShare);
  in.choice("backward", qat.backward, Names<DType>{{"bf16", DType::BF16}, {"fp32", DType::F32}});
  in.choice("range", qat.range, kRanges);
  in.done();
}

void read(SectionReader in, ConvertSettings& convert) {
  in.flag("strict", convert.strict);
  in.done();
}

void read_numbers(SectionReader& in, CheckSettings& check) {
  in.number("fp32_accuracy", check.fp32_accuracy, kShare);
  in.number("int8_accuracy", check.int8_accuracy, kShare);
  in.number("max_drop", check.max_drop, kShare);
  in.number("static_max_drop", check.static_max_drop, kShare);
  in.whole("codes_mismatched", check.codes_mismatched, kAtLeastZero);
}

void read_checks(SectionReader in, Recipe& recipe) {
  read_numbers(in, recipe.check);
  if (in.table() != nullptr) {
    for (const auto& [key, node] : *in.table()) {
      if (!node.is_table()) {
        continue;
      }
      const std::string dataset(key.str());
      in.find(dataset);
      SectionReader table(node.as_table(), "check." + dataset, in.file());
      NamedCheck named{.dataset = dataset, .check = {}};
      read_numbers(table, named.check);
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
  read(open("train"), recipe.train);
  read(open("quantize"), recipe.quantize);
  read(open("qat"), recipe.qat);
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
