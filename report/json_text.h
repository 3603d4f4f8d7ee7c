#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace detent::report {

/// The one place where JSON becomes text: one line, or indented, with a line end. It throws for no content: in texts
/// that are not UTF-8 (paths may have any bytes), U+FFFD stands for the bytes that are not.
inline std::string json_text(const nlohmann::json& json, int indent = -1) {
  return json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace detent::report
