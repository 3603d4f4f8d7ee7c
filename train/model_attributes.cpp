#include "detent/train/model_attributes.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "detent/core/error.h"
#include "detent/io/description.h"

namespace detent::train {
namespace {

using nlohmann::json;

const std::string* text_in(const Attributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  return found == attributes.end() ? nullptr : std::get_if<std::string>(&found->second);
}

double real_in(const Attributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  const double* value = found == attributes.end() ? nullptr : std::get_if<double>(&found->second);
  check(value != nullptr && std::isfinite(*value), "model: has no attribute '", name,
        "', which tells how its images are normalized; name a model that detent run wrote (fp32.h5, qat.h5, int8.h5), "
        "not its checkpoint");
  return *value;
}

// The attribute `name` as T, where it is there.
template <typename T>
void read_json(const Attributes& attributes, const std::string& name, T& value) {
  const std::string* const text = text_in(attributes, name);
  if (text == nullptr) {
    return;
  }
  const std::string what = "model: attribute '" + name + "'";
  try {
    parse_description(what, *text).get_to(value);
  } catch (const json::exception& error) {
    fail(what, " is damaged: ", error.what());
  }
}

json to_json(const data::ReadOptions& read) {
  const data::ReadOptions defaults;
  json options = json::object();
  const auto add = [&](const char* key, const auto& value, const auto& by_default) {
    if (value != by_default) {
      options[key] = value;
    }
  };
  add("label", read.label, defaults.label);
  add("slices", read.slices, defaults.slices);
  add("ignore", read.ignore, defaults.ignore);
  add("one_hot", read.one_hot, defaults.one_hot);
  add("height", read.height, defaults.height);
  add("width", read.width, defaults.width);
  add("channels", read.channels, defaults.channels);
  add("test_share", read.test_share, defaults.test_share);
  add("split_seed", read.split_seed, defaults.split_seed);
  if (read.task) {
    options["task"] = std::string(name_of(*read.task));
  }
  if (read.header) {
    options["header"] = *read.header;
  }
  return options;
}

data::TargetKind target_kind(const std::string& word) {
  for (const data::TargetKind kind :
       {data::TargetKind::kClasses, data::TargetKind::kValues, data::TargetKind::kFlags}) {
    if (word == name_of(kind)) {
      return kind;
    }
  }
  fail("model: its targets are \"", word, "\": expected \"classes\", \"values\" or \"flags\"");
}

data::ReadOptions read_options(const json& options) {
  constexpr std::int64_t kMostPixels = 1 << 16;
  data::ReadOptions read;
  const auto get = [&](const char* key, auto& value) {
    if (options.contains(key)) {
      options.at(key).get_to(value);
    }
  };
  get("label", read.label);
  get("slices", read.slices);
  get("ignore", read.ignore);
  get("one_hot", read.one_hot);
  get("height", read.height);
  get("width", read.width);
  get("channels", read.channels);
  get("test_share", read.test_share);
  get("split_seed", read.split_seed);
  if (options.contains("task")) {
    read.task = target_kind(options.at("task").get<std::string>());
  }
  if (options.contains("header")) {
    read.header = options.at("header").get<bool>();
  }
  const bool is_valid = read.height >= 0 && read.height <= kMostPixels && read.width >= 0 &&
                        read.width <= kMostPixels && (read.height == 0) == (read.width == 0) &&
                        (read.channels == 0 || read.channels == 1 || read.channels == 3) && read.test_share > 0.0 &&
                        read.test_share < 1.0 && read.split_seed >= 0;
  check(is_valid, "model: attribute 'data_options' is damaged: ", options.dump());
  return read;
}

}  // namespace

Attributes to_attributes(const TrainedOn& trained) {
  Attributes attributes{{"normalization_mean", static_cast<double>(trained.normalization.mean)},
                        {"normalization_std", static_cast<double>(trained.normalization.std)}};
  if (trained.dataset) {
    attributes["dataset"] = *trained.dataset;
  }
  if (!trained.normalization.means.empty()) {
    attributes["normalization_columns"] =
        json{{"means", trained.normalization.means}, {"stds", trained.normalization.stds}}.dump();
  }
  if (!trained.class_names.empty()) {
    attributes["class_names"] = json(trained.class_names).dump();
  }
  if (!trained.feature_names.empty()) {
    attributes["feature_names"] = json(trained.feature_names).dump();
  }
  if (trained.targets != data::TargetKind::kClasses) {
    attributes["targets"] = std::string(name_of(trained.targets));
  }
  if (const json options = to_json(trained.read); !options.empty()) {
    attributes["data_options"] = options.dump();
  }
  return attributes;
}

TrainedOn trained_on(const Attributes& attributes) {
  TrainedOn trained;
  if (const std::string* const dataset = text_in(attributes, "dataset")) {
    trained.dataset = *dataset;
  }
  data::Normalization& normalization = trained.normalization;
  normalization.mean = static_cast<float>(real_in(attributes, "normalization_mean"));
  normalization.std = static_cast<float>(real_in(attributes, "normalization_std"));
  std::map<std::string, std::vector<float>> columns;
  read_json(attributes, "normalization_columns", columns);
  normalization.means = columns["means"];
  normalization.stds = columns["stds"];
  check(normalization.means.size() == normalization.stds.size(),
        "model: attribute 'normalization_columns' is damaged: it has ", normalization.means.size(), " means and ",
        normalization.stds.size(), " stds");
  read_json(attributes, "class_names", trained.class_names);
  read_json(attributes, "feature_names", trained.feature_names);
  if (const std::string* const targets = text_in(attributes, "targets")) {
    trained.targets = target_kind(*targets);
  }
  json options = json::object();
  read_json(attributes, "data_options", options);
  try {
    trained.read = read_options(options);
  } catch (const json::exception& error) {
    fail("model: attribute 'data_options' is damaged: ", error.what());
  }
  trained.read.class_names = trained.class_names;
  trained.read.known_features = trained.feature_names;
  return trained;
}

std::string class_name(const TrainedOn& trained, std::int64_t number) {
  const bool has_name = number >= 0 && number < std::ssize(trained.class_names);
  return has_name ? trained.class_names[static_cast<std::size_t>(number)] : std::to_string(number);
}

}  // namespace detent::train
