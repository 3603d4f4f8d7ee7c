#include "detent/train/run_data.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "detent/core/error.h"
#include "detent/data/source.h"

namespace detent::train {
namespace {

// Splits the last examples off `data.train`.
void hold_out(RunData& data, double share) {
  const std::int64_t all = data.train.size();
  const auto held_out = static_cast<std::int64_t>(share * static_cast<double>(all));
  check(held_out > 0, "[data] validation: ", share, " of ", all, " training examples is none; write at least ",
        1.0 / static_cast<double>(all), ", or 0");
  check(held_out < all, "[data] validation: ", share, " of ", all, " training examples leaves none to train on");
  std::vector<std::int64_t> last(static_cast<std::size_t>(held_out));
  std::iota(last.begin(), last.end(), all - held_out);
  data.validation = data.train.subset(last);
  data.train = data.train.take(all - held_out);
}

// What the settings leave open, as the attributes of a model say.
struct Defaults {
  std::string name = data::kDefaultName;
  bool or_digits = true;
  data::Normalization normalization = {};
};

RunData open(const DataSettings& section, const std::optional<std::filesystem::path>& folder,
             const data::Readers& readers, const Defaults& defaults) {
  const data::DataSource source = data::open_data({.name = section.name.value_or(defaults.name),
                                                   .folder = folder,
                                                   .or_digits = section.name.has_value() || defaults.or_digits,
                                                   .readers = readers});
  RunData result{.name = source.name,
                 .description = source.description,
                 .is_builtin = source.is_builtin,
                 .train = source.train,
                 .validation = {},
                 .test = source.test,
                 .normalization = section.normalize.value_or(defaults.normalization)};
  if (section.train_examples > 0) {
    result.train = result.train.take(section.train_examples);
  }
  if (section.test_examples > 0) {
    result.test = result.test.take(section.test_examples);
  }
  if (section.validation > 0) {
    hold_out(result, section.validation);
  }
  return result;
}

double real_attribute(const Attributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  const double* value = found == attributes.end() ? nullptr : std::get_if<double>(&found->second);
  check(value != nullptr && std::isfinite(*value), "model: has no attribute '", name,
        "', which tells how its images are normalized; name a model that detent run wrote (fp32.h5, qat.h5, int8.h5), "
        "not its checkpoint");
  return *value;
}

// Old files and models made by hand may not say what they were trained on. What a model names is never replaced.
Defaults defaults_of(const Attributes& attributes) {
  const auto attribute = attributes.find("dataset");
  const std::string* const dataset =
      attribute == attributes.end() ? nullptr : std::get_if<std::string>(&attribute->second);
  return {.name = dataset != nullptr ? *dataset : data::kDefaultName,
          .or_digits = dataset == nullptr,
          .normalization = {.mean = static_cast<float>(real_attribute(attributes, "normalization_mean")),
                            .std = static_cast<float>(real_attribute(attributes, "normalization_std"))}};
}

// What the model's outputs are; a file that does not say is of classes.
std::string targets_of(const Attributes& attributes) {
  const auto attribute = attributes.find("targets");
  const std::string* const targets =
      attribute == attributes.end() ? nullptr : std::get_if<std::string>(&attribute->second);
  return targets != nullptr ? *targets : "classes";
}

}  // namespace

RunData open_run_data(const DataSettings& section, const std::optional<std::filesystem::path>& folder,
                      const data::Readers& readers, const Attributes& trained) {
  return open(section, folder, readers, trained.empty() ? Defaults() : defaults_of(trained));
}

void check_fits(const data::Dataset& dataset, const std::string& description, const Shape& input, const Shape& output) {
  const std::string mend = "; name the right data with --data DIR";
  check(dataset.example_shape() == input, "model: expects examples of shape ", input, ", but ", description, " has ",
        dataset.example_shape(), mend);
  check(output.rank() == 1, "model: expected one number a class for an example, it gives ", output);
  const std::int64_t classes = output.elements();
  if (dataset.targets != data::TargetKind::kClasses) {
    check(dataset.classes == classes, "model: gives ", classes, " numbers for an example, but ", description, " has ",
          dataset.classes, ' ', data::name_of(dataset.targets), mend);
    return;
  }
  const auto labels = dataset.labels.data<std::int32_t>();
  const auto beyond = std::ranges::find_if(labels, [&](std::int32_t label) { return label >= classes; });
  if (beyond != labels.end()) {
    fail("model: gives ", classes, " classes, 0 to ", classes - 1, ", but ", description, " has label ", *beyond, " (",
         dataset.name, ", example ", beyond - labels.begin(), ')', mend);
  }
}

Attributes model_attributes(const std::string& recipe, std::uint64_t seed, const RunData& data) {
  Attributes attributes{{"recipe", recipe},
                        {"dataset", data.name},
                        {"seed", static_cast<std::int64_t>(seed)},
                        {"normalization_mean", static_cast<double>(data.normalization.mean)},
                        {"normalization_std", static_cast<double>(data.normalization.std)}};
  if (data.train.targets != data::TargetKind::kClasses) {
    attributes["targets"] = std::string(data::name_of(data.train.targets));
  }
  return attributes;
}

RunData open_model_data(const quant::OpenedModel& model, const std::optional<std::filesystem::path>& folder) {
  RunData data = open({}, folder, data::standard_readers(), defaults_of(model.attributes));
  check_fits(data.test, data.description, model.input_shape(), model.output_shape());
  const std::string targets = targets_of(model.attributes);
  check(targets == data::name_of(data.test.targets), "model: was trained on ", targets, ", but the targets of ",
        data.description, " are ", data::name_of(data.test.targets), "; name the right data with --data DIR");
  return data;
}

}  // namespace detent::train
