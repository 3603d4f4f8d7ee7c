#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "detent/evaluation/reproduction.h"

namespace detent::report {

/// In Markdown: a table with a row a rung, its columns aligned; how each was made; what failed.
std::string to_markdown(const evaluation::Ladder& ladder);
/// {name, description, dataset_description, threads, processor, rungs [{name, how, is_float, parameter_bytes,
///   latencies [{batch, ms, of_float}], and the members of a run as reproduction_table.h has them}], failures}
nlohmann::json to_json(const evaluation::Ladder& ladder);

}  // namespace detent::report
