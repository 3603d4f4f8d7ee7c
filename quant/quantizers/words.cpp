#include "detent/quant/quantizers/words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <sstream>

#include "detent/core/error.h"
#include "detent/core/text/nearest.h"

namespace detent::quant {
namespace {

std::optional<double> number_of(std::string_view word) {
  double number = 0.0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size() ? std::optional(number) : std::nullopt;
}

}  // namespace

std::vector<Phrase> phrases_of(std::string_view what, std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<Phrase> phrases;
  for (std::string word; stream >> word;) {
    if (const std::optional<double> number = number_of(word)) {
      check(!phrases.empty(), what, ": '", text, "' begins with a number; say first what it is of");
      phrases.back().numbers.push_back(*number);
    } else {
      phrases.push_back({word, {}});
    }
  }
  return phrases;
}

std::string to_text(double number) {
  std::array<char, 32> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  return std::string(digits.data(), end);
}

std::string to_text(const Phrase& phrase) {
  std::string text = phrase.word;
  for (const double number : phrase.numbers) {
    text += " " + to_text(number);
  }
  return text;
}

std::string nearest_word(std::string_view word, std::span<const std::string> words) {
  return *std::ranges::min_element(words, {},
                                   [word](const std::string& candidate) { return edit_distance(word, candidate); });
}

}  // namespace detent::quant
