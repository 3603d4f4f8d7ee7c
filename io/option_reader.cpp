#include "detent/io/option_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/core/text/list_text.h"
#include "detent/core/text/nearest.h"

namespace detent {

std::string in_message(const nlohmann::json& value) {
  constexpr std::size_t kLongest = 80;
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > kLongest) {
    text.replace(kLongest, std::string::npos, "...");
  }
  return text;
}

OptionReader::OptionReader(std::string_view kind, const nlohmann::json& options) : kind_(kind), options_(options) {
  check(options.is_object() || options.is_null(), kind_, ": options: expected an object, got ", in_message(options));
}

const nlohmann::json* OptionReader::find(const char* key) {
  known_.insert(key);
  const auto found = options_.find(key);
  return found == options_.end() ? nullptr : &*found;
}

std::int64_t OptionReader::integer(const char* key, std::int64_t fallback) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) {
    return fallback;
  }
  check(value->is_number_integer(), kind_, ": ", key, ": expected an integer, got ", in_message(*value));
  return value->get<std::int64_t>();
}

double OptionReader::real(const char* key, double fallback) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) {
    return fallback;
  }
  check(value->is_number(), kind_, ": ", key, ": expected a number, got ", in_message(*value));
  return value->get<double>();
}

bool OptionReader::boolean(const char* key, bool fallback) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) {
    return fallback;
  }
  check(value->is_boolean(), kind_, ": ", key, ": expected true or false, got ", in_message(*value));
  return value->get<bool>();
}

std::vector<std::int64_t> OptionReader::integers(const char* key, std::initializer_list<std::size_t> lengths,
                                                 std::string_view expected) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) {
    return {};
  }
  const nlohmann::json list = value->is_array() ? *value : nlohmann::json::array({*value});
  const bool are_integers =
      std::ranges::all_of(list, [](const nlohmann::json& number) { return number.is_number_integer(); });
  check(are_integers && std::ranges::find(lengths, list.size()) != lengths.end(), kind_, ": ", key, ": expected ",
        expected, ", got ", in_message(*value));
  return list.get<std::vector<std::int64_t>>();
}

std::string OptionReader::text(const char* key, std::string_view fallback) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) {
    return std::string(fallback);
  }
  check(value->is_string(), kind_, ": ", key, ": expected a text, got ", in_message(*value));
  return value->get<std::string>();
}

void OptionReader::finish() const {
  for (const auto& [key, value] : options_.items()) {
    if (!known_.contains(key)) {
      const std::vector<std::string> known(known_.begin(), known_.end());
      fail(kind_, ": unknown option '", key, "'", did_you_mean(key, known, ":"), " it has ",
           known.empty() ? "none" : comma_separated(known));
    }
  }
}

void check_extent(std::string_view kind, std::string_view key, std::int64_t value, std::int64_t low) {
  check(value >= low, kind, ": ", key, ": expected at least ", low, ", got ", value);
  check(value <= kMaxElements, kind, ": ", key, ": expected at most ", kMaxElements, ", got ", value);
}

void check_elements(std::string_view what, const Shape& shape) {
  double elements = 1.0;  // a product of integers might overflow
  for (const std::int64_t extent : shape.extents()) {
    check(extent >= 1, what, ": expected extents of at least 1, got shape ", shape);
    elements *= static_cast<double>(extent);
  }
  check(elements <= static_cast<double>(kMaxElements), what, ": expected at most ", kMaxElements,
        " elements, got shape ", shape);
}

}  // namespace detent
