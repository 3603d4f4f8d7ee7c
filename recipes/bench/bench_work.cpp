#include "detent/recipes/bench/bench_work.h"

#include <algorithm>

#include "detent/core/philox.h"
#include "detent/core/threads/parallel.h"
#include "detent/data/digits.h"
#include "detent/data/source.h"
#include "detent/recipes/model_builder.h"
#include "detent/train/run_data.h"

namespace detent::recipes {
namespace {

double peak_of(const kernels::Peak& peak, DType dtype) {
  switch (dtype) {
    case DType::BF16:
      return peak.bf16;
    case DType::U8:
    case DType::S8:
      return peak.int8;
    default:
      return peak.f32;  // products in f16 are computed in f32
  }
}

// 2 x multiply-adds of one example.
double operations(const nn::Graph& graph, const nn::Graph::Node& node) {
  std::vector<Shape> inputs;
  for (const nn::Graph::Handle input : node.inputs) {
    inputs.push_back(graph.node(input).shape);
  }
  return 2.0 * static_cast<double>(node.module->multiply_adds(inputs));
}

bool is_integer(const nn::Module& module) { return module.kind().starts_with("qat_"); }

}  // namespace

nn::Graph float_graph_of(const Recipe& recipe, const std::optional<Shape>& wanted) {
  Shape image = wanted.value_or(Shape{data::kDigitSize, data::kDigitSize, 1});
  std::int64_t classes = 10;
  if (!recipe.model.file.empty()) {
    return trained_model_of(recipe, quant::standard_kinds()).graph;
  }
  const std::string name = recipe.data.name.value_or(data::kDefaultName);
  if (!wanted && name != data::kDefaultName && name != "digits") {
    const train::RunData data = train::open_run_data(recipe.data, std::nullopt);
    image = data.train.example_shape();
    classes = data.train.classes;
  }
  nn::Graph graph = build_model(recipe.model, image, classes);
  graph.initialize(1);
  return graph;
}

Tensor random_images(std::int64_t batch, const Shape& shape) {
  Tensor images = Tensor::empty(shape.batched(batch), DType::F32);
  RandomStream random(1, "bench/images");
  for (std::int64_t i = 0; i < batch; ++i) {
    check_interruption();
    std::ranges::generate(images.rows(i, i + 1).data<float>(),
                          [&] { return static_cast<float>(random.index(256)) / 255.0F; });
  }
  return images;
}

Tensor random_labels(std::int64_t batch, std::int64_t classes) {
  Tensor labels = Tensor::empty({batch}, DType::S32);
  RandomStream random(1, "bench/labels");
  for (std::int32_t& label : labels.data<std::int32_t>()) {
    label = static_cast<std::int32_t>(random.index(static_cast<std::uint32_t>(classes)));
  }
  return labels;
}

std::vector<data::Batch> training_batches(std::int64_t count, std::int64_t batch, const Shape& image,
                                          std::int64_t classes) {
  std::vector<data::Batch> batches(static_cast<std::size_t>(count));
  if (image != Shape{data::kDigitSize, data::kDigitSize, 1} || classes != 10) {
    std::ranges::fill(batches, data::Batch{random_images(batch, image), random_labels(batch, classes)});
    return batches;
  }
  const std::int64_t fewest = 10;  // that can be drawn
  data::Loader loader(data::make_digits({.train = std::max(count * batch, fewest), .test = fewest, .seed = 1}).train,
                      {.batch = batch, .augment = {}, .normalization = {}});
  for (data::Batch& next : batches) {
    loader.next(next);
  }
  return batches;
}

double ideal_inference_seconds(const runtime::Model& model, const kernels::Peak& peak) {
  double seconds = 0.0;
  for (const runtime::Node& node : model.nodes) {
    if (const kernels::ConvShape* const shape = runtime::product_shape(node.op)) {
      const double multiply_adds = static_cast<double>(shape->output_row() * shape->depth());
      const auto* const hybrid = std::get_if<runtime::HybridProduct>(&node.op);
      const bool is_float = hybrid != nullptr && !hybrid->dynamic;
      seconds += 2.0 * multiply_adds / peak_of(peak, is_float ? DType::F32 : runtime::product_weight(node.op)->dtype());
    }
  }
  return seconds;
}

double ideal_step_seconds(const nn::Graph& graph, const kernels::Peak& peak, const ProductTypes& types) {
  double seconds = 0.0;
  std::vector<bool> wants_gradient;  // by value
  for (const nn::Graph::Node& node : graph.nodes()) {
    bool input_wants = false;
    for (const nn::Graph::Handle input : node.inputs) {
      input_wants = input_wants || wants_gradient[input.index];
    }
    const bool has_weights = node.module && nn::parameter_count(*node.module) > 0;
    wants_gradient.push_back(input_wants || has_weights);
    if (node.module) {
      const bool is_code = is_integer(*node.module);
      const double forward = peak_of(peak, is_code ? DType::S8 : types.product);
      const double backward = peak_of(peak, is_code ? types.qat_backward : types.product);
      const int gradients = (input_wants ? 1 : 0) + (has_weights ? 1 : 0);
      seconds += operations(graph, node) * (1.0 / forward + gradients / backward);
    }
  }
  return seconds;
}

}  // namespace detent::recipes
