#include "detent/train/run_data.h"

#include <algorithm>
#include <cmath>

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
  data.validation = data.train;
  data.validation->examples = data.train.examples.rows(all - held_out, all);
  data.validation->labels = data.train.labels.rows(all - held_out, all);
  data.train = data.train.take(all - held_out);
}

RunData open(const DataSettings& section, const data::SourceOptions& options) {
  const data::DataSource source = data::open_data(options);
  RunData result{.name = source.name,
                 .description = source.description,
                 .is_builtin = source.is_builtin,
                 .train = source.train,
                 .validation = {},
                 .test = source.test,
                 .normalization = section.normalize};
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

// Fails for images that the model does not take and for labels that it cannot give.
void check_fits(const RunData& data, const quant::OpenedModel& model) {
  const std::string mend = "; name the right data with --data DIR";
  check(data.test.example_shape() == model.input_shape(), "model: expects examples of shape ", model.input_shape(),
        ", but ", data.description, " has ", data.test.example_shape(), mend);
  check(model.output_shape().rank() == 1, "model: expected one number a class for an example, it gives ",
        model.output_shape());
  const std::int64_t classes = model.output_shape().elements();
  const auto labels = data.test.labels.data<std::int32_t>();
  const auto beyond = std::ranges::find_if(labels, [&](std::int32_t label) { return label >= classes; });
  if (beyond != labels.end()) {
    fail("model: gives ", classes, " classes, 0 to ", classes - 1, ", but ", data.description, " has label ", *beyond,
         " (test example ", beyond - labels.begin(), ')', mend);
  }
}

double real_attribute(const quant::OpenedModel& model, const std::string& name) {
  const auto found = model.attributes.find(name);
  const double* value = found == model.attributes.end() ? nullptr : std::get_if<double>(&found->second);
  check(value != nullptr && std::isfinite(*value), "model: has no attribute '", name,
        "', which tells how its images are normalized; name a model that detent run wrote (fp32.h5, qat.h5, int8.h5), "
        "not "
        "its checkpoint");
  return *value;
}

}  // namespace

RunData open_run_data(const DataSettings& section, const std::optional<std::filesystem::path>& folder,
                      const data::Readers& readers) {
  return open(section, {.name = section.name, .folder = folder, .readers = readers});
}

Attributes model_attributes(const std::string& recipe, std::uint64_t seed, const RunData& data) {
  return {{"recipe", recipe},
          {"dataset", data.name},
          {"seed", static_cast<std::int64_t>(seed)},
          {"normalization_mean", static_cast<double>(data.normalization.mean)},
          {"normalization_std", static_cast<double>(data.normalization.std)}};
}

RunData open_model_data(const quant::OpenedModel& model, const std::optional<std::filesystem::path>& folder) {
  // Old files and models made by hand may not say what they were trained on. What a model names is never replaced.
  const auto attribute = model.attributes.find("dataset");
  const std::string* const dataset =
      attribute == model.attributes.end() ? nullptr : std::get_if<std::string>(&attribute->second);
  DataSettings section;
  section.normalize.mean = static_cast<float>(real_attribute(model, "normalization_mean"));
  section.normalize.std = static_cast<float>(real_attribute(model, "normalization_std"));
  RunData data =
      open(section,
           {.name = dataset != nullptr ? *dataset : section.name, .folder = folder, .or_digits = dataset == nullptr});
  check_fits(data, model);
  return data;
}

}  // namespace detent::train
