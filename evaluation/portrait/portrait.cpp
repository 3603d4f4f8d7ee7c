#include "detent/evaluation/portrait/portrait.h"

#include <algorithm>
#include <bit>

#include "detent/core/threads/parallel.h"
#include "detent/evaluation/portrait/layer_sums.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/ranges/value_histogram.h"
#include "detent/runtime/plan.h"
#include "detent/runtime/summary.h"

namespace detent::evaluation {
namespace {

constexpr std::int64_t kBatch = 32;  // all values of a batch are in memory at once

int bits_of(const Tensor& weight) {
  if (!weight.qparams()) {
    return static_cast<int>(8 * size_of(weight.dtype()));
  }
  const CodeRange codes = weight.qparams()->codes;
  const int bits = std::bit_width(static_cast<unsigned>(codes.qmax - codes.qmin));  // 254 apart: 8
  const bool are_signs = bits == 2 && std::ranges::count(weight.data<std::int8_t>(), std::int8_t{0}) == 0;
  return are_signs ? 1 : bits;
}

/// "convolution" and "linear" for products, "max pool" and "average pool" for pools.
std::string kind_of(const runtime::Op& op) {
  if (const Tensor* const weight = runtime::product_weight(op)) {
    return weight->shape().rank() == 4 ? "convolution" : "linear";
  }
  if (const auto* const pool = std::get_if<runtime::Pool>(&op)) {
    return pool->kind == runtime::PoolKind::Max ? "max pool" : "average pool";
  }
  return std::string(name_of(op));
}

bool is_shown(const runtime::Op& op) {
  return !std::holds_alternative<runtime::Reshape>(op) && !std::holds_alternative<runtime::Dequantize>(op);
}

/// Where a layer stands in both models.
struct Place {
  std::size_t reference, shipped;
};

std::vector<Place> places_of(const runtime::Model& reference, const runtime::Model& shipped, Portrait& portrait) {
  std::vector<Place> places;
  for (std::size_t i = 0; i < shipped.nodes.size(); ++i) {
    const runtime::Node& node = shipped.nodes[i];
    const auto same = std::ranges::find_if(reference.nodes, [&](const runtime::Node& other) {
      return other.name == node.name && other.output.shape == node.output.shape;
    });
    if (!is_shown(node.op) || same == reference.nodes.end() || !same->output.shape.elements()) {
      continue;
    }
    places.push_back({static_cast<std::size_t>(same - reference.nodes.begin()), i});
    LayerPortrait& layer = portrait.layers.emplace_back();
    layer.difference.name = node.name;
    layer.kind = kind_of(node.op);
    layer.grid = node.output.qparams;
    const Tensor* const weight = runtime::product_weight(node.op);
    if (weight != nullptr && weight->qparams()) {
      layer.weights = count_codes(*weight);
    }
  }
  return places;
}

/// The values of a layer as they come.
struct Counting {
  LayerSums sums = {};
  quant::ValueHistogram histogram = {};
  double zeros = 0.0;

  void add(const std::vector<float>& values) {
    if (const MinMax range = kernels::min_max(values); !range.empty()) {
      histogram.include(range);
      histogram.add(histogram.count(values));
      zeros += static_cast<double>(std::ranges::count(values, 0.0F));
    }
  }
};

ValueCounts counts_of(const Counting& counting) {
  const quant::ValueHistogram& histogram = counting.histogram;
  ValueCounts result{.total = histogram.total(), .zeros = counting.zeros};
  if (histogram.bin_width() <= 0.0) {
    return result;
  }
  std::vector<double> counts(histogram.counts().begin(), histogram.counts().end());
  if (counting.zeros > 0.0) {
    const kernels::Bins bins{
        .lower = histogram.lower_edge(0), .per_width = 1.0 / histogram.bin_width(), .count = std::ssize(counts)};
    counts[static_cast<std::size_t>(bins.of(0.0))] -= counting.zeros;
  }
  const auto is_occupied = [](double count) { return count > 0.0; };
  const auto first = std::ranges::find_if(counts, is_occupied) - counts.begin();
  if (first == static_cast<std::ptrdiff_t>(counts.size())) {
    return result;
  }
  const auto last = counts.rend() - std::find_if(counts.rbegin(), counts.rend(), is_occupied) - 1;
  const std::int64_t every = (last - first + kMostBars) / kMostBars;
  result.lower = histogram.lower_edge(first);
  result.width = histogram.bin_width() * static_cast<double>(every);
  for (std::int64_t bin = first; bin <= last; ++bin) {
    const auto bar = static_cast<std::size_t>((bin - first) / every);
    result.counts.resize(bar + 1);
    result.counts[bar] += counts[static_cast<std::size_t>(bin)];
  }
  return result;
}

/// The value with the map of its codes.
Tensor codes_of(const Tensor& value, const runtime::ValueType& type) {
  return type.is_codes() ? value.with_qparams(type.qparams) : value;
}

std::string granularity_of(const QParams& map) {
  return map.is_per_group() ? "group of " + std::to_string(map.group) : map.is_per_channel() ? "channel" : "tensor";
}

}  // namespace

std::vector<DrawnNode> drawn(const runtime::Model& model) {
  std::vector<DrawnNode> result;
  for (const runtime::Input& input : model.inputs) {
    result.push_back({.name = input.name,
                      .kind = "input",
                      .shape = input.type.shape,
                      .type = std::string(name_of(input.type.dtype)),
                      .is_codes = input.type.is_codes()});
  }
  for (const runtime::Node& node : model.nodes) {
    DrawnNode row{.name = node.name,
                  .kind = kind_of(node.op),
                  .shape = node.output.shape,
                  .type = std::string(name_of(node.output.dtype)),
                  .is_codes = node.output.is_codes(),
                  .inputs = node.inputs,
                  .parameters = runtime::parameter_count(node),
                  .note = node.note};
    if (const kernels::ConvShape* const product = runtime::product_shape(node.op)) {
      row.multiply_adds = product->output_row() * product->depth();
    }
    if (const Tensor* const weight = runtime::product_weight(node.op)) {
      row.weight_bits = bits_of(*weight);
    }
    result.push_back(std::move(row));
  }
  return result;
}

CodeCounts count_codes(const Tensor& weight) {
  const QParams& map = *weight.qparams();
  const std::int64_t codes = std::int64_t{map.codes.qmax} - map.codes.qmin + 1;
  CodeCounts result{.codes = map.codes,
                    .codes_a_bar = (codes + kMostBars - 1) / kMostBars,
                    .granularity = granularity_of(map),
                    .smallest_scale = std::ranges::min(map.scale),
                    .largest_scale = std::ranges::max(map.scale)};
  result.counts.resize(static_cast<std::size_t>((codes + result.codes_a_bar - 1) / result.codes_a_bar));
  for (const std::int8_t code : weight.data<std::int8_t>()) {
    const std::int64_t place = std::clamp<std::int64_t>(code - map.codes.qmin, 0, codes - 1);
    result.counts[static_cast<std::size_t>(place / result.codes_a_bar)] += 1.0;
  }
  return result;
}

Portrait portray(const runtime::Model& reference, const runtime::Model& shipped, const data::Dataset& dataset,
                 const data::Normalization& normalization) {
  Portrait portrait{.model = drawn(shipped)};
  if (reference.inputs.size() != 1 || shipped.inputs.size() != 1) {
    return portrait;
  }
  portrait.is_against_float = &reference != &shipped;
  const std::vector<Place> places = places_of(reference, shipped, portrait);
  std::vector<Counting> counting(places.size());
  const data::Dataset examples = dataset.take(kPortraitExamples);
  data::Loader loader(examples, {.batch = kBatch, .augment = {}, .normalization = normalization});
  constexpr runtime::PlanOptions kKeep{.keeps_values = true};
  std::optional<runtime::Plan> plan_a, plan_b;
  for (data::Batch batch; !places.empty() && loader.next(batch);) {
    runtime::Plan& a = plan_for(plan_a, reference, batch.examples.shape()[0], kKeep);
    runtime::Plan& b = plan_for(plan_b, shipped, batch.examples.shape()[0], kKeep);
    a.run(batch.examples);
    b.run(batch.examples);
    parallel_slices(static_cast<std::int64_t>(places.size()), [&](std::int64_t slice) {
      const auto i = static_cast<std::size_t>(slice);
      const Tensor value =
          codes_of(a.value(reference.value_of(places[i].reference)), reference.nodes[places[i].reference].output);
      const Tensor other =
          codes_of(b.value(shipped.value_of(places[i].shipped)), shipped.nodes[places[i].shipped].output);
      counting[i].sums.add(value, other, portrait.layers[i].difference);
      counting[i].add(reals_of(value));
    });
    portrait.examples += batch.examples.shape()[0];
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    counting[i].sums.close(portrait.layers[i].difference);
    portrait.layers[i].values = counts_of(counting[i]);
  }
  return portrait;
}

}  // namespace detent::evaluation
