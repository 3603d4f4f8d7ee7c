#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/error.h"
#include "detent/core/shape.h"

namespace detent {

/// Reads a module's options from JSON, key by key, strictly: a key of another type, or one that nobody asked for,
/// throws Error naming the kind and the key.
///
///   OptionReader reader("dropout", json);
///   Dropout::Options options{.p = reader.real("p", 0.5)};
///   reader.finish();
class OptionReader {
 public:
  /// `options` is an object or null (no options), and outlives the reader.
  OptionReader(std::string_view kind, const nlohmann::json& options);

  std::int64_t integer(const char* key, std::int64_t fallback);
  double real(const char* key, double fallback);
  bool boolean(const char* key, bool fallback);
  /// A number as a list of one, or a list of as many numbers as one of `lengths` says; empty where the key is absent.
  /// `expected` says so in messages.
  std::vector<std::int64_t> integers(const char* key, std::initializer_list<std::size_t> lengths,
                                     std::string_view expected);
  std::string text(const char* key, std::string_view fallback);
  /// Throws Error for a key that was not read.
  void finish() const;

 private:
  const nlohmann::json* find(const char* key);
  std::string kind_;
  const nlohmann::json& options_;
  std::set<std::string> known_;
};

/// The value as a message shows it: in ASCII, cut short where it is long.
std::string in_message(const nlohmann::json& value);

/// The largest extent, and the largest number of elements of one example or weight, so that no product overflows.
inline constexpr std::int64_t kMaxElements = (std::int64_t{1} << 31) - 1;

/// Throws Error unless low <= value <= kMaxElements: "conv2d: kernel: expected at least 1, got 0".
void check_extent(std::string_view kind, std::string_view key, std::int64_t value, std::int64_t low = 1);
/// Throws Error unless every extent is at least 1 and there are at most kMaxElements elements.
void check_elements(std::string_view what, const Shape& shape);

}  // namespace detent
