#pragma once

#include <string>
#include <vector>

#include "detent/evaluation/evidence/evidence.h"

namespace detent::report {

/// The evidence for people, in 100 columns where names of slices are not long: the models side by side, what changed
/// between the first and the last, slices, flips, confusion, modules in float, the verdict. `class_names` may be empty:
/// classes are then numbers.
std::string to_text(const evaluation::Evidence& evidence, const std::vector<std::string>& class_names = {});

/// The first pair in two lines: predictions that differ, the slice that lost most, the median latencies. Empty without
/// a pair.
std::string brief_text(const evaluation::Evidence& evidence);

/// "all checks passed (...)", "nothing was checked", or "checks failed", as a line.
std::string to_text(const evaluation::Verdict& verdict);

}  // namespace detent::report
