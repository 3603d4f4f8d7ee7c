#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// A model of the ONNX format as plain structures: what its files say, before it means anything to this project.
namespace detent::onnx {

/// The element types of the format that are read or written here, by their numbers in its files.
enum class ElementType : std::int32_t {
  F32 = 1,
  U8 = 2,
  S8 = 3,
  U16 = 4,
  S16 = 5,
  S32 = 6,
  S64 = 7,
  Bool = 9,
  F16 = 10,
  F64 = 11,
  U32 = 12,
  U64 = 13,
  BF16 = 16,
  S4 = 22,  ///< two in a byte, the first in the lower half; since opset 21
};

/// "float", "int8": as the format's documents call it; "type 8" for one that is not listed above.
std::string name_of(ElementType type);
/// Whether it is float, double, float16 or bfloat16.
bool is_real(ElementType type);
/// The bytes of so many elements. Throws Error for a type that is not listed above.
std::uint64_t bytes_of(ElementType type, std::uint64_t elements);

/// A tensor: its elements little-endian, row by row.
struct Array {
  std::string name = {};
  ElementType type = ElementType::F32;
  std::vector<std::int64_t> dims = {};
  std::vector<std::byte> bytes = {};

  std::int64_t elements() const;
  /// Of float, double, float16 or bfloat16. Throws Error for another type.
  std::vector<float> reals() const;
  /// Of integers and bool. Throws Error for another type.
  std::vector<std::int64_t> integers() const;

  static Array of(std::string name, std::vector<std::int64_t> dims, const std::vector<float>& values);
  static Array of(std::string name, std::vector<std::int64_t> dims, const std::vector<std::int64_t>& values);
  static Array of(std::string name, std::vector<std::int64_t> dims, const std::vector<std::int32_t>& values);
};

/// Of a type that is not read: graphs, texts, lists of tensors.
struct OtherValue {};

struct Attribute {
  std::string name = {};
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<float>, Array, OtherValue>
      value = {};
};

/// An operation. A missing input has the name "".
struct Node {
  std::string name = {};
  std::string op = {};
  std::string domain = {};
  std::vector<std::string> inputs = {}, outputs = {};
  std::vector<Attribute> attributes = {};

  bool has(std::string_view attribute) const;
  bool has_input(std::size_t i) const { return i < inputs.size() && !inputs[i].empty(); }
  /// The attribute's value, `other` where it is missing. Throws Error for one of another type.
  std::int64_t integer(std::string_view attribute, std::int64_t other) const;
  float real(std::string_view attribute, float other) const;
  std::string text(std::string_view attribute, std::string other) const;
  std::vector<std::int64_t> integers(std::string_view attribute, std::vector<std::int64_t> other) const;
  std::vector<float> reals(std::string_view attribute, std::vector<float> other) const;
  /// Null where it is missing.
  const Array* array(std::string_view attribute) const;
};

/// An input or output of the model. An extent of -1 is not fixed; without `dims` not even their number is.
struct ValueInfo {
  std::string name = {};
  ElementType type = ElementType::F32;
  std::optional<std::vector<std::int64_t>> dims = {};
  std::string batch = {};  ///< what the first extent is called where it is not fixed: "N"
};

struct Model {
  std::int64_t ir_version = 0;
  std::string producer = {};
  std::map<std::string, std::int64_t, std::less<>> opsets = {};  ///< by domain, "" for the format's own operations
  std::vector<ValueInfo> inputs = {}, outputs = {};              ///< inputs without those that are initializers
  std::vector<Array> initializers = {};
  std::vector<Node> nodes = {};
  std::map<std::string, std::string, std::less<>> metadata = {};  ///< texts beside the model, by their keys
};

}  // namespace detent::onnx
