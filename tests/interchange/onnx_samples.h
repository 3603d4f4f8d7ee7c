#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "detent/interchange/onnx/model_file.h"
#include "tests/interchange/onnx_models.h"

/// Small files of the format, for the tests of its reader.
namespace detent::onnx {

inline Making sample() {
  Making making({2, 4, 4});
  making.random("c.weight", {3, 2, 3, 3}).random("c.bias", {3}).random("w", {12, 2});
  making.node("Conv", {"x", "c.weight", "c.bias"}, "a", {{"kernel_shape", Numbers{3, 3}}});
  making.node("LeakyRelu", {"a"}, "r", {{"alpha", 0.25F}}).node("Flatten", {"r"}, "f");
  making.node("MatMul", {"f", "w"}, "p").node("Softmax", {"p"}, "y");
  return making;
}

/// The bytes of sample() with tensor 'w' in a file of its own. Messages of the format are made by hand here, as only
/// their reader knows external data: field 8 a name, 13 an entry (1 key, 2 value), 14 the location.
inline std::vector<std::byte> with_external(const std::string& location, const std::string& offset,
                                            const std::string& length) {
  const auto field = [](int number, const std::string& text) {
    return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(text.size()) + text;
  };
  const auto entry = [&](const std::string& key, const std::string& value) {
    return field(13, field(1, key) + field(2, value));
  };
  std::string tensor = std::string("\x08\x0c\x08\x02\x10\x01", 6) + field(8, "w") + entry("location", location);
  tensor += offset.empty() ? "" : entry("offset", offset);
  tensor += length.empty() ? "" : entry("length", length);
  tensor += std::string("\x70\x01", 2);
  Making making = sample();
  making.model.initializers.pop_back();
  const std::vector<std::byte> rest = to_bytes(making.model);
  // A second piece of a message is merged into the first: the graph, field 7, gets one more tensor, field 5.
  const std::string piece = field(7, field(5, tensor));
  std::vector<std::byte> bytes = rest;
  for (const char letter : piece) {
    bytes.push_back(static_cast<std::byte>(letter));
  }
  return bytes;
}

}  // namespace detent::onnx
