#include "detent/report/html/read.h"

#include <cmath>

#include "detent/report/json_text.h"

namespace detent::report::html {
namespace {

std::optional<double> number_of(const Json& json) {
  if (!json.is_number()) {
    return std::nullopt;
  }
  const double value = json.get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<std::string> text_of(const Json& json) {
  if (json.is_string()) {
    return json.get<std::string>();
  }
  if (json.is_number() || json.is_boolean()) {
    std::string text = json_text(json);
    text.pop_back();
    return text;
  }
  return std::nullopt;
}

}  // namespace

const Json& member(const Json& json, std::string_view path) {
  static const Json kNone;
  const Json* at = &json;
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    if (!at->is_object()) {
      return kNone;
    }
    const auto found = at->find(std::string(name));
    if (found == at->end()) {
      return kNone;
    }
    at = &*found;
  }
  return *at;
}

std::optional<double> number(const Json& json, std::string_view path) { return number_of(member(json, path)); }

std::optional<std::string> text(const Json& json, std::string_view path) { return text_of(member(json, path)); }

const std::vector<Json>& list(const Json& json, std::string_view path) {
  static const std::vector<Json> kNone;
  const Json& found = member(json, path);
  return found.is_array() ? found.get_ref<const Json::array_t&>() : kNone;
}

std::vector<double> numbers(const Json& json, std::string_view path) {
  std::vector<double> result;
  for (const Json& element : list(json, path)) {
    const std::optional<double> value = number_of(element);
    if (!value) {
      return {};
    }
    result.push_back(*value);
  }
  return result;
}

std::vector<std::string> texts(const Json& json, std::string_view path) {
  std::vector<std::string> result;
  for (const Json& element : list(json, path)) {
    if (std::optional<std::string> value = text_of(element)) {
      result.push_back(std::move(*value));
    }
  }
  return result;
}

bool is_true(const Json& json, std::string_view path) {
  const Json& found = member(json, path);
  return found.is_boolean() && found.get<bool>();
}

}  // namespace detent::report::html
