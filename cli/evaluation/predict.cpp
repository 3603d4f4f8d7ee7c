#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/cli/evaluation/example_files.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/json_text.h"
#include "detent/runtime/predictor/predictor.h"
#include "detent/train/model_attributes.h"

namespace detent::cli {
namespace {

constexpr std::int64_t kTop = 3;

/// What runs: of a model in training for int8 what it is converted to, which gives the same codes.
runtime::Predictor predictor_of(const quant::OpenedModel& model) {
  runtime::ModelFile file{.attributes = model.attributes};
  file.model = model.model() != nullptr ? *model.model()
               : model.kind == "fp32"   ? quant::lower(*model.graph())
                                        : quant::convert(*model.graph()).model;
  return runtime::Predictor(std::move(file));
}

/// What was said of the examples of a file.
struct Answers {
  std::string file = {};
  std::vector<std::string> names = {};  ///< of the examples
  std::vector<std::vector<runtime::Prediction>> predictions = {};
};

std::string for_people(const std::vector<Answers>& all) {
  std::string text;
  for (const Answers& answers : all) {
    for (std::size_t i = 0; i < answers.predictions.size(); ++i) {
      text += answers.names[i] + ": ";
      for (std::size_t rank = 0; rank < answers.predictions[i].size(); ++rank) {
        const runtime::Prediction& prediction = answers.predictions[i][rank];
        text += fmt::format("{}{} ", rank == 0 ? "" : ", ", prediction.name);
        text += std::isnan(prediction.probability) ? fmt::format("{:.6g}", prediction.value)
                                                   : fmt::format("{:.2f} %", 100.0F * prediction.probability);
      }
      text += "\n";
    }
  }
  return text;
}

/// `member` is what the outputs are called.
nlohmann::json for_programs(const std::vector<Answers>& all, const char* member) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Answers& answers : all) {
    for (std::size_t i = 0; i < answers.predictions.size(); ++i) {
      nlohmann::json outputs = nlohmann::json::array();
      for (const runtime::Prediction& prediction : answers.predictions[i]) {
        outputs.push_back({{"number", prediction.number},
                           {"name", prediction.name},
                           {"value", prediction.value},
                           {"probability", prediction.probability}});
      }
      rows.push_back({{"file", answers.file}, {"index", i}, {"name", answers.names[i]}, {member, std::move(outputs)}});
    }
  }
  return rows;
}

int predict(const Arguments& arguments) {
  const std::vector<std::string>& names = arguments.positionals();
  const std::int64_t top = arguments.whole("top", kTop, 1, 1'000'000);
  std::vector<Answers> all;
  std::string kind;
  const char* member = "classes";
  in_pool(arguments, [&] {
    const quant::OpenedModel model = quant::open_model(names[0]);
    kind = model.kind;
    const train::TrainedOn trained = train::trained_on(model.attributes);  // refuses a file that does not say
    runtime::Predictor predictor = predictor_of(model);
    member = predictor.output_kind() == runtime::OutputKind::Classes  ? "classes"
             : predictor.output_kind() == runtime::OutputKind::Values ? "values"
                                                                      : "flags";
    const Shape& shape = model.input_shape();
    for (auto file = names.begin() + 1; file != names.end(); ++file) {
      Examples examples = read_examples(*file, trained);
      for (const std::string& remark : examples.remarks) {
        print_error("detent: warning: " + *file + ": " + remark);
      }
      check(examples.values.shape().row() == shape, "predict: ", *file, " has examples of shape ",
            examples.values.shape().row(), ", but ", names[0], " expects ", shape);
      all.push_back({.file = *file,
                     .names = std::move(examples.names),
                     .predictions = predictor.predict(examples.values, static_cast<std::size_t>(top))});
    }
  });
  print(arguments.has("json")
            ? report::json_text({{"model", names[0]}, {"kind", kind}, {"predictions", for_programs(all, member)}})
            : for_people(all));
  return 0;
}

}  // namespace

Command predict_command() {
  return {.spec = {.name = "predict",
                   .positionals = "MODEL.h5 FILE...",
                   .min_positionals = 2,
                   .max_positionals = 1'000'000,
                   .summary = "What a model says of examples: classes and their probabilities",
                   .example = "detent predict runs/mnist-cnn/int8.h5 t10k-images-idx3-ubyte.gz\n"
                              "detent predict runs/cats/int8.h5 cat.png more/ --top 1 --json\n"
                              "detent predict runs/iris/int8.h5 flowers.csv",
                   .options = {{"top", "K", "Name the K likeliest classes of each example (default: 3)"},
                               threads_option(),
                               json_option()},
                   .names = {{"FILE", "Examples: pictures, tables, arrays, IDX or HDF5 files, or folders of them"}}},
          .run = predict};
}

}  // namespace detent::cli
