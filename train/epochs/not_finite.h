#pragma once

#include <string>

#include "detent/data/loader.h"
#include "detent/nn/graph.h"

namespace detent::train {

/// Where a step whose loss is not finite got the first number that is none: runs `graph` once more on its batch, with
/// the same random numbers, and looks at what each layer gives:
///
///   "conv2 is the first layer to give one: inf for example 17"
///
/// `examples` are the numbers of the batch's examples in the data set. For diagnosis alone: running statistics and
/// ranges take the batch in once more.
std::string origin_of_not_finite(nn::Graph& graph, const data::Batch& batch, std::span<const std::int64_t> examples,
                                 DType product_dtype, std::uint64_t seed, std::uint64_t number);

}  // namespace detent::train
