#pragma once

#include <string>
#include <vector>

#include "detent/core/threads/parallel.h"
#include "detent/data/digits.h"
#include "detent/data/idx.h"
#include "detent/evaluation/findings.h"
#include "detent/recipes/run.h"
#include "detent/report/metrics_json.h"
#include "detent/report/metrics_table.h"
#include "detent/train/warnings.h"
#include "tests/data/temp_folder.h"

/// Whole runs that take a fraction of a second.
namespace detent::train {

/// Every kind of layer that training and int8 have.
inline constexpr const char* kTiny = R"(# tiny
[data]
train_examples = 300
test_examples = 100
augment = "affine"
[model]
layers = ["conv 8 3x3 stride 2", "batchnorm", "relu", "conv 8 3x3 same", "relu", "maxpool 2", "dropout 0.1",
          "avgpool 2", "flatten", "linear 16", "relu", "linear 10"]
[train]
epochs = 1
batch = 64
[quantize]
calibration = 64
compare_static = ["int8 per-channel symmetric", "int8 per-tensor symmetric"]
)";

/// Runs on a few hundred digits; `folder` keeps them, and the files of the run in its subfolder `out`.
inline evaluation::Metrics run_at(const TempFolder& folder, const std::string& out, int threads,
                                  const std::vector<std::string>& overrides = {}) {
  evaluation::Reporter silent;
  evaluation::Metrics metrics;
  ThreadPool pool(threads);
  pool.run([&] {
    if (!std::filesystem::exists(folder / "digits")) {
      data::write_idx_folder(folder / "digits", data::make_digits({.train = 320, .test = 110, .seed = 3}));
    }
    metrics = recipes::run(recipes::parse_recipe(kTiny, "tiny.toml", overrides),
                           {.data = folder / "digits", .out = folder / out, .threads = threads}, silent);
  });
  return metrics;
}

}  // namespace detent::train
