#include "detent/evaluation/drift/model_distributions.h"

#include <algorithm>
#include <optional>

#include "detent/evaluation/drift/value_tally.h"
#include "detent/evaluation/evaluate.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/lower.h"
#include "detent/runtime/plan.h"

namespace detent::evaluation {
namespace {

// Calibration takes its examples from order 0 (evaluate.h).
constexpr std::int64_t kReferenceOrder = 1;

bool hands_on(const runtime::Node& node) {
  const auto* const pool = std::get_if<runtime::Pool>(&node.op);
  return std::holds_alternative<runtime::Dequantize>(node.op) || std::holds_alternative<runtime::Reshape>(node.op) ||
         (pool != nullptr && pool->kind == runtime::PoolKind::Max);
}

/// A place, and what was seen there.
struct Watched {
  WatchedValue place;
  const std::vector<float>* bounds = nullptr;  // of the reference
  CodeTally codes = {};
  RealTally reals{1};
};

/// The places that are counted: with a reference those of it.
std::vector<Watched> places_of(const runtime::Model& model, std::int64_t examples,
                               const ModelDistributions* reference) {
  std::vector<Watched> places;
  for (WatchedValue& place : watched_values(model)) {
    Watched watched{.place = std::move(place)};
    watched.reals = RealTally(watched.place.an_example * examples);
    if (reference != nullptr) {
      const auto& known = watched.place.are_codes ? reference->codes : reference->reals;
      const auto found = known.find(watched.place.name);
      if (found == known.end()) {
        continue;
      }
      watched.bounds = &found->second.bounds;
    }
    places.push_back(std::move(watched));
  }
  return places;
}

void add_reals(const Tensor& values, Watched& watched) {
  const Tensor f32 = values.as(DType::F32, nullptr);
  const std::span<const float> all = f32.data<float>();
  if (watched.place.column < 0) {
    watched.reals.add(all);
    return;
  }
  std::vector<float> column;
  const auto width = static_cast<std::size_t>(values.shape().row_elements());
  for (auto i = static_cast<std::size_t>(watched.place.column); i < all.size(); i += width) {
    column.push_back(all[i]);
  }
  watched.reals.add(column);
}

}  // namespace

std::vector<WatchedValue> watched_values(const runtime::Model& model) {
  std::vector<WatchedValue> places;
  if (model.inputs.size() != 1 || model.inputs[0].type.is_codes()) {
    return places;
  }
  const runtime::Input& input = model.inputs[0];
  const std::int64_t width = input.type.shape.elements();
  if (input.type.shape.rank() == 1 && width <= kMostColumns) {
    for (std::int64_t column = 0; column < width; ++column) {
      places.push_back(
          {.name = input.name + "[" + std::to_string(column) + "]", .value = 0, .column = column, .an_example = 1});
    }
  } else {
    places.push_back({.name = input.name, .value = 0, .an_example = width});
  }
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const runtime::Node& node = model.nodes[i];
    if (!hands_on(node)) {
      places.push_back({.name = node.name,
                        .value = model.value_of(i),
                        .an_example = node.output.shape.elements(),
                        .are_codes = node.output.is_codes()});
    }
  }
  return places;
}

runtime::Model runnable(const quant::OpenedModel& model, const quant::Kinds& kinds) {
  return model.model() != nullptr ? *model.model()
         : model.kind == "fp32"   ? quant::lower(*model.graph(), kinds, quant::Sums::Apart)
                                  : quant::convert(*model.graph(), {}, kinds).model;
}

ModelDistributions distributions_of(const runtime::Model& model, const data::Dataset& dataset,
                                    const data::Normalization& normalization, Reporter& reporter,
                                    const ModelDistributions* reference) {
  std::vector<Watched> places = places_of(model, dataset.size(), reference);
  ModelDistributions result{.examples = dataset.size()};
  if (places.empty()) {
    return result;
  }
  std::optional<runtime::Plan> plan;
  for_each_batch(dataset, normalization, "distributions", reporter, [&](const data::Batch& batch) {
    runtime::Plan& tapped = plan_for(plan, model, batch.size(), runtime::PlanOptions{.keeps_values = true});
    tapped.run(batch.examples);
    for (Watched& watched : places) {
      if (watched.place.are_codes) {
        watched.codes.add(tapped.value(watched.place.value));
      }
    }
    parallel_slices(static_cast<std::int64_t>(places.size()), [&](std::int64_t slice) {
      Watched& watched = places[static_cast<std::size_t>(slice)];
      if (!watched.place.are_codes) {
        add_reals(watched.place.value == 0 ? batch.examples : tapped.value(watched.place.value), watched);
      }
    });
  });
  for (const Watched& watched : places) {
    if (watched.place.are_codes) {
      result.codes[watched.place.name] =
          distribution_of(watched.codes.counts(), *model.type(watched.place.value).qparams, watched.bounds);
      continue;
    }
    if (const auto distribution = watched.reals.distribution(watched.bounds)) {
      result.reals[watched.place.name] = *distribution;
    }
    if (watched.reals.not_finite() > 0) {
      result.not_finite[watched.place.name] = watched.reals.not_finite();
    }
  }
  return result;
}

data::Dataset reference_sample(const data::Dataset& train, std::uint64_t seed) {
  std::vector<std::int64_t> order = data::shuffled_order(train.size(), seed, kReferenceOrder);
  order.resize(static_cast<std::size_t>(std::min(train.size(), kReferenceExamples)));
  return train.subset(order);
}

}  // namespace detent::evaluation
