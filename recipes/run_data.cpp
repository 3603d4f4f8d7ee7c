#include "recipes/run_data.h"

#include <algorithm>
#include <cmath>

#include "data/source.h"
#include "kernels/error.h"

namespace detent::recipes {
namespace {

std::string dataset_name(const std::string& name, bool is_builtin) {
  return is_builtin ? "digits" : std::filesystem::path(name).stem().string();
}

double real_attribute(const nn::Model& model, const std::string& name) {
  const auto found = model.attributes.find(name);
  const double* value = found == model.attributes.end() ? nullptr : std::get_if<double>(&found->second);
  check(value != nullptr && std::isfinite(*value), "model: has no attribute '", name,
        "', which tells how its images are normalized; name a model that detent run wrote (fp32.h5, qat.h5, int8.h5), "
        "not "
        "its checkpoint");
  return *value;
}

}  // namespace

RunData open_run_data(const DataSection& section, const std::optional<std::filesystem::path>& folder) {
  const data::DataSource source = data::open_data({.name = section.name, .folder = folder});
  RunData result{.name = dataset_name(section.name, source.is_builtin),
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
  const std::int64_t all = result.train.size();
  const auto held_out = static_cast<std::int64_t>(section.validation * static_cast<double>(all));
  if (held_out > 0) {
    data::Dataset validation = result.train;
    validation.images = result.train.images.rows(all - held_out, all);
    validation.labels = result.train.labels.rows(all - held_out, all);
    result.validation = validation;
    result.train = result.train.take(all - held_out);
  }
  return result;
}

Attributes model_attributes(const std::string& recipe, std::uint64_t seed, const RunData& data) {
  return {{"recipe", recipe},
          {"dataset", data.name},
          {"seed", static_cast<std::int64_t>(seed)},
          {"normalization_mean", static_cast<double>(data.normalization.mean)},
          {"normalization_std", static_cast<double>(data.normalization.std)}};
}

RunData open_model_data(const nn::Model& model, const std::optional<std::filesystem::path>& folder) {
  const auto dataset = model.attributes.find("dataset");
  DataSection section;
  if (folder) {
    const std::filesystem::path absolute = std::filesystem::absolute(*folder).lexically_normal();
    const std::filesystem::path last = absolute.has_filename() ? absolute : absolute.parent_path();
    section.name = last.has_filename() ? last.filename().string() : "data";
  } else if (dataset != model.attributes.end() && std::holds_alternative<std::string>(dataset->second)) {
    section.name = std::get<std::string>(dataset->second);
  }
  section.normalize.mean = static_cast<float>(real_attribute(model, "normalization_mean"));
  section.normalize.std = static_cast<float>(real_attribute(model, "normalization_std"));
  RunData data = open_run_data(section, folder);
  check(data.test.image_shape() == model.graph.input_shape(), "model: expects images of shape ",
        model.graph.input_shape(), ", but ", data.description, " has ", data.test.image_shape(),
        "; name the right data with --data DIR");
  return data;
}

}  // namespace detent::recipes
