#include "detent/data/formats/targets.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "detent/core/utf8.h"
#include "detent/data/formats/table/table.h"

namespace detent::data {
namespace {

constexpr double kLargestWhole = 9007199254740992.0;  // 2^53: beyond it not all whole numbers are doubles
constexpr std::int64_t kManyClasses = 100;
constexpr std::size_t kNamed = 8;

std::optional<std::int64_t> whole_number_of(std::string_view text) {
  const std::optional<double> number = number_of(text);
  const bool is_whole = number && std::floor(*number) == *number && std::abs(*number) <= kLargestWhole;
  return is_whole ? std::optional(static_cast<std::int64_t>(*number)) : std::nullopt;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kNamed); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > kNamed ? text + " and " + std::to_string(names.size() - kNamed) + " more" : text;
}

}  // namespace

std::string class_label(std::string_view label) {
  const std::optional<std::int64_t> number = whole_number_of(label);
  return number ? std::to_string(*number) : valid_utf8(trimmed(label));
}

Classes Classes::of(const std::vector<std::string>& labels) {
  std::set<std::string> distinct;
  for (const std::string& label : labels) {
    distinct.insert(class_label(label));
  }
  std::vector<std::string> names(distinct.begin(), distinct.end());
  if (std::ranges::all_of(names, [](const std::string& name) { return whole_number_of(name).has_value(); })) {
    std::ranges::sort(names, {}, [](const std::string& name) { return *whole_number_of(name); });
  }
  return named(std::move(names));
}

Classes Classes::named(std::vector<std::string> names) {
  Classes classes;
  for (std::size_t i = 0; i < names.size(); ++i) {
    classes.numbers_.emplace(class_label(names[i]), static_cast<std::int32_t>(i));
  }
  classes.names_ = std::move(names);
  return classes;
}

std::optional<std::int32_t> Classes::find(std::string_view label) const {
  const auto found = numbers_.find(class_label(label));
  return found == numbers_.end() ? std::nullopt : std::optional(found->second);
}

Tensor class_numbers(const std::vector<std::string>& labels, const Classes& classes,
                     const std::function<std::string(std::size_t)>& place) {
  Tensor numbers = Tensor::empty({std::ssize(labels)}, DType::S32);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::optional<std::int32_t> number = classes.find(labels[i]);
    if (!number) {
      fail(place(i), ": \"", class_label(labels[i]),
           "\" is none of the classes that the training examples have: ", list_of(classes.names()));
    }
    numbers.data<std::int32_t>()[i] = *number;
  }
  return numbers;
}

Classes classes_for(const std::vector<std::string>& labels, const ReadOptions& options, const std::string& where) {
  if (!options.class_names.empty()) {
    return Classes::named(options.class_names);
  }
  Classes classes = Classes::of(labels);
  check(classes.size() >= 2, where, ": all labels are \"", classes.names().empty() ? "" : classes.names()[0],
        "\": expected at least 2 classes");
  const bool are_numbers =
      std::ranges::all_of(classes.names(), [](const std::string& name) { return number_of(name).has_value(); });
  check(!are_numbers || classes.size() <= kManyClasses || 2 * classes.size() <= std::ssize(labels), where, ": has ",
        classes.size(), " different numbers in ", labels.size(), " examples, which look like values and not like ",
        "classes; write task = \"values\" under [data]");
  return classes;
}

std::optional<double> flag_of(std::string_view field) {
  constexpr std::array<std::pair<std::string_view, double>, 4> kWords{
      {{"false", 0.0}, {"true", 1.0}, {"no", 0.0}, {"yes", 1.0}}};
  const std::string_view word = trimmed(field);
  for (const auto& [known, flag] : kWords) {
    if (std::ranges::equal(word, known, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; })) {
      return flag;
    }
  }
  const std::optional<double> number = number_of(word);
  return number == 0.0 || number == 1.0 ? number : std::nullopt;
}

}  // namespace detent::data
