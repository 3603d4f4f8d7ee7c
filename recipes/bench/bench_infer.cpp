#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/open_model.h"
#include "detent/quant/passes/prepare.h"
#include "detent/recipes/bench/bench.h"
#include "detent/recipes/bench/bench_work.h"
#include "detent/runtime/plan.h"

namespace detent::recipes {
namespace {

constexpr std::int64_t kBatchOfFiles = 128;
constexpr std::int64_t kCalibrationImages = 64;

// The model as it is, with what says how it becomes int8.
struct Source {
  quant::OpenedModel model;
  quant::QConfigMapping mapping = quant::QConfigMapping();
  std::int64_t batch = kBatchOfFiles;
};

Source open(const std::string& model, const std::optional<Shape>& image) {
  if (model.ends_with(".h5")) {
    check(!image, "bench infer: --image: ", model, " has images of its own size; name a recipe");
    return {.model = quant::open_model(model)};
  }
  const Recipe recipe = load_recipe(model);
  return {.model = {.kind = "fp32", .content = float_graph_of(recipe, image)},
          .mapping = recipe.qconfig_mapping(),
          .batch = recipe.train.batch};
}

runtime::Model quantized(const Source& source) {
  if (source.model.kind == "int8") {
    return *source.model.model();
  }
  if (source.model.kind == "qat") {
    return quant::convert(*source.model.graph()).model;
  }
  nn::Graph prepared = quant::prepare(*source.model.graph(), source.mapping);
  nn::Tape tape(nullptr, nn::Tape::Mode::Inference);
  nn::Context context{.tape = tape};
  prepared.forward(context, tape.constant(random_images(kCalibrationImages, prepared.input_shape())));
  quant::freeze_observers(prepared);
  return quant::convert(prepared).model;
}

}  // namespace

BenchResult bench_infer(const BenchOptions& options, evaluation::Reporter& reporter) {
  const bool is_int8 = options.precision == "int8";
  check(is_int8 || options.precision == "fp32", "bench infer: --precision: expected fp32 or int8, got '",
        options.precision, "'");
  const Source source = open(options.model, options.image);
  check(is_int8 || source.model.kind == "fp32", "bench infer: ", options.model, " is a ", source.model.kind,
        " model; use --precision int8, or name its fp32.h5");
  const runtime::Model model = is_int8 ? quantized(source) : quant::lower(*source.model.graph());

  BenchResult result{.what = "infer",
                     .model = options.model,
                     .precision = options.precision,
                     .batch = options.batch > 0 ? options.batch : source.batch,
                     .threads = options.threads,
                     .peak = kernels::measure_peak(options.threads)};
  result.ideal_seconds = static_cast<double>(result.batch) * ideal_inference_seconds(model, result.peak);
  const Tensor images = random_images(result.batch, source.model.input_shape());
  runtime::Plan plan(model, result.batch);
  time_runs(result, options.runs, reporter, [&] { plan.run(images); });
  return result;
}

}  // namespace detent::recipes
