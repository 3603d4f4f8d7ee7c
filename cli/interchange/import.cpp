#include "detent/interchange/onnx/in/import.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/text/extents.h"
#include "detent/nn/model_file.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_table.h"
#include "detent/train/model_attributes.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

data::TargetKind task_of(const Arguments& arguments) {
  const std::string name = arguments.text("task").value_or("classes");
  std::vector<std::string> known;
  for (const data::TargetKind kind :
       {data::TargetKind::kClasses, data::TargetKind::kValues, data::TargetKind::kFlags}) {
    known.emplace_back(data::name_of(kind));
    if (name == known.back()) {
      return kind;
    }
  }
  fail("import: --task: unknown task '", name, "'", hint(name, known), " expected classes, values or flags");
}

std::optional<Shape> image_of(const Arguments& arguments) {
  const std::optional<std::string> text = arguments.text("image");
  if (!text) {
    return {};
  }
  const std::optional<Shape> image = image_shape_from(*text);
  check(image.has_value(), "import: --image: expected height and width, and channels if there are several, got '",
        *text, "'; write --image 28x28");
  return image;
}

int import(const Arguments& arguments) {
  constexpr double kLargest = 1e6;
  const std::string& source = arguments.positionals()[0];
  const std::optional<std::string> target = arguments.text("out");
  check(target.has_value(), "import: expected an output file; write detent import ", source, " -o fp32.h5");
  const fs::path path(*target);
  check(path.extension() == ".h5" || path.extension() == ".hdf5", "import: -o ", *target,
        ": expected a name that ends in .h5 or .hdf5, for models are written as HDF5; write -o ",
        fs::path(path).replace_extension(".h5").string());
  train::TrainedOn trained{.targets = task_of(arguments)};
  trained.normalization.mean = static_cast<float>(arguments.number("mean", -kLargest, kLargest).value_or(0.0));
  trained.normalization.std = static_cast<float>(arguments.number("std", 1.0 / kLargest, kLargest).value_or(1.0));

  onnx::Imported imported =
      onnx::import_file(source, {.output = arguments.text("result").value_or(""), .image = image_of(arguments)});
  const std::string layers = nn::summary(imported.graph);
  const std::int64_t parameters = imported.graph.parameter_count();
  nn::save_model({.graph = std::move(imported.graph), .kind = "fp32", .attributes = train::to_attributes(trained)},
                 path);
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path));
  if (arguments.has("json")) {
    print(report::json_text({{"source", source},
                             {"model", *target},
                             {"model_bytes", bytes},
                             {"parameters", parameters},
                             {"remarks", imported.remarks}}));
    return 0;
  }
  std::string text = layers;
  for (const std::string& remark : imported.remarks) {
    text += "note: " + remark + "\n";
  }
  print(text + "wrote " + *target + ", " + report::with_separators(bytes) + " bytes\n");
  return 0;
}

}  // namespace

Command import_command() {
  return {.spec = {.name = "import",
                   .positionals = "MODEL.onnx",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Make a float model of one in ONNX, to quantize or to evaluate",
                   .example = "detent import model.onnx -o fp32.h5 --mean 0.1307 --std 0.3081\n"
                              "detent quantize fp32.h5 --data mnist/",
                   .options = {{"o,out", "FILE", "The float model to write"},
                               {"result", "NAME", "The output to import, of a model that has several"},
                               {"image", "HxW",
                                "Rows that it takes are images, of 28x28 (or 32x32x3), flattened in the order H W C"},
                               {"mean", "M",
                                "How its inputs are normalized: (p / 255 - M) / S of bytes, "
                                "(value - M) / S of real numbers (default: 0)"},
                               {"std", "S", "S of --mean (default: 1)"},
                               {"task", "NAME", "What its outputs are: classes (default), values or flags"},
                               json_option()}},
          .run = import};
}

}  // namespace detent::cli
