#include "detent/train/run_data.h"

#include <algorithm>
#include <system_error>

#include "detent/core/error.h"
#include "detent/core/utf8.h"
#include "detent/data/source.h"
#include "detent/data/split.h"
#include "detent/train/output_folder.h"
#include "detent/train/resume/earlier_run.h"

namespace detent::train {
namespace {

// Splits a share of the examples off `data.train`, by class.
void hold_out(RunData& data, double share) {
  const std::int64_t all = data.train.size();
  check(share * static_cast<double>(all) >= 1.0, "[data] validation: ", share, " of ", all,
        " training examples is none; write at least ", 1.0 / static_cast<double>(all), ", or 0");
  check(share < 1.0, "[data] validation: ", share, " of ", all, " training examples leaves none to train on");
  const data::Split split = data::stratified_split(data.train, share, static_cast<std::uint64_t>(data.read.split_seed));
  check(!split.held_out.empty(), "[data] validation: no class has an example to spare");
  data.validation = data.train.subset(split.held_out);
  data.train = data.train.subset(split.kept);
}

bool is_plain(const std::string& path) {
  return find_invalid_utf8(path) == std::string::npos &&
         std::ranges::none_of(path, [](unsigned char letter) { return letter < 0x20 || letter == 0x7f; });
}

// In full, for the record of a run; nothing of a path that it cannot hold.
std::string full_path(const std::filesystem::path& path) {
  std::error_code error;
  std::string text = std::filesystem::absolute(path, error).lexically_normal().string();
  return error || !is_plain(text) ? std::string() : text;
}

// Whether data can be read there: no pipe or device, at which a reader would wait.
bool is_there(const std::string& path) {
  std::error_code error;
  return !path.empty() && (std::filesystem::is_regular_file(path, error) || std::filesystem::is_directory(path, error));
}

// Opens what nobody names a folder for: where a model's data lay, if that is there, else what has its name.
data::DataSource open_as_trained(data::SourceOptions options, const std::string& data_path) {
  if (is_there(data_path)) {
    options.folder = data_path;
    data::DataSource source = data::open_data(options);
    source.description += " (where the model's data lay when it was trained)";
    return source;
  }
  try {
    return data::open_data(options);
  } catch (const Error& error) {
    check(data_path.empty(), data_path, ": the data that the model was trained on are no longer there, and ",
          error.what());
    throw;
  }
}

// Whether classes are called what their numbers are anyway.
bool are_numbers(const std::vector<std::string>& class_names) {
  for (std::size_t k = 0; k < class_names.size(); ++k) {
    if (class_names[k] != std::to_string(k)) {
      return false;
    }
  }
  return true;
}

// Classes that have names in the model and in the data are one by their names. Where but one of the two has names, the
// numbers of the other may mean anything: the model's names are asked for, and those of the data told.
void compare_class_names(const TrainedOn& trained, data::DataSource& source) {
  const std::vector<std::string>& names = source.train.class_names;
  if (source.train.targets != data::TargetKind::kClasses || are_numbers(names) == are_numbers(trained.class_names)) {
    return;
  }
  if (!are_numbers(trained.class_names)) {
    fail("model: its classes have names, the first \"", trained.class_names.front(), "\", but the labels of ",
         source.description, " are numbers; give it data whose labels are these names");
  }
  source.description += ", whose class \"" + names.front() + "\" is 0 to the model, and so on in this order";
}

// `trained` is what the settings leave open, `data_path` where the model's data lay, if nobody names others.
RunData open(const DataSettings& section, const std::optional<std::filesystem::path>& folder,
             const data::Readers& readers, const TrainedOn& trained, const std::string& data_path) {
  data::ReadOptions read = section.read == data::ReadOptions() ? trained.read : section.read;
  read.class_names = trained.class_names;
  read.known_features = trained.feature_names;
  const std::optional<std::string> name = section.name ? section.name : trained.dataset;
  const data::SourceOptions options{.name = name, .folder = folder, .readers = readers, .read = read};
  const bool is_named = folder.has_value() || section.name.has_value();
  data::DataSource source = is_named ? data::open_data(options) : open_as_trained(options, data_path);
  if (trained.dataset) {
    compare_class_names(trained, source);
  }
  RunData result{.name = source.name,
                 .description = source.description,
                 .is_builtin = source.is_builtin,
                 .train = source.train,
                 .validation = {},
                 .test = source.test,
                 .normalization = section.normalize.value_or(trained.normalization),
                 .read = read,
                 .path = {}};
  if (folder || (section.name && data::is_path(*section.name))) {
    result.path = full_path(folder ? *folder : std::filesystem::path(*section.name));
  } else if (is_there(data_path)) {
    result.path = data_path;
  }
  if (section.train_examples > 0) {
    result.train = result.train.take(section.train_examples);
  }
  if (section.test_examples > 0) {
    result.test = result.test.take(section.test_examples);
  }
  if (section.validation > 0) {
    hold_out(result, section.validation);
  }
  if (section.normalize_columns) {
    result.normalization = data::column_normalization(result.train);
  }
  return result;
}

}  // namespace

RunData open_run_data(const DataSettings& section, const std::optional<std::filesystem::path>& folder,
                      const data::Readers& readers, const Attributes& trained, const std::filesystem::path& file) {
  const std::string data_path = folder || section.name ? std::string() : data_path_of(trained, file);
  return open(section, folder, readers, trained.empty() ? TrainedOn() : trained_on(trained), data_path);
}

void check_fits(const data::Dataset& dataset, const std::string& description, const Shape& input, const Shape& output) {
  const std::string mend = "; name the right data with --data DIR";
  const Shape shape = dataset.example_shape();
  const bool is_row_of_image = input == Shape{shape.elements()} && shape.rank() == 3;
  check(shape == input, "model: expects examples of shape ", input, ", but ", description, " has ", shape,
        is_row_of_image ? "; import it with --image, in a recipe [model] image: the rows that it takes are images"
                        : mend);
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
  Attributes attributes = to_attributes({.dataset = data.name,
                                         .normalization = data.normalization,
                                         .targets = data.train.targets,
                                         .class_names = data.train.class_names,
                                         .feature_names = data.train.feature_names,
                                         .read = data.read});
  attributes["recipe"] = recipe;
  attributes["seed"] = static_cast<std::int64_t>(seed);
  return attributes;
}

std::string data_path_of(const Attributes& attributes, const std::filesystem::path& file) {
  const std::filesystem::path metrics = file.parent_path() / kMetricsFile;
  std::error_code error;
  if (file.empty() || !std::filesystem::is_regular_file(metrics, error)) {
    return {};
  }
  const auto says = [&](const char* name, const TensorFile::Attribute& value) {
    const auto found = attributes.find(name);
    return found != attributes.end() && found->second == value;
  };
  try {
    const RunIdentity run = read_finished_run(metrics).identity;
    const bool is_of_run = says("recipe", run.recipe) && says("seed", static_cast<std::int64_t>(run.seed));
    return is_of_run && is_plain(run.record.data_path) ? run.record.data_path : std::string();
  } catch (const Error&) {  // the model can be used without
    return {};
  }
}

RunData open_model_data(const quant::OpenedModel& model, const std::optional<std::filesystem::path>& folder,
                        const std::vector<std::string>& columns) {
  TrainedOn trained = trained_on(model.attributes);
  std::vector<std::string>& kept = trained.read.slices;
  for (const std::string& column : trained.feature_names.empty() ? columns : std::vector<std::string>()) {
    if (std::ranges::count(kept, column) == 0) {
      kept.push_back(column);
    }
  }
  const std::string data_path = folder ? std::string() : data_path_of(model.attributes, model.file);
  RunData data = open({}, folder, data::standard_readers(), trained, data_path);
  check_fits(data.test, data.description, model.input_shape(), model.output_shape());
  check(trained.targets == data.test.targets, "model: was trained on ", data::name_of(trained.targets),
        ", but the targets of ", data.description, " are ", data::name_of(data.test.targets),
        "; name the right data with --data DIR");
  return data;
}

void check_reads_alike(const quant::OpenedModel& model, const quant::OpenedModel& other) {
  const TrainedOn ours = trained_on(model.attributes), theirs = trained_on(other.attributes);
  const auto compare = [&](const char* what, const std::vector<std::string>& a, const std::vector<std::string>& b) {
    if (a.empty() || b.empty() || a == b) {
      return;
    }
    const auto [first, second] = std::ranges::mismatch(a, b);
    const auto name = [](const auto& at, const auto& names) { return at == names.end() ? "nothing" : '"' + *at + '"'; };
    fail(model.file.string(), " and ", other.file.string(), ": were trained on other ", what,
         ", or in another order: ", name(first, a), " is ", name(second, b), "; evaluate each by itself");
  };
  compare("features", ours.feature_names, theirs.feature_names);
  compare("classes", ours.class_names, theirs.class_names);
}

}  // namespace detent::train
