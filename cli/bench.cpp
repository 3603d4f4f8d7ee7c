#include "detent/recipes/bench/bench.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/text/extents.h"
#include "detent/report/json_text.h"

namespace detent::cli {
namespace {

const std::vector<std::string> kBenchmarks{"step", "infer", "calibrate"};

/// "56x56x1"
Shape image_of(const std::string& text) {
  constexpr std::int64_t kLargest = 1 << 14;
  const auto extents = extents_from(text);
  check(extents && extents->size() == 3 && std::ranges::max(*extents) <= kLargest,
        "bench: --image: expected height x width x channels, such as 56x56x1, got '", text, "'");
  return Shape(*extents);
}

int bench(const Arguments& arguments) {
  const std::string what = arguments.positionals()[0];
  check(std::ranges::find(kBenchmarks, what) != kBenchmarks.end(), "bench: unknown benchmark '", what, "'",
        hint(what, kBenchmarks), " `detent bench --help` lists them");
  const auto model = arguments.text("model");
  check(model.has_value(), "bench: --model is missing; for example: detent bench ", what, " --model mnist-cnn");
  check(what == "infer" || !model->ends_with(".h5"), "bench ", what,
        ": --model: expected a recipe, got the model file '", *model, "'; a ", what,
        " is of a recipe, and detent bench infer takes model files");
  const auto image_text = arguments.text("image");
  const std::optional<Shape> image = image_text ? std::optional(image_of(*image_text)) : std::nullopt;
  const recipes::BenchOptions options{.model = *model,
                                      .precision = arguments.text("precision").value_or("fp32"),
                                      .image = image,
                                      .batch = arguments.whole("batch", 0, 1, 1 << 20),
                                      .threads = threads_of(arguments),
                                      .runs = arguments.whole("runs", 0, 1, 1'000'000),
                                      .profile = arguments.has("profile")};
  check(what == "step" || !options.profile, "bench ", what, ": --profile measures training steps; use bench step");
  ConsoleReporter reporter(true);
  if (what == "calibrate") {
    check(!arguments.text("precision"),
          "bench calibrate: --precision: a calibration pass computes in fp32; leave it out");
    recipes::CalibrationBench bench;
    in_pool(arguments, [&] { bench = recipes::bench_calibrate(options, reporter); });
    print(arguments.has("json") ? report::json_text(recipes::to_json(bench)) : recipes::to_text(bench));
    return 0;
  }
  recipes::BenchResult result;
  in_pool(arguments, [&] {
    result = what == "step" ? recipes::bench_step(options, reporter) : recipes::bench_infer(options, reporter);
  });
  print(arguments.has("json") ? report::json_text(recipes::to_json(result)) : recipes::to_text(result));
  return 0;
}

}  // namespace

Command bench_command() {
  return {.spec = {.name = "bench",
                   .positionals = "step|infer|calibrate",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Time a training step, inference or a calibration pass",
                   .example = "detent bench step --model mnist-cnn --precision qat --batch 128 --threads 2\n"
                              "detent bench step --model my.toml --precision bf16 --profile\n"
                              "detent bench infer --model runs/mnist-cnn/int8.h5 --precision int8 --batch 1 --json\n"
                              "detent bench calibrate --model mnist-cnn",
                   .options = {{"model", "MODEL", "A recipe, by name or file; for infer also a model file (*.h5)"},
                               {"precision", "fp32|bf16|fp16|qat|int8",
                                "step: fp32, bf16, fp16 or qat; infer: fp32 or int8 (default: fp32)"},
                               {"image", "HxWxC", "Size of the images of a recipe (default: that of its data)"},
                               {"batch", "N", "Examples of a batch (default: the recipe's, 128 for a model file)"},
                               threads_option(),
                               {"runs", "N", "Timed runs (default: as many as take two seconds, at least 20)"},
                               {"profile", "", "Of a step: time by module and phase, and the memory that each saves"},
                               json_option()}},
          .run = bench};
}

}  // namespace detent::cli
