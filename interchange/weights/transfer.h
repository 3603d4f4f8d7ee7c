#pragma once

#include <map>
#include <string>
#include <vector>

#include "detent/interchange/weights/name_map.h"
#include "detent/interchange/weights/weight_file.h"
#include "detent/quant/passes/open_model.h"

/// Weights of whole models, by name: out of a model of any kind, into a float graph.
namespace detent::interchange {

struct WeightOptions {
  NameMap names = {};
  /// Of the file. Not said: when reading, as the file says; when writing, Detent's.
  std::optional<Layout> layout = {};
};

/// All tensors of a model as `detent inspect` names them, "conv1.weight", called as `names` says. Codes are s8, one a
/// byte, beside their weight_scale. Throws Error for names that fit nothing or make two tensors one, and for another
/// layout than Detent's of what is no float model.
std::map<std::string, Tensor> weights_of(const quant::OpenedModel& model, const WeightOptions& options = {});

struct ReadWeights {
  std::int64_t tensors = 0, elements = 0;
  std::vector<std::string> passed_over = {};  ///< of the file: PyTorch's counters num_batches_tracked
};

/// Sets all that the modules of a float graph own, from a file; reals of other widths are converted to nearest. All
/// that does not fit is told at once: what the file lacks, what it has besides, what has another shape, type or numbers
/// that are not finite. Then nothing is set. Throws Error, too, where the file does not say how its tensors lie, the
/// options neither, and it matters.
ReadWeights read_weights(WeightFile& file, nn::Graph& graph, const WeightOptions& options = {});

}  // namespace detent::interchange
