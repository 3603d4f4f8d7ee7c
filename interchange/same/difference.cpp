#include "detent/interchange/same/difference.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <set>
#include <vector>

#include "detent/core/text/shape_text.h"
#include "detent/io/option_reader.h"

namespace detent::interchange {
namespace {

using nlohmann::json;

constexpr const char* kNone = "none";

/// The first place below `path` where two descriptions differ, types of numbers included.
std::optional<Difference> difference_of(const json& a, const json& b, const std::string& path) {
  if (a.is_object() && b.is_object()) {
    std::set<std::string> keys;
    for (const json* object : {&a, &b}) {
      for (const auto& [key, value] : object->items()) {
        keys.insert(key);
      }
    }
    for (const std::string& key : keys) {
      const std::string field = path.empty() ? key : path + "." + key;
      if (!a.contains(key) || !b.contains(key)) {
        const auto text = [&](const json& object) {
          return object.contains(key) ? in_message(object[key]) : std::string(kNone);
        };
        return Difference{.field = field, .a = text(a), .b = text(b)};
      }
      if (auto found = difference_of(a[key], b[key], field)) {
        return found;
      }
    }
    return std::nullopt;
  }
  if (a.is_array() && b.is_array() && a.size() == b.size()) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (auto found = difference_of(a[i], b[i], path + "[" + std::to_string(i) + "]")) {
        return found;
      }
    }
    return std::nullopt;
  }
  if (a.dump() == b.dump()) {
    return std::nullopt;
  }
  return Difference{.field = path, .a = in_message(a), .b = in_message(b)};
}

std::string type_of(const Tensor* tensor) {
  return tensor == nullptr ? kNone : std::string(name_of(tensor->dtype())) + " " + text_of(tensor->shape());
}

template <typename T>
std::string shortest(T value) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::string element(const Tensor& tensor, std::int64_t i) {
  const double value = tensor.reshape({tensor.elements()}).rows(i, i + 1).item();
  return tensor.dtype() == DType::S32   ? std::to_string(static_cast<std::int64_t>(value))
         : tensor.dtype() == DType::F64 ? shortest(value)
                                        : shortest(static_cast<float>(value));
}

std::optional<Difference> difference_of(const std::string& name, const Tensor* a, const Tensor* b) {
  if (a == nullptr || b == nullptr || a->dtype() != b->dtype() || a->shape() != b->shape()) {
    return Difference{.field = name, .a = type_of(a), .b = type_of(b)};
  }
  if (std::memcmp(a->raw(), b->raw(), a->bytes()) == 0) {
    return std::nullopt;
  }
  const std::size_t unit = size_of(a->dtype());
  Difference found{.field = name, .elements = a->elements()};
  for (std::int64_t i = 0; i < a->elements(); ++i) {
    const std::size_t at = static_cast<std::size_t>(i) * unit;
    if (std::memcmp(a->raw() + at, b->raw() + at, unit) != 0 && found.differing++ == 0) {
      found.index = index_text(a->shape(), i);
      found.a = element(*a, i);
      found.b = element(*b, i);
    }
  }
  return found;
}

/// The tensors of a node, by their own names.
std::map<std::string, const Tensor*> tensors_of(const CanonicalModel& model, const std::string& node) {
  const std::string folder = node + "/";
  std::map<std::string, const Tensor*> tensors;
  for (auto at = model.tensors.lower_bound(folder); at != model.tensors.end() && at->first.starts_with(folder); ++at) {
    tensors.emplace(at->first.substr(folder.size()), &at->second);
  }
  return tensors;
}

/// Of one value, an input or a node, of both models.
std::optional<Difference> difference_of(const CanonicalModel& model_a, const CanonicalModel& model_b, const json& a,
                                        const json& b) {
  for (const char* key : {"name", "op", "kind"}) {  // what it is before how it is
    if (a.value(key, json()) != b.value(key, json())) {
      return difference_of(json{{key, a.value(key, json())}}, json{{key, b.value(key, json())}}, "");
    }
  }
  if (auto found = difference_of(a, b, "")) {
    return found;
  }
  const std::string node = a["name"].get<std::string>();
  const auto tensors_a = tensors_of(model_a, node);
  const auto tensors_b = tensors_of(model_b, node);
  std::set<std::string> names;
  for (const auto* tensors : {&tensors_a, &tensors_b}) {
    for (const auto& [name, tensor] : *tensors) {
      names.insert(name);
    }
  }
  for (const std::string& name : names) {
    const auto in = [&](const std::map<std::string, const Tensor*>& tensors) {
      const auto found = tensors.find(name);
      return found == tensors.end() ? nullptr : found->second;
    };
    if (auto found = difference_of(name, in(tensors_a), in(tensors_b))) {
      return found;
    }
  }
  return std::nullopt;
}

std::string count_of(const json& list, const char* noun) { return std::to_string(list.size()) + " " + noun; }

}  // namespace

std::optional<Difference> first_difference(const CanonicalModel& a, const CanonicalModel& b) {
  if (a.kind != b.kind) {
    return Difference{.field = "kind", .a = a.kind, .b = b.kind};
  }
  for (const char* list : {"inputs", "nodes"}) {
    const json& values_a = a.graph[list];
    const json& values_b = b.graph[list];
    for (std::size_t i = 0; i < std::min(values_a.size(), values_b.size()); ++i) {
      if (auto found = difference_of(a, b, values_a[i], values_b[i])) {
        found->node = values_a[i]["name"].get<std::string>();
        const auto own = a.names.find(found->node);
        found->node = own == a.names.end() ? found->node : own->second;
        return found;
      }
    }
    if (values_a.size() != values_b.size()) {
      return Difference{.field = list, .a = count_of(values_a, list), .b = count_of(values_b, list)};
    }
  }
  return difference_of(json{{"output", a.graph["output"]}}, json{{"output", b.graph["output"]}}, "");
}

std::string index_text(const Shape& shape, std::int64_t i) {
  std::vector<std::int64_t> index(shape.rank());
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    index[axis] = i % shape[axis];
    i /= shape[axis];
  }
  return text_of(Shape(std::move(index)));
}

std::string number_text(float value) { return shortest(value); }

std::string to_text(const Difference& difference, const std::string& a, const std::string& b) {
  std::string text = difference.node.empty() ? "" : difference.node + ": ";
  text += difference.field + (difference.index.empty() ? "" : " " + difference.index) + ": " + difference.a + " in " +
          a + ", " + difference.b + " in " + b;
  if (difference.elements > 0) {
    text += " (" + std::to_string(difference.differing) + " of " + std::to_string(difference.elements) +
            " elements differ)";
  }
  return text;
}

}  // namespace detent::interchange
