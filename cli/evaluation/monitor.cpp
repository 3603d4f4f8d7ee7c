#include "detent/evaluation/drift/monitor.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/cli/evaluation/example_files.h"
#include "detent/report/drift/drift_json.h"
#include "detent/report/drift/drift_table.h"
#include "detent/report/html/drift_page.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_table.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

evaluation::DriftBounds bounds_of(const Arguments& arguments) {
  constexpr double kMost = 1000.0;
  evaluation::DriftBounds bounds;
  bounds.moved = arguments.number("warn-psi", 0.0, kMost).value_or(bounds.moved);
  bounds.max_psi = arguments.number("max-psi", 0.0, kMost).value_or(bounds.max_psi);
  bounds.max_ks = arguments.number("max-ks", 0.0, 1.0).value_or(*bounds.max_ks);
  bounds.max_saturation = arguments.number("max-saturation", 0.0, 1.0).value_or(*bounds.max_saturation);
  bounds.max_mean_shift = arguments.number("max-mean-shift", 0.0, kMost);
  return bounds;
}

/// What the model is to look at: no labels are needed.
struct LiveData {
  data::Dataset examples = {};
  data::Normalization normalization = {};
  std::string description = {};
};

LiveData live_data(const Arguments& arguments, const quant::OpenedModel& model, const train::TrainedOn& trained) {
  const std::optional<std::string> path = arguments.text("data");
  if (!path) {
    train::RunData data = train::open_model_data(model, {});
    return {std::move(data.test), data.normalization, "the test set of " + data.description};
  }
  Tensor values = read_examples(*path, trained).values;
  const std::int64_t count = values.shape()[0];
  check(values.shape().row() == model.input_shape(), "monitor: ", *path, " has examples of shape ",
        values.shape().row(), ", but ", arguments.positionals()[0], " expects ", model.input_shape());
  return {{.name = *path, .examples = std::move(values), .labels = Tensor::zeros({count}, DType::S32), .classes = 1},
          trained.normalization,
          *path};
}

/// Writes the model again, with the distributions of `live` as those of its training data.
int record(const Arguments& arguments, const fs::path& target) {
  check(!arguments.has("report"), "monitor: --record compares nothing, so there is no page; leave out --report");
  for (const char* const bound : {"max-psi", "warn-psi", "max-ks", "max-saturation", "max-mean-shift"}) {
    check(!arguments.has(bound), "monitor: --record compares nothing; leave out --", bound);
  }
  check(target.extension() == ".h5" || target.extension() == ".hdf5", "monitor: --record ", target.string(),
        ": expected a name that ends in .h5 or .hdf5, for models are written as HDF5; write --record ",
        fs::path(target).replace_extension(".h5").string());
  ConsoleReporter reporter(arguments.has("json"));
  evaluation::ModelDistributions seen;
  in_pool(arguments, [&] {
    quant::OpenedModel model = quant::open_model(arguments.positionals()[0]);
    const LiveData live = live_data(arguments, model, train::trained_on(model.attributes));
    const runtime::Model runs = evaluation::runnable(model);
    check(!evaluation::watched_values(runs).empty(), "monitor: expected a model of one input of real numbers");
    seen = evaluation::distributions_of(runs, evaluation::reference_sample(live.examples, 1), live.normalization,
                                        reporter);
    model.attributes[evaluation::kDistributionsAttribute] = evaluation::to_attribute(seen);
    if (model.model() != nullptr) {
      runtime::save_model({.model = runs, .attributes = std::move(model.attributes)}, target);
    } else {
      nn::save_model({.graph = std::move(*model.graph()), .kind = model.kind, .attributes = model.attributes}, target);
    }
  });
  const std::size_t values = seen.codes.size() + seen.reals.size();
  print(arguments.has("json") ? report::json_text({{"model", target.string()},
                                                   {"model_bytes", fs::file_size(target)},
                                                   {"examples", seen.examples},
                                                   {"values", values}})
                              : "wrote " + target.string() + " with the distributions of " +
                                    report::with_separators(static_cast<std::int64_t>(values)) + " values on " +
                                    report::with_separators(seen.examples) + " examples\n");
  return 0;
}

int monitor(const Arguments& arguments) {
  const evaluation::DriftBounds bounds = bounds_of(arguments);
  if (const auto target = arguments.text("record")) {
    return record(arguments, *target);
  }
  const bool is_json = arguments.has("json");
  const std::string& file = arguments.positionals()[0];
  ConsoleReporter reporter(is_json);
  std::string kind, description;
  evaluation::Drift drift;
  in_pool(arguments, [&] {
    const quant::OpenedModel model = quant::open_model(file);
    const auto stored = model.attributes.find(evaluation::kDistributionsAttribute);
    check(stored != model.attributes.end(), file, ": has no distributions of its training data to compare with; ",
          "detent monitor ", shell_quoted(file), " --data TRAINING --record NEW.h5 writes it with some");
    evaluation::ModelDistributions reference;
    try {
      reference = evaluation::from_attribute(stored->second);
    } catch (const Error& error) {
      fail(file, ": ", error.what());
    }
    const train::TrainedOn trained = train::trained_on(model.attributes);
    const LiveData live = live_data(arguments, model, trained);
    kind = model.kind;
    description = live.description;
    reporter.message("data: " + description);
    drift = evaluation::drift_of(evaluation::runnable(model), reference, live.examples, live.normalization,
                                 trained.feature_names, bounds, reporter);
  });
  nlohmann::json json = report::to_json(drift);
  json.update({{"model", file}, {"kind", kind}, {"data", description}});
  const std::optional<std::string> page = arguments.text("report");
  if (page) {
    write_text_file(*page, report::html::drift_page(json, arguments.command()));
  }
  if (is_json) {
    print(report::json_text(json));
  } else {
    print(file + " (" + kind + ")\n" + report::to_text(drift) + (page ? "report in " + *page + "\n" : ""));
  }
  for (const std::string& failure : drift.verdict.failures) {
    print_error("detent: check failed: " + failure);
  }
  return drift.verdict.failures.empty() ? 0 : 1;
}

}  // namespace

Command monitor_command() {
  return {.spec = {.name = "monitor",
                   .positionals = "MODEL.h5",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Whether inputs and activations on new examples still are as on the training data",
                   .example = "detent monitor runs/mnist-cnn/int8.h5 --data today/\n"
                              "detent monitor runs/cats/int8.h5 --data pictures/ --max-psi 0.1 --json\n"
                              "detent monitor runs/cats/int8.h5 --data pictures/ --report drift.html\n"
                              "detent monitor old.h5 --data train-images-idx3-ubyte.gz --record new.h5",
                   .options = {{"data", "DIR",
                                "File or folder of new examples, with or without labels; of a data set its test part "
                                "(default: the test set that the model was trained for)"},
                               {"max-psi", "PSI", "Fail if a population stability index is larger (default: 0.25)"},
                               {"warn-psi", "PSI", "Say that a value moved from this one on (default: 0.1)"},
                               {"max-ks", "SHARE", "Fail if a Kolmogorov-Smirnov statistic is larger (default: 0.2)"},
                               {"max-saturation", "SHARE",
                                "Fail if a larger share of codes more than on the training data is at the ends "
                                "(default: 0.02)"},
                               {"max-mean-shift", "D",
                                "Fail if a mean is further off, in deviations of the training data (default: any)"},
                               {"report", "FILE", "Also write a page about it: one HTML file"},
                               {"record", "FILE",
                                "Compare nothing: write the model, with these examples as its training data"},
                               threads_option(),
                               json_option()}},
          .run = monitor};
}

}  // namespace detent::cli
