#include "detent/interchange/same/onnx_difference.h"

#include <algorithm>
#include <bit>
#include <set>
#include <span>

#include "detent/core/shape.h"
#include "detent/core/text/list_text.h"
#include "detent/core/text/shape_text.h"

namespace detent::interchange {
namespace {

using onnx::Array;
using onnx::Attribute;
using onnx::ElementType;
using onnx::Node;

constexpr const char* kAbsent = "none";

/// The array with each element in bytes of its own.
Array in_bytes(const Array& array) {
  return array.type == ElementType::S4 ? Array::of(array.name, array.dims, array.integers()) : array;
}

/// The bytes of an element. REQUIRES: elements have bytes of their own.
std::span<const std::byte> element(const Array& array, std::size_t i) {
  const auto unit = static_cast<std::size_t>(onnx::bytes_of(array.type, 1));
  return std::span(array.bytes).subspan(i * unit, unit);
}

/// An element as a person writes it.
std::string text_of(const Array& array, std::size_t i) {
  const std::span<const std::byte> bytes = element(array, i);
  Array one{.name = array.name, .type = array.type, .dims = {1}, .bytes = {bytes.begin(), bytes.end()}};
  switch (one.type) {
    case ElementType::F32:
    case ElementType::F64:
    case ElementType::F16:
    case ElementType::BF16:
      return number_text(one.reals()[0]);
    case ElementType::U64:
      one.type = ElementType::S64;
      break;
    default:
      break;
  }
  return std::to_string(one.integers()[0]);
}

std::string type_of(const Array* array) {
  return array == nullptr ? kAbsent : onnx::name_of(array->type) + " " + detent::text_of(Shape(array->dims));
}

/// `name` as a node and what it has: "conv1" and "weight".
Difference named(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? Difference{.field = name}
                                    : Difference{.node = name.substr(0, slash), .field = name.substr(slash + 1)};
}

std::optional<Difference> difference_of(const std::string& name, const Array* a, const Array* b) {
  if (a == nullptr && b == nullptr) {
    return std::nullopt;
  }
  Difference found = named(name);
  if (a == nullptr || b == nullptr || a->type != b->type || a->dims != b->dims) {
    found.a = type_of(a);
    found.b = type_of(b);
    return found;
  }
  if (a->bytes == b->bytes) {
    return std::nullopt;
  }
  const Array all_a = in_bytes(*a), all_b = in_bytes(*b);
  found.elements = a->elements();
  for (std::size_t i = 0; i < static_cast<std::size_t>(found.elements); ++i) {
    if (!std::ranges::equal(element(all_a, i), element(all_b, i)) && found.differing++ == 0) {
      found.index = index_text(Shape(a->dims), static_cast<std::int64_t>(i));
      found.a = text_of(all_a, i);
      found.b = text_of(all_b, i);
    }
  }
  return found.differing > 0 ? std::optional(found) : std::nullopt;  // else in half a byte that is no element
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + (name.empty() ? kAbsent : name);
  }
  return text.empty() ? kAbsent : text;
}

struct ValueText {
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(float value) const { return number_text(value); }
  std::string operator()(const std::string& value) const { return "\"" + value + "\""; }
  std::string operator()(const std::vector<std::int64_t>& values) const {
    return texts(values, [](std::int64_t value) { return std::to_string(value); });
  }
  std::string operator()(const std::vector<float>& values) const {
    return texts(values, [](float value) { return number_text(value); });
  }
  std::string operator()(const Array& array) const { return type_of(&array); }
  std::string operator()(const onnx::OtherValue&) const { return "a value that is not read"; }

 private:
  template <typename T, typename Text>
  static std::string texts(const std::vector<T>& values, Text&& text) {
    std::vector<std::string> list;
    std::ranges::transform(values, std::back_inserter(list), text);
    return "[" + comma_separated(list) + "]";
  }
};

bool is_same(const Attribute& a, const Attribute& b) {
  const auto same_bits = [](float x, float y) {
    return std::bit_cast<std::int32_t>(x) == std::bit_cast<std::int32_t>(y);
  };
  if (a.value.index() != b.value.index() || std::holds_alternative<onnx::OtherValue>(a.value)) {
    return false;
  }
  if (const float* const real = std::get_if<float>(&a.value)) {
    return same_bits(*real, std::get<float>(b.value));
  }
  if (const auto* const reals = std::get_if<std::vector<float>>(&a.value)) {
    return std::ranges::equal(*reals, std::get<std::vector<float>>(b.value), same_bits);
  }
  if (const Array* const array = std::get_if<Array>(&a.value)) {
    const Array& other = std::get<Array>(b.value);
    return array->type == other.type && array->dims == other.dims && array->bytes == other.bytes;
  }
  const auto same_value = [&]<typename T>(const T* value) {
    return value != nullptr && *value == std::get<T>(b.value);
  };
  return same_value(std::get_if<std::int64_t>(&a.value)) || same_value(std::get_if<std::string>(&a.value)) ||
         same_value(std::get_if<std::vector<std::int64_t>>(&a.value));
}

std::map<std::string, const Attribute*> by_name(const std::vector<Attribute>& attributes) {
  std::map<std::string, const Attribute*> named;
  for (const Attribute& attribute : attributes) {
    named.emplace(attribute.name, &attribute);
  }
  return named;
}

std::optional<Difference> difference_of(const std::vector<Attribute>& a, const std::vector<Attribute>& b) {
  const auto attributes_a = by_name(a), attributes_b = by_name(b);
  std::set<std::string> names;
  for (const auto* attributes : {&attributes_a, &attributes_b}) {
    for (const auto& [name, attribute] : *attributes) {
      names.insert(name);
    }
  }
  for (const std::string& name : names) {
    const auto in_a = attributes_a.find(name), in_b = attributes_b.find(name);
    const bool has_a = in_a != attributes_a.end(), has_b = in_b != attributes_b.end();
    if (!has_a || !has_b || !is_same(*in_a->second, *in_b->second)) {
      return Difference{.field = name,
                        .a = has_a ? std::visit(ValueText(), in_a->second->value) : kAbsent,
                        .b = has_b ? std::visit(ValueText(), in_b->second->value) : kAbsent};
    }
  }
  return std::nullopt;
}

std::optional<Difference> difference_of(const Node& a, const Node& b) {
  const auto of_texts = [](const char* field, const std::string& x, const std::string& y) -> std::optional<Difference> {
    return x == y ? std::nullopt : std::optional(Difference{.field = field, .a = x, .b = y});
  };
  const auto in_domain = [](const Node& node) { return (node.domain.empty() ? "" : node.domain + ".") + node.op; };
  auto found = of_texts("op", in_domain(a), in_domain(b));
  found = found ? found : of_texts("inputs", listed(a.inputs), listed(b.inputs));
  found = found ? found : of_texts("outputs", listed(a.outputs), listed(b.outputs));
  return found ? found : difference_of(a.attributes, b.attributes);
}

using NamedArrays = std::map<std::string, const Array*>;

NamedArrays arrays_of(const onnx::Model& model) {
  NamedArrays arrays;
  for (const Array& array : model.initializers) {
    arrays.emplace(array.name, &array);
  }
  return arrays;
}

const Array* find(const NamedArrays& arrays, const std::string& name) {
  const auto found = arrays.find(name);
  return found == arrays.end() ? nullptr : found->second;
}

std::string info_text(const onnx::ValueInfo& info) {
  std::string dims = info.dims ? "" : " of any shape";
  for (std::size_t axis = 0; info.dims && axis < info.dims->size(); ++axis) {
    const std::int64_t extent = (*info.dims)[axis];
    dims += (axis == 0 ? " [" : ", ") + (extent >= 0 ? std::to_string(extent) : axis == 0 ? info.batch : "?");
  }
  return info.name + " " + onnx::name_of(info.type) + dims + (info.dims && !info.dims->empty() ? "]" : "");
}

std::optional<Difference> difference_of(const char* field, const std::vector<onnx::ValueInfo>& a,
                                        const std::vector<onnx::ValueInfo>& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string in_a = i < a.size() ? info_text(a[i]) : kAbsent, in_b = i < b.size() ? info_text(b[i]) : kAbsent;
    if (in_a != in_b) {
      return Difference{.field = field, .a = in_a, .b = in_b};
    }
  }
  return std::nullopt;
}

std::optional<Difference> difference_of_opsets(const onnx::Model& a, const onnx::Model& b) {
  const auto text = [](const onnx::Model& model) {
    std::string all;
    for (const auto& [domain, version] : model.opsets) {
      all += (all.empty() ? "" : ", ") + domain + (domain.empty() ? "" : " ") + std::to_string(version);
    }
    return all;
  };
  return text(a) == text(b) ? std::nullopt : std::optional(Difference{.field = "opset", .a = text(a), .b = text(b)});
}

}  // namespace

std::optional<Difference> first_difference(const onnx::Model& a, const onnx::Model& b) {
  const NamedArrays arrays_a = arrays_of(a), arrays_b = arrays_of(b);
  for (std::size_t i = 0; i < std::min(a.nodes.size(), b.nodes.size()); ++i) {
    if (auto found = difference_of(a.nodes[i], b.nodes[i])) {
      found->node = a.nodes[i].outputs.empty() ? a.nodes[i].name : a.nodes[i].outputs[0];
      return found;
    }
    for (const std::string& input : a.nodes[i].inputs) {
      if (auto found = difference_of(input, find(arrays_a, input), find(arrays_b, input))) {
        return found;
      }
    }
  }
  if (a.nodes.size() != b.nodes.size()) {
    const auto count = [](const onnx::Model& model) { return std::to_string(model.nodes.size()) + " operations"; };
    return Difference{.field = "operations", .a = count(a), .b = count(b)};
  }
  for (const auto* arrays : {&arrays_a, &arrays_b}) {  // those that no operation reads, too: an output may be one
    for (const auto& [name, array] : *arrays) {
      if (auto found = difference_of(name, find(arrays_a, name), find(arrays_b, name))) {
        return found;
      }
    }
  }
  auto found = difference_of("inputs", a.inputs, b.inputs);
  found = found ? found : difference_of("outputs", a.outputs, b.outputs);
  return found ? found : difference_of_opsets(a, b);
}

}  // namespace detent::interchange
