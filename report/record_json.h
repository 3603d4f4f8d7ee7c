#pragma once

#include <nlohmann/json_fwd.hpp>

#include "detent/evaluation/record/run_record.h"

namespace detent::report {

/// {recipe_text, recipe_file, overrides, command, folder, data, data_path, versions {name: version}, processor, data_sha256}
nlohmann::json to_json(const evaluation::RunRecord& record);
/// Throws Error for what is no record.
evaluation::RunRecord record_of(const nlohmann::json& json);

}  // namespace detent::report
