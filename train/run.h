#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "detent/data/readers.h"
#include "detent/evaluation/metrics.h"
#include "detent/evaluation/progress.h"
#include "detent/nn/model_file.h"
#include "detent/quant/kinds/kind.h"
#include "detent/train/settings.h"

namespace detent::train {

/// What a run is made of besides its settings. What a program adds of its own, it adds to copies of the standard
/// tables.
struct RunParts {
  /// Makes the float graph, without weights, for inputs of this shape and so many classes. Not needed with `trained`.
  std::function<nn::Graph(const Shape& input, std::int64_t classes)> make_model = {};
  /// The float model that the run begins with, as its file holds it. None: make_model's, with new weights.
  std::optional<nn::Model> trained = {};
  quant::Kinds kinds = quant::standard_kinds();
  data::Readers readers = data::standard_readers();
};

struct RunOptions {
  std::optional<std::filesystem::path> data = {};  ///< a folder or file that the user named
  std::filesystem::path out = {};                  ///< made if need be; files in it are replaced one by one, each whole
  std::uint64_t seed = 1;
  int threads = 1;       ///< for the record: the run uses the threads of the pool that it is called in
  bool strict = false;   ///< as [convert] strict
  bool profile = false;  ///< whether to tell where the time of training went
};

/// The whole run: data, float training, quantization, conversion, verification on the whole test set, evaluation, files
/// and checks. Writes to options.out:
///
///   fp32.h5        the float model
///   qat.h5         the prepared and frozen model ("prepared.h5" with method "static", none with "dynamic" and
///                  "weight-only")
///   int8.h5        the converted model; it is read back from the disk before it is verified and evaluated
///   static-*.h5    the int8 models of compare_static, and static-not-improved.h5 with improvements
///   metrics.json   report/metrics_json.h
///   checkpoint.h5  checkpoint.h: after each epoch; removed when the run is done. With keep "best" checkpoint-best.h5,
///   too
///
/// While it runs, the folder is its own (output_folder.h). When fp32.h5 is there, models of earlier runs that this run
/// does not write are removed; metrics.json is there only beside all the files that it tells of.
///
/// Two runs of the same settings, model and seed write the same bytes to the .h5 files, whatever the number of threads.
/// A check that fails is told in Metrics::failures, not thrown. Throws Error for bad data, a model that does not fit, a
/// full disk
/// ...
evaluation::Metrics run(const Settings& settings, const RunParts& parts, const RunOptions& options,
                        evaluation::Reporter& reporter);

}  // namespace detent::train
