// The text of the attribute `distributions`: model_distributions.h has its layout.
#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

#include "detent/core/text/base64.h"
#include "detent/evaluation/drift/model_distributions.h"
#include "detent/io/description.h"
#include "detent/io/option_reader.h"

namespace detent::evaluation {
namespace {

using nlohmann::json;

constexpr std::int64_t kVersion = 1;
constexpr std::uint64_t kWhole = 65535;

class Packer {
 public:
  void whole(std::uint64_t value, int bytes) {
    for (int b = 0; b < bytes; ++b) {
      bytes_ += static_cast<char>(value >> (8 * b) & 255U);
    }
  }
  void real(float value) { whole(std::bit_cast<std::uint32_t>(value), 4); }
  /// Half a step up, then cut off: shares are counts over counts, and 0 stays empty.
  void share(double value) {
    const auto nearest = static_cast<std::uint64_t>(value * static_cast<double>(kWhole) + 0.5);
    whole(value > 0.0 ? std::clamp<std::uint64_t>(nearest, 1, kWhole) : 0, 2);
  }
  std::string text() const { return base64(bytes_); }

 private:
  std::string bytes_;
};

class Unpacker {
 public:
  Unpacker(std::string_view text, std::string where) : where_(std::move(where)) {
    check(text.size() % 4 == 0, where_, ": is cut off");
    const std::optional<std::string> bytes = from_base64(text);
    check(bytes.has_value(), where_, ": is not base64");
    bytes_ = *bytes;
  }

  std::uint64_t whole(int bytes) {
    check(at_ + static_cast<std::size_t>(bytes) <= bytes_.size(), where_, ": is cut off");
    std::uint64_t value = 0;
    for (int b = 0; b < bytes; ++b) {
      value |= std::uint64_t{static_cast<unsigned char>(bytes_[at_++])} << (8 * b);
    }
    return value;
  }
  float real(const char* what) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(whole(4)));
    check(std::isfinite(value), where_, ": ", what, ": expected finite numbers");
    return value;
  }
  double share() { return static_cast<double>(whole(2)) / static_cast<double>(kWhole); }
  void finish() const { check(at_ == bytes_.size(), where_, ": has ", bytes_.size() - at_, " bytes too many"); }

 private:
  std::string where_;
  std::string bytes_;
  std::size_t at_ = 0;
};

std::string to_text(const Distribution& distribution, bool are_codes) {
  Packer packer;
  packer.whole(distribution.bounds.size(), 1);
  for (const float bound : distribution.bounds) {
    if (are_codes) {
      packer.whole(static_cast<std::uint64_t>(bound), 1);
    } else {
      packer.real(bound);
    }
  }
  for (const double share : distribution.shares) {
    packer.share(share);
  }
  if (are_codes) {
    packer.share(distribution.saturated);
  }
  packer.real(distribution.mean);
  packer.real(distribution.deviation);
  return packer.text();
}

Distribution from_text(std::string_view text, bool are_codes, const std::string& where) {
  Unpacker unpacker(text, where);
  const std::uint64_t bounds = unpacker.whole(1);
  check(bounds <= kMostBounds, where, ": expected at most ", kMostBounds, " bounds, got ", bounds);
  Distribution result;
  for (std::uint64_t i = 0; i < bounds; ++i) {
    const float bound = are_codes ? static_cast<float>(unpacker.whole(1)) : unpacker.real("bounds");
    check(result.bounds.empty() || result.bounds.back() < bound, where, ": expected rising bounds");
    result.bounds.push_back(bound);
  }
  double sum = 0.0;
  for (std::uint64_t i = 0; i <= bounds; ++i) {
    result.shares.push_back(unpacker.share());
    sum += result.shares.back();
  }
  check(std::abs(sum - 1.0) < 0.001, where, ": expected shares of 1 together, got ", sum);
  result.saturated = are_codes ? unpacker.share() : 0.0;
  result.mean = unpacker.real("mean");
  result.deviation = unpacker.real("deviation");
  check(result.deviation >= 0.0F, where, ": expected a deviation of at least 0, got ", result.deviation);
  unpacker.finish();
  return result;
}

json to_json(const std::map<std::string, Distribution>& distributions, bool are_codes) {
  json texts = json::object();
  for (const auto& [name, distribution] : distributions) {
    texts[name] = to_text(distribution, are_codes);
  }
  return texts;
}

std::map<std::string, Distribution> from_json(const json& all, const char* member, bool are_codes) {
  const auto texts = all.find(member);
  check(texts != all.end() && texts->is_object(), "distributions: ", member, ": expected an object");
  std::map<std::string, Distribution> result;
  for (const auto& [name, text] : texts->items()) {
    const std::string where = "distributions: " + in_message(json(name));
    check(text.is_string(), where, ": expected a text, got ", in_message(text));
    result.emplace(name, from_text(text.get<std::string>(), are_codes, where));
  }
  return result;
}

}  // namespace

std::string to_attribute(const ModelDistributions& distributions) {
  return json{{"version", kVersion},
              {"examples", distributions.examples},
              {"codes", to_json(distributions.codes, true)},
              {"reals", to_json(distributions.reals, false)}}
      .dump();
}

ModelDistributions from_attribute(const TensorFile::Attribute& attribute) {
  const auto* const text = std::get_if<std::string>(&attribute);
  check(text != nullptr, "distributions: expected a text");
  const json all = parse_description("distributions", *text);
  const auto integer = [&](const char* key) {
    check(all.is_object() && all.contains(key) && all[key].is_number_unsigned() &&
              all[key].get<std::uint64_t>() <= static_cast<std::uint64_t>(kMaxElements),
          "distributions: ", key, ": expected a whole number from 0 to ", kMaxElements);
    return all[key].get<std::int64_t>();
  };
  const std::int64_t version = integer("version");
  check(version == kVersion, "distributions: version: expected ", kVersion, ", got ", version,
        ": they were written by another version of the program");
  ModelDistributions result{
      .examples = integer("examples"), .codes = from_json(all, "codes", true), .reals = from_json(all, "reals", false)};
  check(result.examples >= 1, "distributions: expected at least one example");
  return result;
}

}  // namespace detent::evaluation
