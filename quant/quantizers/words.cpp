#include "detent/quant/quantizers/words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <optional>
#include <sstream>

#include "detent/core/error.h"

namespace detent::quant {
namespace {

std::optional<double> number_of(std::string_view word) {
  double number = 0.0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size() ? std::optional(number) : std::nullopt;
}

/// Letters to insert, delete or replace (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
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
                                   [word](const std::string& candidate) { return distance(word, candidate); });
}

}  // namespace detent::quant
