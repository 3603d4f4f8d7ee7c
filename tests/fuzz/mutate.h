#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "tests/fuzz/readers.h"

namespace detent::fuzz {

/// One of `seeds` with 1 to 6 changes: bits, bytes and numbers, pieces left out, doubled, or taken from another seed.
/// The same random numbers give the same bytes on every machine. REQUIRES: a seed.
Bytes mutated(const std::vector<Bytes>& seeds, std::mt19937_64& random);

}  // namespace detent::fuzz
