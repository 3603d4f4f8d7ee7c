#include "bench/c_models/expected.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "detent/runtime/plan.h"
#include "detent/runtime/target_plan.h"

namespace detent::bench {
namespace {

namespace c = interchange::c;

constexpr std::int64_t kBatch = 50;

/// Calls visit(first image, values) for all images, batch by batch.
void for_each_batch(const runtime::Model& model, c::Requantize requantize, const Tensor& images,
                    const std::function<void(std::int64_t, const std::vector<Tensor>&)>& visit) {
  const std::int64_t count = images.shape()[0];
  std::optional<runtime::Plan> plan;
  std::optional<runtime::TargetPlan> target;
  std::int64_t batch = 0;
  for (std::int64_t first = 0; first < count; first += batch) {
    const std::int64_t size = std::min(kBatch, count - first);
    if (size != batch) {
      batch = size;
      plan.emplace(model, batch, runtime::PlanOptions{.keeps_values = true});
      target.emplace(model, batch, kernels::RoundingTarget::Tflite);
    }
    const std::vector<Tensor> inputs{images.rows(first, first + batch)};
    std::vector<Tensor> values;
    if (requantize == c::Requantize::Fixed) {
      values = target->run(inputs);
    } else {
      plan->run(inputs);
      for (runtime::ValueId value = 0; value < model.values(); ++value) {
        values.push_back(plan->value(value));
      }
    }
    visit(first, values);
  }
}

float largest_of(const Tensor& results) {
  float largest = 0;
  for (const float result : results.data<float>()) {
    largest = std::max(largest, std::abs(result));
  }
  return largest;
}

}  // namespace

std::uint32_t digest(const void* value, std::size_t bytes) {
  const auto* const at = static_cast<const unsigned char*>(value);
  std::uint32_t hash = 2166136261U;
  for (std::size_t i = 0; i < bytes; ++i) {
    hash = (hash ^ at[i]) * 16777619U;
  }
  return hash;
}

std::vector<runtime::ValueId> shown_values(const c::Program& program) {
  std::vector<runtime::ValueId> shown;
  for (const c::Entry& entry : program.entries) {
    if (program.quantizes(entry)) {
      shown.push_back(entry.value);
    }
  }
  for (const std::size_t step : program.steps) {
    shown.push_back(program.model->value_of(step));
  }
  return shown;
}

std::vector<std::uint32_t> digests_of(const c::Program& program, c::Requantize requantize, const Tensor& images) {
  const std::vector<runtime::ValueId> shown = shown_values(program);
  std::vector<std::uint32_t> digests;
  for_each_batch(*program.model, requantize, images, [&](std::int64_t, const std::vector<Tensor>& values) {
    for (std::int64_t n = 0; n < values[0].shape()[0]; ++n) {
      for (const runtime::ValueId value : shown) {
        const Tensor row = values[value].rows(n, n + 1);
        digests.push_back(digest(row.raw(), row.bytes()));
      }
    }
  });
  return digests;
}

Tensor results_of(const c::Program& program, c::Requantize requantize, const Tensor& images) {
  const runtime::ValueId output = program.model->output;
  Tensor results = Tensor::empty({images.shape()[0], program.type(output).shape.elements()}, DType::F32);
  for_each_batch(*program.model, requantize, images, [&](std::int64_t first, const std::vector<Tensor>& values) {
    Tensor rows = results.rows(first, first + values[output].shape()[0]);
    rows.copy_from(values[output].reshape(rows.shape()));
  });
  return results;
}

std::int64_t differing_digests(std::span<const std::uint32_t> given, std::span<const std::uint32_t> expected) {
  std::int64_t differing = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    differing += given[i] != expected[i] ? 1 : 0;
  }
  return differing;
}

std::int64_t beyond_tolerance(std::span<const float> given, const Tensor& expected, c::Agreement agreement) {
  const float tolerance = largest_of(expected) * (agreement == c::Agreement::Rounded ? 0x1p-5F : 0x1p-13F);
  const auto results = expected.data<float>();
  std::int64_t beyond = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    beyond += std::abs(given[i] - results[i]) <= tolerance ? 0 : 1;
  }
  return beyond;
}

Distance distance_of(std::span<const float> given, const Tensor& expected) {
  const auto results = expected.data<float>();
  const auto classes = static_cast<std::size_t>(expected.shape()[1]);
  Distance distance;
  for (std::size_t first = 0; first < given.size(); first += classes) {
    const auto mine = given.subspan(first, classes);
    const auto theirs = results.subspan(first, classes);
    distance.predictions +=
        std::ranges::max_element(mine) - mine.begin() != std::ranges::max_element(theirs) - theirs.begin() ? 1 : 0;
    for (std::size_t i = 0; i < classes; ++i) {
      distance.largest = std::max(distance.largest, std::abs(double{mine[i]} - double{theirs[i]}));
    }
  }
  distance.largest /= std::max(double{largest_of(expected)}, 1e-30);
  return distance;
}

}  // namespace detent::bench
