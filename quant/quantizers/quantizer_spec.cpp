#include "detent/quant/quantizers/quantizer_spec.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "detent/quant/quantizers/gradients/rules.h"
#include "detent/quant/quantizers/words.h"

namespace detent::quant {
namespace {

struct GranularityWord {
  std::string_view word;
  std::size_t numbers;
  Granularity (*make)(std::span<const double> numbers);
};
constexpr GranularityWord kGranularities[] = {
    {"per-tensor", 0, [](std::span<const double>) { return Granularity(PerTensor{}); }},
    {"per-channel", 0, [](std::span<const double>) { return Granularity(PerChannel{}); }},
    {"per-group", 1,
     [](std::span<const double> numbers) {
       const auto size = static_cast<std::int64_t>(std::clamp(numbers[0], 0.0, 1e9));
       check(size >= 1 && static_cast<double>(size) == numbers[0],
             "per-group: expected a whole number of channels of at least 1, got ", numbers[0],
             "; write for example per-group 32");
       return Granularity(PerGroup{size});
     }},
    {"per-token", 0, [](std::span<const double>) { return Granularity(PerToken{}); }},
};

struct GranularityPhrase {
  Phrase operator()(const PerTensor&) const { return {"per-tensor", {}}; }
  Phrase operator()(const PerChannel&) const { return {"per-channel", {}}; }
  Phrase operator()(const PerGroup& group) const { return {"per-group", {static_cast<double>(group.size)}}; }
  Phrase operator()(const PerToken&) const { return {"per-token", {}}; }
};

struct SchemeWord {
  std::string_view word;
  Scheme scheme;
};
constexpr SchemeWord kSchemes[] = {{"symmetric", Scheme::Symmetric}, {"affine", Scheme::Affine}};

void check_numbers(std::string_view what, const Phrase& phrase, std::size_t count) {
  check(phrase.numbers.size() == count, what, ": '", to_text(phrase), "': expected ", count, " numbers behind '",
        phrase.word, "', got ", phrase.numbers.size());
}

void check_bits(std::string_view what, int bits) {
  check(1 <= bits && bits <= 8, what, ": expected 1 to 8 bits, got ", bits);
}

constexpr IntegerGrid kTernary{.bits = 2, .is_signed = true, .is_ternary = true};
constexpr IntegerGrid kBinary{.bits = 1, .is_signed = true};

struct GridWord {
  std::string_view word;
  IntegerGrid grid;
};
constexpr GridWord kGrids[] = {{"ternary", kTernary}, {"binary", kBinary}};

/// "int8", "uint8", "ternary" or "binary".
std::optional<IntegerGrid> grid_of(std::string_view word) {
  const auto* const named = std::ranges::find(kGrids, word, &GridWord::word);
  if (named != std::end(kGrids)) {
    return named->grid;
  }
  IntegerGrid grid{.bits = 0, .is_signed = word.starts_with("int")};
  if (!grid.is_signed && !word.starts_with("uint")) {
    return std::nullopt;
  }
  const std::string_view digits = word.substr(grid.is_signed ? 3 : 4);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), grid.bits);
  return error == std::errc() && end == digits.data() + digits.size() ? std::optional(grid) : std::nullopt;
}

std::string text_of(const IntegerGrid& grid) {
  return grid == kTernary ? "ternary" : (grid.is_signed ? "int" : "uint") + std::to_string(grid.bits);
}

template <typename Row, std::size_t n>
const Row* row_of(const Row (&rows)[n], std::string_view word) {
  const auto* const row = std::ranges::find(rows, word, &Row::word);
  return row == std::end(rows) ? nullptr : row;
}

std::vector<std::string> words() {
  std::vector<std::string> all = range_rule_names();
  const auto add = [&all](const auto& rows) {
    for (const auto& row : rows) {
      all.emplace_back(row.word);
    }
  };
  add(kGrids);
  add(kGranularities);
  add(kSchemes);
  std::ranges::move(gradient_rule_names(), std::back_inserter(all));
  std::ranges::move(map_rule_names(), std::back_inserter(all));
  return all;
}

/// The word that was meant: a type for what looks like one.
std::string meant_word(const std::string& word, const IntegerGrid& grid) {
  std::vector<std::string> all = words();
  all.push_back(text_of(grid));
  return nearest_word(word, all);
}

[[noreturn]] void fail_word(std::string_view what, std::string_view text, const std::vector<Phrase>& phrases,
                            Phrase& wrong, const QuantizerSpec& rest) {
  const std::string word = wrong.word;
  wrong.word = meant_word(word, rest.grid);
  std::string corrected;
  for (const Phrase& phrase : phrases) {
    corrected += (corrected.empty() ? "" : " ") + to_text(phrase);
  }
  try {
    parse_quantizer(what, corrected, rest);
  } catch (const Error&) {
    corrected = to_text(rest);
  }
  fail(what, ": '", word, "' in '", text, "' is not understood; the nearest word is '", wrong.word,
       "'; write for example \"", corrected, "\"");
}

/// Puts what a phrase says into the spec. False: it is not a word of the text form.
bool take(std::string_view what, const Phrase& phrase, QuantizerSpec& spec) {
  if (const std::optional<IntegerGrid> grid = grid_of(phrase.word)) {
    check_numbers(what, phrase, 0);
    check_bits(what, grid->bits);
    spec.grid = *grid;
  } else if (const GranularityWord* const granularity = row_of(kGranularities, phrase.word)) {
    check_numbers(what, phrase, granularity->numbers);
    spec.granularity = granularity->make(phrase.numbers);
  } else if (const SchemeWord* const scheme = row_of(kSchemes, phrase.word)) {
    check_numbers(what, phrase, 0);
    spec.scheme = scheme->scheme;
  } else if (find_gradient_rule(phrase.word) != nullptr) {
    spec.gradient = {phrase.word, phrase.numbers};
  } else if (is_map_rule(phrase.word)) {
    check_numbers(what, phrase, 0);
    spec.map = phrase.word;
  } else if (find_range_rule(phrase.word) != nullptr) {
    spec.range = {phrase.word, phrase.numbers};
  } else {
    return false;
  }
  return true;
}

}  // namespace

QuantizerSpec parse_quantizer(std::string_view what, std::string_view text, const QuantizerSpec& rest) {
  QuantizerSpec spec = rest;
  std::vector<Phrase> phrases = phrases_of(what, text);
  bool has_grid = false;
  for (Phrase& phrase : phrases) {
    if (!take(what, phrase, spec)) {
      fail_word(what, text, phrases, phrase, rest);
    }
    has_grid = has_grid || grid_of(phrase.word).has_value();
  }
  check(has_grid, what, ": '", text, "' does not say the type; write for example \"", to_text(rest), "\"");
  try {
    make_gradient_rule(spec.gradient);
    spec.gradient = spec.gradient.rule == kStraightThroughRule ? GradientSpec{} : spec.gradient;
    if (spec.range.is_said()) {
      make_range_rule(spec.range, spec.range_target());
    }
  } catch (const Error& error) {
    fail(what, ": ", error.what());
  }
  return spec;
}

std::string to_text(const Granularity& granularity) { return to_text(std::visit(GranularityPhrase{}, granularity)); }

Granularity parse_granularity(std::string_view text) {
  const std::vector<Phrase> phrases = phrases_of("granularity", text);
  const GranularityWord* const row = phrases.size() == 1 ? row_of(kGranularities, phrases[0].word) : nullptr;
  check(row != nullptr, "granularity: expected per-tensor, per-channel, per-token or per-group and a size, got '", text,
        "'");
  check_numbers("granularity", phrases[0], row->numbers);
  return row->make(phrases[0].numbers);
}

std::string to_text(const QuantizerSpec& spec) {
  std::string text = text_of(spec.grid) + " " + to_text(spec.granularity) + " ";
  text += std::ranges::find(kSchemes, spec.scheme, &SchemeWord::scheme)->word;
  text += spec.range.is_said() ? " " + to_text(spec.range) : "";
  text += spec.map.empty() ? "" : " " + spec.map;
  return text + (spec.gradient.rule.empty() ? "" : " " + to_text(spec.gradient));
}

QuantizerSpec parse_weight_quantizer(std::string_view text) { return parse_quantizer("weights", text, int8_weights()); }

QuantizerSpec parse_activation_quantizer(std::string_view text) {
  QuantizerSpec spec = parse_quantizer("activations", text, uint8_activations());
  const std::string granularity = to_text(spec.granularity);
  if (!spec.is_per_tensor() && !spec.is_per_token()) {
    spec.granularity = PerTensor{};
    fail("activations: '", text, "': activations have one scale, not ", granularity, "; write \"", to_text(spec), "\"");
  }
  return spec;
}

bool is_quantizer_word(std::string_view word) {
  return grid_of(word).has_value() || std::ranges::count(words(), word) > 0;
}

void check_quantizer_name(std::string_view what, std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool is_name = !name.empty() && is_letter(name[0]) && std::ranges::all_of(name, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
  });
  check(is_name, what, ": expected a name of lower-case letters, digits and '-', got '", name, "'");
  check(!is_quantizer_word(name), what, ": the name '", name, "' is taken; choose another");
}

}  // namespace detent::quant
