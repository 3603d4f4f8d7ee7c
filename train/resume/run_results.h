#pragma once

#include <string>
#include <string_view>

#include "detent/evaluation/metrics.h"

namespace detent::train {

/// What a run found out in what is over: a run that goes on does not do it again.
struct RunResults {
  std::optional<evaluation::TrainedResult> fp32 = {};         ///< when float training is over and fp32.h5 written
  std::string fp32_sha256 = {};                               ///< of fp32.h5
  double in_float_seconds = 0.0;                              ///< of the epochs in float that QAT begins with
  std::int64_t in_float_steps = 0;                            ///< of the same
  std::vector<evaluation::EpochResult> epochs = {};           ///< of float training
  std::vector<evaluation::EpochResult> in_float_epochs = {};  ///< of the epochs in float that QAT begins with
  std::optional<evaluation::Calibration> calibration = {};    ///< that QAT began with
};

/// The attribute of a checkpoint that holds them.
inline constexpr const char* kResultsAttribute = "results";

/// The results as one line of JSON, exactly.
std::string to_json_text(const RunResults& results);
/// Throws Error for what is no such text.
RunResults run_results_of(std::string_view json_text);

}  // namespace detent::train
