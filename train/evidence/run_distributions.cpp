#include "detent/train/evidence/run_distributions.h"

#include "detent/evaluation/drift/model_distributions.h"

namespace detent::train {

Attributes with_distributions(Attributes attributes, const runtime::Model& model, const RunData& data,
                              std::uint64_t seed) {
  if (!evaluation::watched_values(model).empty()) {
    evaluation::Reporter silent;
    attributes[evaluation::kDistributionsAttribute] = evaluation::to_attribute(evaluation::distributions_of(
        model, evaluation::reference_sample(data.train, seed), data.normalization, silent));
  }
  return attributes;
}

PreparedModel prepared_model(nn::Graph prepared, const Attributes& attributes, const RunData& data, std::uint64_t seed,
                             const quant::Kinds& kinds) {
  quant::Converted converted = quant::convert(prepared, {}, kinds);
  Attributes with = with_distributions(attributes, converted.model, data, seed);
  return {.graph = std::move(prepared), .converted = std::move(converted), .attributes = std::move(with)};
}

}  // namespace detent::train
