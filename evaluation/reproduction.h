#pragma once

#include <optional>
#include <string>
#include <vector>

#include "detent/evaluation/significance.h"

namespace detent::evaluation {

/// A model of a series, trained here from one seed: its accuracy after the last epoch.
struct ModelRun {
  std::uint64_t seed = 0;
  std::int64_t correct = 0;
  std::int64_t images = 0;
  std::int64_t codes_compared = 0;  ///< of a quantized model: between its two forms
  std::int64_t codes_mismatched = 0;
  std::int64_t model_bytes = 0;
  double seconds = 0.0;           ///< that the run took
  PairedTest against_float = {};  ///< of a quantized model, against the float model of the same seed
  std::vector<std::string> failures = {};
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(images); }
};

/// A row of the table: theirs, and ours.
struct ReproducedRow {
  std::string name = {};
  std::string how = {};                  ///< "int4 per-channel symmetric, uint4 per-tensor affine"
  std::optional<double> published = {};  ///< accuracy, a share
  std::string source = {};               ///< of the published figure
  std::optional<double> at_least = {};   ///< what the mean over seeds must reach, where that is checked
  bool is_float = false;
  std::vector<ModelRun> runs = {};  ///< by seed

  std::vector<double> accuracies() const {
    std::vector<double> all;
    for (const ModelRun& run : runs) {
      all.push_back(run.accuracy());
    }
    return all;
  }
};

/// A published table, with our figures beside theirs.
struct Reproduction {
  std::string name = {};
  std::string description = {};
  std::string note = {};  ///< what is not alike
  std::string dataset_description = {};
  std::string published_dataset = {};       ///< where the figures are of other data than ours: which
  std::optional<std::int64_t> epochs = {};  ///< of each training, where they are not the table's own
  std::vector<ReproducedRow> rows = {};     ///< the float model first

  /// One line for each check that failed: of a run, and of a mean below at_least.
  std::vector<std::string> failures() const;
};

/// How long a model takes for a batch: the lower quartile of the turns that it took with the other rungs.
struct BatchLatency {
  std::int64_t batch = 0;
  double seconds = 0.0;
  double of_float = 0.0;  ///< over the float model's seconds
};

/// One of the models that a ladder makes of one float model.
struct Rung {
  std::string name = {};
  std::string how = {};  ///< "qat: int4 per-channel symmetric, uint4 per-tensor affine"
  bool is_float = false;
  ModelRun run = {};
  std::int64_t parameter_bytes = 0;  ///< in memory: runtime::parameter_bytes of a plan of batch 1
  std::vector<BatchLatency> latencies = {};
};

/// One model in fewer and fewer bits.
struct Ladder {
  std::string name = {};
  std::string description = {};
  std::string dataset_description = {};
  int threads = 0;
  std::string processor = {};    ///< its class: class_of(processor_units())
  std::vector<Rung> rungs = {};  ///< the float model first

  /// One line for each check of a run that failed.
  std::vector<std::string> failures() const;
};

}  // namespace detent::evaluation
