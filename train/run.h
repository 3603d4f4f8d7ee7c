#pragma once

#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

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
  std::filesystem::path trained_file = {};  ///< where that was read from
  quant::Kinds kinds = quant::standard_kinds();
  data::Readers readers = data::standard_readers();
};

/// What to do about a run that was cut off in the output folder: begin anew, refuse to begin, or go on with it.
enum class Existing : std::uint8_t { Replace, Refuse, Resume };

struct RunOptions {
  std::optional<std::filesystem::path> data = {};  ///< a folder or file that the user named
  std::filesystem::path out = {};                  ///< made if need be; what an earlier run left in it is replaced
  std::uint64_t seed = 1;
  int threads = 1;       ///< for the record: the run uses the threads of the pool that it is called in
  bool strict = false;   ///< as [convert] strict
  bool profile = false;  ///< whether to tell where the time of training went
  bool events = false;   ///< whether to write an event file for TensorBoard
  Existing existing = Existing::Replace;
  double checkpoint_seconds = 30.0;   ///< from one checkpoint to the next; 0: one after each step
  evaluation::RunRecord record = {};  ///< what the caller knows of what the run is made from
  std::string data_sha256 = {};       ///< as RunRecord: what the data must be; empty: any
};

/// Thrown for a run to go on with that is done.
class AlreadyFinished : public std::exception {
 public:
  AlreadyFinished(std::filesystem::path metrics, std::vector<std::string> failures)
      : metrics_(std::move(metrics)), failures_(std::move(failures)) {}
  const char* what() const noexcept override { return "the run is finished"; }
  const std::filesystem::path& metrics() const { return metrics_; }       ///< its metrics.json
  const std::vector<std::string>& failures() const { return failures_; }  ///< of its checks

 private:
  std::filesystem::path metrics_;
  std::vector<std::string> failures_;
};

/// The whole run: data, float training, quantization, conversion, verification on the whole test set, evaluation, files
/// and checks. Writes to options.out:
///
///   fp32.h5        the float model
///   qat.h5         the prepared and frozen model ("prepared.h5" with method "static", none with "dynamic",
///                  "weight-only" and "bf16")
///   int8.h5        the converted model; it is read back from the disk before it is verified and evaluated
///   static-*.h5    the int8 models of compare_static, and static-not-improved.h5 with improvements
///   metrics.json   report/metrics_json.h
///   report.html    the same for people: report/html/page.h
///   flips.csv      where two of the models say different classes, each example: report/evidence/flips.h
///   events.out.tfevents.detent  with RunOptions::events, from the beginning of the run on: events/event_log.h
///   checkpoint.h5  checkpoint.h: now and then while it trains, and at the end of each phase; removed when the run is
///                  done. With keep "best" checkpoint-best.h5, too
///
/// While it runs, the folder is its own (output_folder.h). An earlier run's files stay as they are until the float
/// model is trained; then all of them go, and metrics.json comes when all that it tells of is there.
///
/// A run that was ended at any moment, by whatever, goes on with Existing::Resume, and writes the same bytes to the .h5
/// files as one that was not. What was done since the last checkpoint is done again; without a checkpoint all is. It
/// must be the run that was cut off: of the same recipe, overrides, seed and data (Error), though any number of
/// threads.
///
/// Two runs of the same settings, model and seed write the same bytes to the .h5 files, whatever the number of threads.
/// A check that fails is told in Metrics::failures, not thrown. Throws Error for bad data, a model that does not fit, a
/// full disk
/// ...
evaluation::Metrics run(const Settings& settings, const RunParts& parts, const RunOptions& options,
                        evaluation::Reporter& reporter);

}  // namespace detent::train
