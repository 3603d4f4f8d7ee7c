#include "detent/report/record_json.h"

#include <nlohmann/json.hpp>

#include "detent/core/error.h"

namespace detent::report {

nlohmann::json to_json(const evaluation::RunRecord& record) {
  return {{"recipe_text", record.recipe_text}, {"recipe_file", record.recipe_file}, {"overrides", record.overrides},
          {"command", record.command},         {"folder", record.folder},           {"data", record.data},
          {"data_path", record.data_path},     {"versions", record.versions},       {"processor", record.processor},
          {"data_sha256", record.data_sha256}};
}

evaluation::RunRecord record_of(const nlohmann::json& json) {
  try {
    return {.recipe_text = json.at("recipe_text"),
            .recipe_file = json.at("recipe_file"),
            .overrides = json.at("overrides").get<std::vector<std::string>>(),
            .command = json.at("command"),
            .folder = json.at("folder"),
            .data = json.at("data"),
            .data_path = json.value("data_path", std::string()),
            .versions = json.at("versions").get<std::map<std::string, std::string>>(),
            .processor = json.at("processor"),
            .data_sha256 = json.at("data_sha256")};
  } catch (const nlohmann::json::exception& error) {
    fail("record of a run: ", error.what());
  }
}

}  // namespace detent::report
