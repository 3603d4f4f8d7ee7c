#include "detent/nn/fuse_relu.h"
#include "detent/nn/model_file.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/prepare.h"
#include "detent/quant/plan/plan.h"
#include "detent/recipes/bench.h"
#include "detent/recipes/bench_work.h"

namespace detent::recipes {
namespace {

constexpr std::int64_t kBatchOfFiles = 128;
constexpr std::int64_t kCalibrationImages = 64;

// The model as it is, with what says how it becomes int8.
struct Source {
  nn::Graph graph;
  std::string kind = "fp32";
  quant::QConfigMapping mapping = quant::QConfigMapping();
  std::int64_t batch = kBatchOfFiles;
};

Source open(const std::string& model) {
  if (model.ends_with(".h5")) {
    nn::Model loaded = nn::load_model(model, quant::module_kinds());
    return {.graph = std::move(loaded.graph), .kind = loaded.kind};
  }
  const Recipe recipe = load_recipe(model);
  return {.graph = float_graph_of(recipe), .mapping = recipe.qconfig_mapping(), .batch = recipe.train.batch};
}

nn::Graph quantized(const Source& source) {
  if (source.kind == "int8") {
    return source.graph;
  }
  if (source.kind == "qat") {
    return quant::convert(source.graph).graph;
  }
  nn::Graph prepared = quant::prepare(source.graph, source.mapping);
  nn::Tape tape(nullptr, nn::Tape::Mode::Inference);
  nn::Context context{.tape = tape};
  prepared.forward(context, tape.constant(random_images(kCalibrationImages, prepared.input_shape())));
  quant::freeze_observers(prepared);
  return quant::convert(prepared).graph;
}

}  // namespace

BenchResult bench_infer(const BenchOptions& options, evaluation::Reporter& reporter) {
  const bool is_int8 = options.precision == "int8";
  check(is_int8 || options.precision == "fp32", "bench infer: --precision: expected fp32 or int8, got '",
        options.precision, "'");
  const Source source = open(options.model);
  check(is_int8 || source.kind == "fp32", "bench infer: ", options.model, " is a ", source.kind,
        " model; use --precision int8, or name its fp32.h5");
  const nn::Graph graph = is_int8 ? quantized(source) : nn::fuse_relu(source.graph);

  BenchResult result{.what = "infer",
                     .model = options.model,
                     .precision = options.precision,
                     .batch = options.batch > 0 ? options.batch : source.batch,
                     .threads = options.threads,
                     .peak = kernels::measure_peak(options.threads)};
  result.ideal_seconds = static_cast<double>(result.batch) * ideal_inference_seconds(graph, result.peak);
  const Tensor images = random_images(result.batch, graph.input_shape());
  quant::InferencePlan plan(graph, result.batch);
  time_runs(result, options.runs, reporter, [&] { plan.run(images); });
  return result;
}

}  // namespace detent::recipes
