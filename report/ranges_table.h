#pragma once

#include <string>
#include <utility>
#include <vector>

#include "detent/quant/quantizers/measure.h"

namespace detent::report {

/// For people, a row a quantizer: the range, what it clips, and of its channels how many are always 0, how far the
/// largest is from the median one, and how many outliers there are.
std::string ranges_table(const std::vector<quant::RangeReport>& ranges);

/// The same of weights, by the names of their layers.
std::string weight_table(const std::vector<std::pair<std::string, quant::ChannelReport>>& layers);

}  // namespace detent::report
