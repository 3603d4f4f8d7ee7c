#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Members of a metrics.json. What is not there and what is of another type are alike: the page leaves it out, and
/// nothing here throws.
namespace detent::report::html {

using Json = nlohmann::json;

/// The member at a path of names, "int8.verify"; null JSON where there is none.
const Json& member(const Json& json, std::string_view path);
/// A finite number.
std::optional<double> number(const Json& json, std::string_view path);
/// A text, or a number or truth value as text.
std::optional<std::string> text(const Json& json, std::string_view path);
/// The elements of an array, or none.
const std::vector<Json>& list(const Json& json, std::string_view path);
/// The finite numbers of an array of numbers alone; else none.
std::vector<double> numbers(const Json& json, std::string_view path);
std::vector<std::string> texts(const Json& json, std::string_view path);
bool is_true(const Json& json, std::string_view path);

}  // namespace detent::report::html
