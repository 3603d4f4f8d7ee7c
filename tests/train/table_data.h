#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "detent/core/philox.h"
#include "detent/core/threads/parallel.h"
#include "detent/data/readers.h"
#include "detent/evaluation/metrics.h"
#include "detent/recipes/run.h"

/// Tables that tests make: rows of features with real numbers, flags or classes to learn, and runs on them.
namespace detent::train {

/// `count` rows of 6 features, of them 4 that matter. Values: a price-like sum of smooth terms with some noise, and a
/// product. Flags: signs of such sums. Classes: the largest of three sums. `outputs` is 1 or 2 values or flags.
inline data::Dataset table(data::TargetKind targets, std::int64_t count, std::uint64_t seed, std::int64_t outputs) {
  constexpr std::int64_t kFeatures = 6;
  outputs = targets == data::TargetKind::kClasses ? 3 : outputs;
  data::Dataset dataset{.name = "table",
                        .examples = Tensor::empty({count, kFeatures}, DType::F32),
                        .labels = Tensor::empty({count, outputs}, DType::F32),
                        .classes = outputs,
                        .targets = targets};
  if (targets == data::TargetKind::kClasses) {
    dataset.labels = Tensor::empty({count}, DType::S32);
  } else {
    dataset.class_names = {"price", "rent"};
    dataset.class_names.resize(static_cast<std::size_t>(outputs));
  }
  for (std::int64_t row = 0; row < count; ++row) {
    RandomStream random(seed, "table", static_cast<std::uint64_t>(row));
    const std::span<float> x =
        dataset.examples.data<float>().subspan(static_cast<std::size_t>(row * kFeatures), kFeatures);
    std::ranges::generate(x, [&] { return random.uniform(-1.0F, 1.0F); });
    const float first = 1.5F * x[0] + std::sin(2.0F * x[1]) + 0.05F * random.normal();
    const float second = x[0] * x[2] - 0.5F * x[3] + 0.05F * random.normal();
    if (targets == data::TargetKind::kClasses) {
      const std::array<float, 3> sums{first, second, -first};
      dataset.labels.data<std::int32_t>()[static_cast<std::size_t>(row)] =
          static_cast<std::int32_t>(std::ranges::max_element(sums) - sums.begin());
      continue;
    }
    const bool is_flags = targets == data::TargetKind::kFlags;
    const auto at = static_cast<std::size_t>(row * outputs);
    dataset.labels.data<float>()[at] = is_flags ? (first > 0.3F ? 1.0F : 0.0F) : first;
    if (outputs > 1) {
      dataset.labels.data<float>()[at + 1] = is_flags ? (second > 0.0F ? 1.0F : 0.0F) : second;
    }
  }
  return dataset;
}

/// A reader that gives such a table for any path.
inline data::Readers table_readers(data::TargetKind targets, std::int64_t outputs) {
  data::Reader reader{.format = "table", .recognizes = [](const std::filesystem::path&) { return true; }};
  reader.read = [targets, outputs](const std::filesystem::path& path, const data::ReadOptions&) {
    data::DataSource source;
    source.train = table(targets, 1200, 1, outputs);
    source.test = table(targets, 400, 2, outputs);
    source.describe("table", path);
    return source;
  };
  return {reader};
}

inline constexpr const char* kTableRecipe = R"(# a table
[model]
layers = ["linear 32", "relu", "linear 32", "relu", "linear 2"]
[train]
epochs = 12
batch = 32
learning_rate = 0.005
[qat]
epochs = 4
learning_rate = 0.001
)";

/// A run on the table; its files are in `out`.
inline evaluation::Metrics run_table(data::TargetKind targets, const std::filesystem::path& out,
                                     std::vector<std::string> overrides = {}, int threads = 2,
                                     std::int64_t outputs = 2) {
  evaluation::Reporter silent;
  evaluation::Metrics metrics;
  ThreadPool pool(threads);
  pool.run([&] {
    recipes::Parts parts;
    parts.readers = table_readers(targets, outputs);
    const std::int64_t last = targets == data::TargetKind::kClasses ? 3 : outputs;
    overrides.insert(overrides.begin(), "model.layers=[\"linear 32\", \"relu\", \"linear 32\", \"relu\", \"linear " +
                                            std::to_string(last) + "\"]");
    metrics = recipes::run(recipes::parse_recipe(kTableRecipe, "table.toml", overrides),
                           {.data = out.parent_path(), .out = out, .threads = threads}, silent, parts);
  });
  return metrics;
}

}  // namespace detent::train
