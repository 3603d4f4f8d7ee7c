#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace detent::interchange {

/// What tensors are called elsewhere: names of a model's, or of its nodes, and those that stand for them in a file.
///
///     {"conv1": "features.0", "fc.weight": "head.w"}
///
/// makes features.0.weight of conv1.weight and features.0.bias of conv1.bias. The longest name that fits counts; what
/// none fits is called as it is.
class NameMap {
 public:
  NameMap() = default;
  /// Reads the JSON object in a file. Throws Error, naming it, for anything else.
  explicit NameMap(const std::filesystem::path& file);

  /// Throws Error for an empty name.
  void add(const std::string& own, const std::string& other);
  /// What the tensor `own`, "conv1.weight", is called elsewhere.
  std::string other_name(const std::string& own) const;
  /// Throws Error, naming them all, for names that fit none of `tensors`.
  void check_used(const std::vector<std::string>& tensors) const;

 private:
  /// The longest of its names that is `own` or begins it up to a dot; "" if there is none.
  std::string match(const std::string& own) const;

  std::map<std::string, std::string> names_;
};

}  // namespace detent::interchange
