#pragma once

#include "detent/data/dataset.h"
#include "detent/data/loader.h"
#include "detent/evaluation/progress.h"
#include "detent/evaluation/verify.h"

namespace detent::evaluation {

/// Dynamically quantized products against the reference executor (runtime/reference.h): what the plan gives for the
/// input that each such layer has in it, compared bit by bit with what the reference gives for the same input. There is
/// no prepared graph to compare with: the codes of these layers are made as they run. Layers are the dynamic products,
/// "codes" their results, predictions are not compared, and there is no codes_sha256.
///
/// The first examples of `dataset` are fed, as many as take the reference about 2^29 multiply-adds, at least 16. A
/// model without dynamic products has nothing to compare: `images` is then all of the data set, and layers are none.
VerifyReport verify_hybrid(const runtime::Model& model, const data::Dataset& dataset,
                           const data::Normalization& normalization, Reporter& reporter);

}  // namespace detent::evaluation
