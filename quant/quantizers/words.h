#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The text form of quantizers, as words with the numbers that follow them.
namespace detent::quant {

/// "per-group 32", "percentile 99.9", "int8": digits within a word are part of it.
struct Phrase {
  std::string word;
  std::vector<double> numbers;
};
/// Throws Error, beginning with `what`, where a number stands first.
std::vector<Phrase> phrases_of(std::string_view what, std::string_view text);
std::string to_text(const Phrase& phrase);
/// A number in as few digits as give it back.
std::string to_text(double number);

/// Of `words` the one that `word` was meant for, by the fewest letters to change (core/text/nearest.h).
std::string nearest_word(std::string_view word, std::span<const std::string> words);

}  // namespace detent::quant
