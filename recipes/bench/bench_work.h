#pragma once

#include <optional>
#include <vector>

#include "detent/core/tensor.h"
#include "detent/data/loader.h"
#include "detent/kernels/product/peak.h"
#include "detent/nn/graph.h"
#include "detent/recipes/recipe.h"
#include "detent/runtime/model.h"

/// What the benchmarks of steps and of inference share.
namespace detent::recipes {

/// The float graph of a recipe with initial weights, for images of the shape `image` and 10 classes, or, without one,
/// for the recipe's data. Data sets named "mnist" and "digits" need not be there.
nn::Graph float_graph_of(const Recipe& recipe, const std::optional<Shape>& image);

/// Images f32 [batch, ...shape] of pixel values p / 255, and labels s32 [batch]: random, but always the same.
Tensor random_images(std::int64_t batch, const Shape& shape);
Tensor random_labels(std::int64_t batch, std::int64_t classes);

/// `count` batches for a model of such images and so many classes. A step's time depends on how many gradients are 0,
/// so models that can read digits get drawn ones (data/digits.h); others get random numbers.
std::vector<data::Batch> training_batches(std::int64_t count, std::int64_t batch, const Shape& image,
                                          std::int64_t classes);

/// The types that products of a benchmark are computed in.
struct ProductTypes {
  DType product = DType::F32;        ///< of float layers
  DType qat_backward = DType::BF16;  ///< of the backward pass of quantized layers in training
};
/// BenchResult::ideal_seconds of one example.
double ideal_inference_seconds(const runtime::Model& model, const kernels::Peak& peak);
double ideal_step_seconds(const nn::Graph& graph, const kernels::Peak& peak, const ProductTypes& types);

}  // namespace detent::recipes
