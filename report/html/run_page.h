#pragma once

#include "detent/data/dataset.h"
#include "detent/evaluation/metrics.h"

namespace detent::report::html {

/// The page (page.h) of what a run writes to its metrics.json, with pictures of examples of `test`.
std::string run_page(const evaluation::Metrics& metrics, const data::Dataset& test);

}  // namespace detent::report::html
