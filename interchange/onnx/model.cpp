#include "detent/interchange/onnx/model.h"

#include <algorithm>
#include <cstring>

#include "detent/core/dtype.h"
#include "detent/core/error.h"
#include "detent/core/shape.h"

namespace detent::onnx {
namespace {

struct TypeRow {
  ElementType type;
  const char* name;
  std::uint64_t bits;
};
constexpr TypeRow kTypes[] = {
    {ElementType::F32, "float", 32},  {ElementType::U8, "uint8", 8},       {ElementType::S8, "int8", 8},
    {ElementType::U16, "uint16", 16}, {ElementType::S16, "int16", 16},     {ElementType::S32, "int32", 32},
    {ElementType::S64, "int64", 64},  {ElementType::Bool, "bool", 8},      {ElementType::F16, "float16", 16},
    {ElementType::F64, "double", 64}, {ElementType::U32, "uint32", 32},    {ElementType::U64, "uint64", 64},
    {ElementType::S4, "int4", 4},     {ElementType::BF16, "bfloat16", 16},
};

const TypeRow* row_of(ElementType type) {
  const auto* const row = std::ranges::find(kTypes, type, &TypeRow::type);
  return row == std::end(kTypes) ? nullptr : row;
}

/// Each element as a T, converted to a To.
template <typename T, typename To>
std::vector<To> converted(const Array& array) {
  std::vector<To> values(static_cast<std::size_t>(array.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, array.bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<To>(value);
  }
  return values;
}

template <typename T>
Array array_of(std::string name, ElementType type, std::vector<std::int64_t> dims, const std::vector<T>& values) {
  Array array{.name = std::move(name), .type = type, .dims = std::move(dims)};
  array.bytes.resize(values.size() * sizeof(T));
  std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
  check(array.elements() == static_cast<std::int64_t>(values.size()), "onnx: ", array.name, ": ", values.size(),
        " values do not fill shape ", Shape(array.dims));
  return array;
}

/// The attribute's value as a T; null where it is missing.
template <typename T>
const T* find(const Node& node, std::string_view name, const char* wanted) {
  const auto found = std::ranges::find(node.attributes, name, &Attribute::name);
  if (found == node.attributes.end()) {
    return nullptr;
  }
  const T* const value = std::get_if<T>(&found->value);
  check(value != nullptr, "attribute '", name, "': expected ", wanted);
  return value;
}

template <typename T>
T value_or(const Node& node, std::string_view name, const char* wanted, T other) {
  const T* const value = find<T>(node, name, wanted);
  return value == nullptr ? std::move(other) : *value;
}

/// Two in a byte, the first in the lower half; of two's complement.
std::vector<std::int64_t> converted_halves(const Array& array) {
  constexpr unsigned kBits = 4, kMask = 0xf, kSign = 8;
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(array.elements()));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto half = (std::to_integer<unsigned>(array.bytes[i / 2]) >> (i % 2 * kBits)) & kMask;
    numbers[i] = static_cast<std::int64_t>(half ^ kSign) - kSign;
  }
  return numbers;
}

}  // namespace

std::string name_of(ElementType type) {
  const TypeRow* const row = row_of(type);
  return row == nullptr ? "type " + std::to_string(static_cast<std::int32_t>(type)) : row->name;
}

bool is_real(ElementType type) {
  return type == ElementType::F32 || type == ElementType::F64 || type == ElementType::F16 || type == ElementType::BF16;
}

std::uint64_t bytes_of(ElementType type, std::uint64_t elements) {
  const TypeRow* const row = row_of(type);
  check(row != nullptr, "elements of ", name_of(type), " are not read");
  return row->bits < 8 ? (elements + 1) / 2 : elements * (row->bits / 8);
}

std::int64_t Array::elements() const { return Shape(dims).elements(); }

std::vector<float> Array::reals() const {
  switch (type) {
    case ElementType::F32:
      return converted<float, float>(*this);
    case ElementType::F64:
      return converted<double, float>(*this);
    case ElementType::F16:
      return converted<float16, float>(*this);
    case ElementType::BF16:
      return converted<bfloat16, float>(*this);
    default:
      fail("'", name, "': expected real numbers, got ", name_of(type));
  }
}

std::vector<std::int64_t> Array::integers() const {
  switch (type) {
    case ElementType::S4:
      return converted_halves(*this);
    case ElementType::U8:
    case ElementType::Bool:
      return converted<std::uint8_t, std::int64_t>(*this);
    case ElementType::S8:
      return converted<std::int8_t, std::int64_t>(*this);
    case ElementType::U16:
      return converted<std::uint16_t, std::int64_t>(*this);
    case ElementType::S16:
      return converted<std::int16_t, std::int64_t>(*this);
    case ElementType::S32:
      return converted<std::int32_t, std::int64_t>(*this);
    case ElementType::U32:
      return converted<std::uint32_t, std::int64_t>(*this);
    case ElementType::S64:
      return converted<std::int64_t, std::int64_t>(*this);
    default:
      fail("'", name, "': expected whole numbers, got ", name_of(type));
  }
}

Array Array::of(std::string name, std::vector<std::int64_t> dims, const std::vector<float>& values) {
  return array_of(std::move(name), ElementType::F32, std::move(dims), values);
}
Array Array::of(std::string name, std::vector<std::int64_t> dims, const std::vector<std::int64_t>& values) {
  return array_of(std::move(name), ElementType::S64, std::move(dims), values);
}
Array Array::of(std::string name, std::vector<std::int64_t> dims, const std::vector<std::int32_t>& values) {
  return array_of(std::move(name), ElementType::S32, std::move(dims), values);
}

bool Node::has(std::string_view attribute) const {
  return std::ranges::find(attributes, attribute, &Attribute::name) != attributes.end();
}
std::int64_t Node::integer(std::string_view attribute, std::int64_t other) const {
  return value_or<std::int64_t>(*this, attribute, "a whole number", other);
}
float Node::real(std::string_view attribute, float other) const {
  return value_or<float>(*this, attribute, "a real number", other);
}
std::string Node::text(std::string_view attribute, std::string other) const {
  return value_or<std::string>(*this, attribute, "a text", std::move(other));
}
std::vector<std::int64_t> Node::integers(std::string_view attribute, std::vector<std::int64_t> other) const {
  return value_or<std::vector<std::int64_t>>(*this, attribute, "whole numbers", std::move(other));
}
std::vector<float> Node::reals(std::string_view attribute, std::vector<float> other) const {
  return value_or<std::vector<float>>(*this, attribute, "real numbers", std::move(other));
}
const Array* Node::array(std::string_view attribute) const { return find<Array>(*this, attribute, "a tensor"); }

}  // namespace detent::onnx
