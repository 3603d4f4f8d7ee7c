#pragma once

#include "detent/quant/passes/convert.h"
#include "detent/train/run_data.h"

namespace detent::train {

/// `attributes`, and the distributions of the model's values on a sample of the training examples, where it has some
/// that are watched (evaluation/drift/model_distributions.h).
Attributes with_distributions(Attributes attributes, const runtime::Model& model, const RunData& data,
                              std::uint64_t seed);

/// A prepared and frozen model, what it is converted to, and what the files of both say beside them.
struct PreparedModel {
  nn::Graph graph = {};
  quant::Converted converted = {};
  Attributes attributes = {};
};
PreparedModel prepared_model(nn::Graph prepared, const Attributes& attributes, const RunData& data, std::uint64_t seed,
                             const quant::Kinds& kinds);

}  // namespace detent::train
