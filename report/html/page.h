#pragma once

#include "detent/report/html/sections/sections.h"

namespace detent::report::html {

/// The page of one run: the verdict first, then a section for each thing that its metrics.json tells of. Of several: a
/// table with a column a run, and their curves in one chart. One file that asks for nothing: no script, no font, no
/// image from elsewhere. REQUIRES: at least one run; throws Error otherwise.
std::string page(const std::vector<Run>& runs);

}  // namespace detent::report::html
