#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "detent/runtime/model_file.h"

/// What reading and writing share. Private to model_file*.cpp.
namespace detent::runtime {

/// The newest of the files that are read. 3: small tensors may lie together (io/tensor_file.h), codes of at most 4 bits
/// take 4. 4: of 2 bits and of 1 they take as many. What is written has the oldest of the two that can say it.
inline constexpr std::int64_t kVersion = 4;
inline constexpr std::string_view kParameters = "parameters/";

/// "parameters/conv1/weight"
std::string path_of(std::string_view value, std::string_view name);

/// The bits that a weight's code of `bits` bits takes in files of `version`: 1, 2, 4 or 8.
constexpr std::int64_t stored_bits(std::int64_t bits, std::int64_t version) {
  const std::int64_t least = version >= 4 ? 1 : version == 3 ? 4 : 8;
  return std::max(least, bits <= 2 ? bits : bits <= 4 ? std::int64_t{4} : std::int64_t{8});
}
/// The bits of a weight's codes: what its range needs, but 1 where all are -1 and 1.
std::int64_t weight_bits(const Tensor& weight);
/// Codes s8, 8 / bits to a byte, u8 [ceil(elements * bits / 8)]: the first in the lowest bits, in two's complement, or
/// of 1 bit 0 for -1. What is left of the last byte is 0. REQUIRES: they fit `bits`, 1, 2 or 4.
Tensor pack_codes(const Tensor& codes, std::int64_t bits);
/// The inverse. Throws Error, naming `where`, unless `bytes` has as many as `shape` needs and what is left is 0.
Tensor unpack_codes(const Tensor& bytes, std::int64_t bits, const Shape& shape, std::string_view where);

/// The tensors of a file, each of which some node must ask for.
class StoredTensors {
 public:
  /// Of a file of `version`.
  StoredTensors(const std::map<std::string, Tensor>& tensors, std::int64_t version)
      : tensors_(tensors), version_(version) {}

  bool has(std::string_view value, std::string_view name) const;
  /// Throws Error unless it is there, with this type and, where one is given, shape.
  Tensor take(std::string_view value, std::string_view name, DType dtype, const std::optional<Shape>& shape = {});
  /// The weights s8 of a product of `bits` bits, one code a byte whichever way they are stored.
  Tensor take_weight(std::string_view value, const kernels::ConvShape& product, std::int64_t bits);
  /// All below "parameters/<value>/<folder>/", by the rest of their names.
  std::map<std::string, Tensor> take_all(std::string_view value, std::string_view folder);
  /// The map `<which>_scale`, `<which>_zero_point`, of codes of at most 8 bits.
  ScaleZero take_map(std::string_view value, const std::string& which);
  /// Throws Error if there is one that nobody took.
  void check_all_taken() const;

 private:
  const std::map<std::string, Tensor>& tensors_;
  std::int64_t version_;
  std::set<std::string> taken_;
};

/// The map of a value that a file says has codes of `bits` bits.
std::shared_ptr<const QParams> codes_map(ScaleZero map, std::int64_t bits);
/// The QParams of weights of `bits` bits, from weight_scale and weight_zero_point, which is all 0 where it is not
/// stored; `group` and `groups` as QParams has them.
std::shared_ptr<const QParams> weight_map(StoredTensors& tensors, std::string_view node, std::int64_t outputs,
                                          bool is_per_channel, std::int64_t bits, std::int64_t group = 0,
                                          std::int64_t groups = 1, bool has_zero_points = true);

/// object[key]. Throws Error, naming `where` and the key, if there is none or `object` is no object.
const nlohmann::json& member(const nlohmann::json& object, const char* key, std::string_view where);
std::string text_member(const nlohmann::json& object, const char* key, std::string_view where);
/// object["name"], which is letters, digits, '_', '-' and '.'.
std::string name_member(const nlohmann::json& object, std::string_view where);
bool boolean_member(const nlohmann::json& object, const char* key, std::string_view where);
double real_member(const nlohmann::json& object, const char* key, std::string_view where);
/// An integer of at least `low` and at most kMaxElements.
std::int64_t integer_member(const nlohmann::json& object, const char* key, std::string_view where, std::int64_t low);
/// `count` such integers.
std::vector<std::int64_t> integers_member(const nlohmann::json& object, const char* key, std::string_view where,
                                          std::size_t count, std::int64_t low);
/// The shape of one example: extents of at least 1, at most kMaxElements elements.
Shape shape_of(const nlohmann::json& value, std::string_view where);
/// Throws Error for a key that is not in `known`.
void check_keys(const nlohmann::json& object, const std::set<std::string>& known, std::string_view where);

/// Values by their names, as nodes are added.
class NamedValues {
 public:
  explicit NamedValues(Model& model) : model_(model) {}
  void add_input(Input input);
  /// Throws Error for a name that is taken.
  void add_node(Node node);
  ValueId find(std::string_view name, std::string_view reader) const;
  /// The ids of the values that the list json["inputs"] names.
  std::vector<ValueId> inputs_of(const nlohmann::json& node, std::string_view name) const;

 private:
  void add_name(const std::string& name);
  Model& model_;
  std::map<std::string, ValueId, std::less<>> by_name_;
};

/// The graph of a file of version 1, a list of modules, and its tensors.
Model model_from_modules(const nlohmann::json& graph, StoredTensors& tensors, const CustomFactory& custom);
/// The graph of a file of this version.
Model model_from_description(const nlohmann::json& graph, StoredTensors& tensors, const CustomFactory& custom);

/// `make()`, whose errors begin with the node's name.
template <typename Make>
auto named_errors(const std::string& node, Make&& make) {
  try {
    return make();
  } catch (const Error& error) {
    const std::string text = error.what();
    fail(text.starts_with(node + ": ") ? "" : node + ": ", text);
  }
}

}  // namespace detent::runtime
