#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detent/data/dataset.h"
#include "detent/data/formats/read_options.h"

namespace detent::data {

/// The classes that labels name, and their numbers. Labels that are whole numbers, "3" and "3.0" alike, are ordered as
/// numbers, all others as texts.
class Classes {
 public:
  /// Those of `labels`, without repetition.
  static Classes of(const std::vector<std::string>& labels);
  /// Those that are known already, in their order.
  static Classes named(std::vector<std::string> names);

  const std::vector<std::string>& names() const { return names_; }
  std::int64_t size() const { return std::ssize(names_); }
  /// The number of `label`'s class, if it has one.
  std::optional<std::int32_t> find(std::string_view label) const;

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::int32_t, std::less<>> numbers_;
};

/// A label as classes compare it: without blanks around it, and a whole number as its digits alone.
std::string class_label(std::string_view label);

/// s32 [N] of `labels`; `place(i)` names the i-th one in errors. Throws Error for one that is none of `classes`.
Tensor class_numbers(const std::vector<std::string>& labels, const Classes& classes,
                     const std::function<std::string(std::size_t)>& place);

/// Those that `options` names, else those of `labels`. Throws Error, which begins with `where`, if there are fewer than
/// two, or so many that the labels look like numbers to be predicted.
Classes classes_for(const std::vector<std::string>& labels, const ReadOptions& options, const std::string& where);

/// A flag: 0, 1, false, true, no or yes.
std::optional<double> flag_of(std::string_view field);

}  // namespace detent::data
