#pragma once

#include "detent/report/html/read.h"

namespace detent::report::html {

/// The page of what `detent monitor MODEL --json` prints (drift/drift_json.h, with `model`, `kind` and `data`): which
/// value left its range first, what was checked, then every value beside the training data. `command` runs it again.
/// One file that asks for nothing, as page() gives.
std::string drift_page(const Json& drift, const std::string& command);

}  // namespace detent::report::html
