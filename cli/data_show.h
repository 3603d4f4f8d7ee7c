#pragma once

#include "detent/cli/arguments.h"

namespace detent::cli {

/// `detent data show [PATH]`: what is understood of data, and what in them looks wrong.
int show_data(const Arguments& arguments);

}  // namespace detent::cli
