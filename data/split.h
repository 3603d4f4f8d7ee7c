#pragma once

#include <cstdint>
#include <vector>

#include "detent/data/dataset.h"

namespace detent::data {

/// The examples of a data set, cut in two; both in rising order.
struct Split {
  std::vector<std::int64_t> kept;
  std::vector<std::int64_t> held_out;
};

/// Holds out floor(share * N) examples, drawn from every class in proportion to its size: each class gives
/// floor(share * its examples), and those with the largest remainders one more (of equal ones the first). Flags are
/// drawn by their combinations; values are drawn from all. No class gives its last example, so there may be fewer.
/// Which are drawn depends on data set, share and seed alone. REQUIRES: share in [0, 1).
Split stratified_split(const Dataset& dataset, double share, std::uint64_t seed);

/// `dataset` in another order, by the seed alone.
Dataset shuffled(const Dataset& dataset, std::uint64_t seed);

}  // namespace detent::data
