#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "detent/train/checkpoint.h"
#include "detent/train/resume/run_record.h"
#include "detent/train/resume/run_results.h"
#include "detent/train/run.h"

namespace detent::train {

/// A run that is done, as its metrics.json tells.
struct FinishedRun {
  RunIdentity identity = {};
  bool has_record = false;            ///< one of an older version has none
  std::vector<std::string> failures;  ///< of its checks
};
/// Throws Error, naming the file, if it is none that a run wrote.
FinishedRun read_finished_run(const std::filesystem::path& metrics);

/// A run that was cut off, from where it goes on.
struct CutOffRun {
  Checkpoint checkpoint;
  RunResults results;
  bool is_past_float() const { return results.fp32.has_value(); }
};

/// What a run writes into its checkpoints, beside what training does: recipe, record and results.
Attributes checkpoint_attributes(const RunIdentity& run, const RunResults& results);

/// What the run `now`, which will write `files`, finds in the folder that it is to write to, and which is locked for
/// it. By options.existing a run that was cut off there is taken up, refused or removed; one that is done is told of.
/// Throws Error for a run to take up that is another one, and AlreadyFinished.
std::optional<CutOffRun> begin_in_folder(const RunOptions& options, const RunIdentity& now,
                                         const std::vector<std::string>& files, const quant::Kinds& kinds,
                                         evaluation::Reporter& reporter);

/// The float model that a run which was cut off had written to `path`. Throws Error if it is another one now.
nn::Graph float_model_of(const CutOffRun& run, const std::filesystem::path& path, const quant::Kinds& kinds);

/// Gives the modules of `graph` what those of the same names in `trained` own.
void adopt_state(nn::Graph& graph, const nn::Graph& trained);

}  // namespace detent::train
