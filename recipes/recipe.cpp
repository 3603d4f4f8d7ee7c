#include "detent/recipes/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detent/core/error.h"
#include "detent/core/text/extents.h"
#include "detent/core/text/nearest.h"
#include "detent/core/utf8.h"
#include "detent/data/source.h"
#include "detent/recipes/overrides.h"
#include "detent/recipes/quantize_sections.h"
#include "detent/recipes/sections.h"
#include "detent/recipes/toml_text.h"

namespace detent::recipes {
namespace {

using namespace detent::train;
using evaluation::CheckSettings;

const Names<data::Augmentation> kAugmentations{
    {"none", {}},
    {"shift", {.shift = 2.0F}},
    {"affine", {.shift = 2.0F, .rotation = 10.0F, .scale = 0.1F}},
    {"elastic", {.shift = 2.0F, .rotation = 10.0F, .scale = 0.1F, .elastic = 1.5F}},
    {"colour", {.crop = 4.0F, .jitter = 0.2F, .flip = true}}};

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

// A key that stands beside `file`, and not in a recipe whose model the command line replaces by that file.
const toml::node* beside_file(SectionReader& in, std::string_view key) {
  const auto is_override = [&](const toml::node& node) { return location(node, in.file()).starts_with("--set "); };
  const toml::node* const node = in.find(key);
  const toml::node* const file = in.find("file");
  return node != nullptr && (file == nullptr || is_override(*node) || !is_override(*file)) ? node : nullptr;
}

void read_image(SectionReader& in, ModelSection& model) {
  std::string size;
  in.text("image", size);
  const bool is_onnx = std::filesystem::path(model.file).extension() == ".onnx";
  const toml::node* const node = is_onnx ? in.find("image") : beside_file(in, "image");
  if (node == nullptr) {
    return;
  }
  if (!is_onnx) {
    in.fail_key("image", *node, "is of a model that comes from an ONNX file; remove it");
  }
  model.image = image_shape_from(size);
  if (!model.image) {
    in.fail_key("image", *node,
                fmt::format("expected height and width, and channels if there are several, got \"{}\"; write image = "
                            "\"28x28\"",
                            size));
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
      if (const toml::node* const node = beside_file(in, other)) {
        in.fail_key(other, *node, "a model that comes from a file has its own; remove one");
      }
    }
    model.layers.clear();  // of the recipe, where the command line names a file
  }
  read_image(in, model);
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
  if (train.label_smoothing > 0.0 && train.loss != LossKind::CrossEntropy && train.loss != LossKind::Auto) {
    in.fail_key("label_smoothing", *in.find("label_smoothing"), "needs loss = \"cross_entropy\"");
  }
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

// Each key is a name, its value the rule.
void read_slices(SectionReader in, std::vector<evaluation::SliceRule>& slices) {
  if (in.table() == nullptr) {
    return;
  }
  for (const auto& [key, node] : *in.table()) {
    const std::string name(key.str());
    std::string rule = "class = 7";
    in.text(name, rule);
    try {
      slices.push_back(evaluation::parse_slice(name, rule));
    } catch (const Error& error) {
      in.fail_key(name, node, error.what());
    }
  }
}

void read_rungs(const toml::table& root, const std::string& file, std::vector<RungSpec>& rungs) {
  const toml::node* const node = root.get("rungs");
  if (node == nullptr) {
    return;
  }
  check(node->is_array_of_tables(), location(*node, file), ": [rungs]: expected tables; write [[rungs]] with name and ",
        "set");
  for (const toml::node& element : *node->as_array()) {
    SectionReader in(element.as_table(), "rungs", file);
    RungSpec rung;
    in.text("name", rung.name);
    in.texts("set", rung.set);
    in.done();
    check(!rung.name.empty(), location(element, file), ": [rungs] has no name; write name = \"4/4\"");
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 /_-";
    check(rung.name.find_first_not_of(kLetters) == std::string::npos, location(element, file), ": [rungs] name: '",
          rung.name, "': expected letters, digits, ' ', '/', '_' and '-'");
    check(rung.name != kFloatRung && std::ranges::count(rungs, rung.name, &RungSpec::name) == 0,
          location(element, file), ": [rungs] name: '", rung.name, "' stands twice; name it otherwise");
    rungs.push_back(std::move(rung));
  }
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
  table.number("crop", augment.crop, kAtLeastZero);
  table.number("jitter", augment.jitter, kShareBelowOne);
  table.flag("flip", augment.flip);
  table.done();
}

void read_class_weights(SectionReader& in, ClassWeights& weights) {
  const toml::node* node = in.find("class_weights");
  if (node == nullptr) {
    return;
  }
  if (node->value_exact<std::string>() == "balanced") {
    weights = {.is_balanced = true};
    return;
  }
  const auto is_weight = [](const toml::node& element) {
    const auto value = element.is_number() ? element.value<double>() : std::nullopt;
    return value && *value > 0.0 && std::isfinite(*value);
  };
  const toml::array* const array = node->as_array();
  if (array == nullptr || array->empty() || !std::ranges::all_of(*array, is_weight)) {
    in.fail_expected("class_weights", *node, "\"balanced\" or numbers above 0", "\"balanced\" or [1.0, 2.5]");
  }
  weights = {};
  for (const toml::node& element : *array) {
    weights.weights.push_back(*element.value<double>());
  }
}

void read_normalize(SectionReader& in, DataSettings& data) {
  const toml::node* node = in.find("normalize");
  if (node == nullptr) {
    return;
  }
  if (node->value_exact<std::string>() == "columns") {
    data.normalize_columns = true;
    return;
  }
  if (!node->is_table()) {
    in.fail_expected("normalize", *node, "a table or \"columns\"", "{mean = 0.1307, std = 0.3081}");
  }
  SectionReader table(node->as_table(), "data.normalize", in.file());
  data.normalize.emplace();
  table.number("mean", data.normalize->mean);
  table.number("std", data.normalize->std, kPositive);
  table.done();
}

void read_data_name(SectionReader& in, std::optional<std::string>& name) {
  if (in.find("name") != nullptr) {
    in.text("name", name.emplace());
    if (data::is_path(*name)) {
      read_path(in, "name", *name);
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
  toml::table root = parse_toml(text, file);
  apply_overrides(root, overrides);

  const std::vector<std::string> sections{"data",    "model", "train",  "quantize", "qat",
                                          "convert", "check", "slices", "rungs"};
  for (const auto& [key, node] : root) {
    const std::string name(key.str());
    check(std::find(sections.begin(), sections.end(), name) != sections.end(), location(node, file),
          ": unknown section [", name, "]", did_you_mean(name, sections));
  }
  Recipe recipe;
  recipe.name = stem(file);
  recipe.description = first_comment(text);
  recipe.source = {.text = std::string(text), .file = file, .overrides = overrides};
  const auto open = [&](const std::string& name) { return section_of(root, name, file); };
  read(open("data"), recipe.data);
  read(open("model"), recipe.model);
  // A model that was trained is not trained again unasked.
  recipe.train.epochs = recipe.model.file.empty() ? recipe.train.epochs : 0;
  read(open("train"), recipe.train);
  read(open("quantize"), recipe.quantize);
  read(open("qat"), recipe.qat, recipe.train);
  read(open("convert"), recipe.convert);
  read_checks(open("check"), recipe);
  read_slices(open("slices"), recipe.slices);
  read_rungs(root, file, recipe.rungs);
  return recipe;
}

std::string first_comment(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::size_t begin = line.find_first_not_of("# ");
  return line.starts_with('#') && begin != std::string_view::npos ? std::string(line.substr(begin)) : std::string();
}

}  // namespace detent::recipes
