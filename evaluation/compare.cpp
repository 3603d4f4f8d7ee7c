#include "detent/evaluation/compare.h"

#include <algorithm>

#include "detent/core/threads/parallel.h"
#include "detent/evaluation/portrait/layer_sums.h"
#include "detent/evaluation/tap/tapped.h"
#include "detent/evaluation/targets/answers.h"

namespace detent::evaluation {
namespace {

/// Where a layer of the first model stands in both.
struct Pair {
  std::size_t a, b;
};

std::vector<Pair> pairs_of(const Tapped& a, const Tapped& b, Comparison& comparison) {
  const auto layers_a = a.layers();
  const auto layers_b = b.layers();
  std::vector<Pair> pairs;
  std::vector<bool> is_paired(layers_b.size(), false);
  for (std::size_t i = 0; i < layers_a.size(); ++i) {
    const auto other = std::ranges::find(layers_b, layers_a[i]);
    if (other == layers_b.end()) {
      comparison.only_a.push_back(layers_a[i].first);
      continue;
    }
    const auto at = static_cast<std::size_t>(other - layers_b.begin());
    is_paired[at] = true;
    pairs.push_back({i, at});
    comparison.layers.push_back({.name = layers_a[i].first});
  }
  for (std::size_t i = 0; i < layers_b.size(); ++i) {
    if (!is_paired[i]) {
      comparison.only_b.push_back(layers_b[i].first);
    }
  }
  return pairs;
}

}  // namespace

const LayerDifference* first_below(const Comparison& comparison, double db) {
  const auto layer = std::ranges::find_if(comparison.layers, [&](const LayerDifference& l) { return l.snr < db; });
  return layer == comparison.layers.end() ? nullptr : &*layer;
}

Comparison compare(const quant::OpenedModel& a, const quant::OpenedModel& b, const data::Dataset& dataset,
                   const data::Normalization& normalization, Reporter& reporter) {
  check(a.input_shape() == b.input_shape() && a.output_shape() == b.output_shape(),
        "compare: the models have other inputs or outputs: ", a.input_shape(), " to ", a.output_shape(), " and ",
        b.input_shape(), " to ", b.output_shape());
  const std::unique_ptr<Tapped> first = tap(a, FloatLayers::AsInInt8);
  const std::unique_ptr<Tapped> second = tap(b, FloatLayers::AsInInt8);
  Comparison comparison;
  comparison.score_a.targets = comparison.score_b.targets = dataset.targets;
  Answers answers_a{.targets = dataset.targets}, answers_b{.targets = dataset.targets};
  const std::vector<Pair> pairs = pairs_of(*first, *second, comparison);
  check(!pairs.empty(), "compare: the models have no layer of one name and shape in common");
  std::vector<LayerSums> sums(pairs.size());
  for_each_batch(dataset, normalization, "compare", reporter, [&](const data::Batch& batch) {
    const std::vector<Tensor> values_a = first->run(batch.examples);
    const std::vector<Tensor> values_b = second->run(batch.examples);
    parallel_slices(static_cast<std::int64_t>(pairs.size()), [&](std::int64_t slice) {
      const auto i = static_cast<std::size_t>(slice);
      sums[i].add(values_a[pairs[i].a], values_b[pairs[i].b], comparison.layers[i]);
    });
    comparison.score_a.add(values_a.back(), batch.labels);
    comparison.score_b.add(values_b.back(), batch.labels);
    answers_a.add(values_a.back());
    answers_b.add(values_b.back());
    comparison.images += batch.size();
  });
  comparison.predictions_changed = count_changed(answers_a, answers_b);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    sums[i].close(comparison.layers[i]);
  }
  return comparison;
}

}  // namespace detent::evaluation
