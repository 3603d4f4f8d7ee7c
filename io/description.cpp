#include "detent/io/description.h"

namespace detent {
namespace {

/// Throws Error for a text that is too long, and for brackets, outside of texts, that lie deeper in each other than
/// those of a model's description. Of deeply nested JSON a parser and everything that walks over it would overflow the
/// stack.
void check_bounds(std::string_view what, std::string_view text) {
  constexpr int kDeepest = 100;
  check(text.size() <= kLongestDescription, what, ": the description has ", text.size(), " bytes, expected at most ",
        kLongestDescription);
  int depth = 0;
  bool is_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      is_text = !is_text;
    } else if (is_text) {
      i += c == '\\' ? 1 : 0;  // the next character is no end of the text
    } else if (c == '[' || c == '{') {
      check(++depth <= kDeepest, what, ": the description is nested deeper than ", kDeepest, " brackets");
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

}  // namespace

nlohmann::json parse_description(std::string_view what, std::string_view text) {
  check_bounds(what, text);
  nlohmann::json description = nlohmann::json::parse(text, nullptr, false);
  check(!description.is_discarded(), what, ": the description is not JSON");
  return description;
}

}  // namespace detent
