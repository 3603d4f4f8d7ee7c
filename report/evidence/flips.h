#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "detent/evaluation/evidence/evidence.h"

namespace detent::report {

/// How many flips of a pair metrics.json holds; flips.csv beside it has all.
inline constexpr std::size_t kMostFlipsTold = 100;

/// The `most` worst of a pair's flips: those that the second model lost first, then those that it won, then those that
/// both have wrong; among them the surest of the second model first, of equal ones the first. By their examples.
std::vector<evaluation::Flip> worst_flips(const std::vector<evaluation::Flip>& flips, std::size_t most);

/// All flips of all pairs as comma-separated values, a line each, below the line
///
///   a,b,index,label,class_a,class_b,margin_a,margin_b
///
/// a and b are the models' names; index, classes and margins are as in metrics.json.
std::string flips_csv(const evaluation::Evidence& evidence);

}  // namespace detent::report
