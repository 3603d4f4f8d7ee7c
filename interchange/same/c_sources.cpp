#include "detent/interchange/same/c_sources.h"

#include <algorithm>
#include <fstream>

#include "detent/core/error.h"

namespace detent::interchange {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestFile = std::uintmax_t{1} << 30;

bool is_word(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
         letter == '_' || letter == '.';
}

/// Goes through a text, word by word.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<CToken> tokens() {
    while (at_ < text_.size()) {
      const char letter = text_[at_];
      if (starts("/*")) {
        skip_to("*/");
      } else if (starts("//")) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (starts("\\\n")) {
        ++line_;
        at_ += 2;
      } else if (letter == '\n') {
        end_line();
      } else if (letter == ' ' || letter == '\t' || letter == '\r') {
        ++at_;
      } else {
        in_directive_ = in_directive_ || letter == '#';
        take(length(letter));
      }
    }
    return std::move(tokens_);
  }

 private:
  bool starts(std::string_view what) const { return text_.substr(at_, what.size()) == what; }

  void skip_to(std::string_view end) {
    const std::size_t found = text_.find(end, at_ + 2);
    const std::size_t next = found == std::string_view::npos ? text_.size() : found + end.size();
    line_ += std::ranges::count(text_.substr(at_, next - at_), '\n');
    at_ = next;
  }
  void end_line() {
    if (in_directive_) {
      take(1);
      in_directive_ = false;
    } else {
      ++at_;
    }
    ++line_;
  }
  void take(std::size_t count) {
    tokens_.push_back({text_.substr(at_, count), line_});
    at_ += count;
  }
  /// Of the word that begins here.
  std::size_t length(char letter) const {
    const auto word_from = [&](std::size_t begin) {
      const auto end = std::find_if_not(text_.begin() + static_cast<std::ptrdiff_t>(begin), text_.end(), is_word);
      return static_cast<std::size_t>(end - text_.begin());
    };
    if (letter == '"' || letter == '\'') {
      std::size_t end = at_ + 1;
      while (end < text_.size() && text_[end] != letter && text_[end] != '\n') {
        end += text_[end] == '\\' ? 2 : 1;
      }
      return std::min(end + 1, text_.size()) - at_;
    }
    const bool in_list = !tokens_.empty() && (tokens_.back().text == "{" || tokens_.back().text == ",");
    const std::size_t begin = at_ + (letter == '-' && in_list ? 1 : 0);
    std::size_t end = word_from(begin);
    const bool has_power = text_.substr(begin, 2) == "0x" && end < text_.size() && text_[end - 1] == 'p' &&
                           (text_[end] == '-' || text_[end] == '+');
    end = has_power ? word_from(end + 1) : end;
    return std::max<std::size_t>(end - at_, 1);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  bool in_directive_ = false;
  std::vector<CToken> tokens_ = {};
};

std::string read_text(const fs::path& path) {
  std::error_code error;
  check(fs::is_regular_file(path, error), path.string(), ": cannot be read: there is no such file");
  const std::uintmax_t size = fs::file_size(path, error);
  check(!error && size <= kLargestFile, path.string(), ": cannot be read: it has ", size,
        " bytes, more than the sources of a model");
  std::string text(size, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(text.data(), static_cast<std::streamsize>(size));
  check(in.good() || size == 0, path.string(), ": cannot be read");
  return text;
}

/// The list of an array that token `at` lies in: its name, and the token after its brace; none: `at` is in no list.
struct List {
  std::string_view name = {};
  std::size_t begin = 0;
};
std::optional<List> list_around(const std::vector<CToken>& tokens, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && tokens[begin - 1].text != "=" && tokens[begin - 1].text != ";") {
    --begin;
  }
  if (begin == 0 || begin >= tokens.size() || tokens[begin - 1].text != "=" || tokens[begin].text != "{" ||
      begin >= at) {
    return std::nullopt;
  }
  std::size_t name = begin - 1;
  while (name > 0 && tokens[name - 1].text != "[" && tokens[name - 1].text != ";") {
    --name;
  }
  if (name < 2 || tokens[name - 1].text != "[") {
    return std::nullopt;
  }
  return List{.name = tokens[name - 2].text, .begin = begin + 1};
}

/// The elements of a list of numbers.
std::vector<std::string_view> elements_of(const std::vector<CToken>& tokens, std::size_t begin) {
  std::vector<std::string_view> elements;
  for (std::size_t at = begin; at < tokens.size() && tokens[at].text != ";"; ++at) {
    if (tokens[at].text != "," && tokens[at].text != "{" && tokens[at].text != "}") {
      elements.push_back(tokens[at].text);
    }
  }
  return elements;
}

std::string text_at(const std::vector<CToken>& tokens, std::size_t at) {
  constexpr std::size_t kShown = 60;
  return at >= tokens.size()       ? "its end"
         : tokens[at].text == "\n" ? "the line's end"
                                   : std::string(tokens[at].text.substr(0, kShown));
}

std::optional<Difference> difference_of(std::string_view text_a, std::string_view text_b, const std::string& file) {
  const std::vector<CToken> a = c_tokens(text_a), b = c_tokens(text_b);
  const auto [in_a, in_b] = std::ranges::mismatch(a, b, std::ranges::equal_to(), &CToken::text, &CToken::text);
  if (in_a == a.end() && in_b == b.end()) {
    return std::nullopt;
  }
  const auto at = static_cast<std::size_t>(in_a - a.begin());
  const auto list = at < a.size() && at < b.size() ? list_around(a, at) : std::nullopt;
  if (list) {
    const auto elements_a = elements_of(a, list->begin), elements_b = elements_of(b, list->begin);
    if (elements_a.size() == elements_b.size()) {
      Difference found{.field = std::string(list->name), .elements = static_cast<std::int64_t>(elements_a.size())};
      for (std::size_t i = 0; i < elements_a.size(); ++i) {
        if (elements_a[i] != elements_b[i] && found.differing++ == 0) {
          found.index = "[" + std::to_string(i) + "]";
          found.a = elements_a[i];
          found.b = elements_b[i];
        }
      }
      return found;
    }
  }
  const std::int64_t line = b.empty() ? 1 : b[std::min(at, b.size() - 1)].line;
  return Difference{.field = file + " line " + std::to_string(line), .a = text_at(a, at), .b = text_at(b, at)};
}

/// A word of the source, with the model's prefix before it.
bool has_word_ending(const std::vector<CToken>& tokens, std::string_view ending) {
  return std::ranges::any_of(tokens, [&](const CToken& token) { return token.text.ends_with(ending); });
}

}  // namespace

std::vector<CToken> c_tokens(std::string_view text) { return Lexer(text).tokens(); }

std::string CSources::stated_sha256() const {
  const std::vector<CToken> tokens = c_tokens(header);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const std::string_view value = tokens[i + 1].text;
    if (tokens[i].text.ends_with("_MODEL_SHA256") && value.size() > 2 && value.front() == '"') {
      return std::string(value.substr(1, value.size() - 2));
    }
  }
  return {};
}

CSources read_c_sources(const fs::path& path) {
  const fs::path header = fs::path(path).replace_extension(".h"), source = fs::path(path).replace_extension(".c");
  return {.header_file = header.string(),
          .source_file = source.string(),
          .header = read_text(header),
          .source = read_text(source)};
}

c::Options export_options(const CSources& sources, const std::optional<std::array<float, 256>>& pixels) {
  const std::vector<CToken> tokens = c_tokens(sources.source);
  c::Options options{.name = fs::path(sources.source_file).stem().string(), .model_sha256 = sources.stated_sha256()};
  const bool has_floats = std::ranges::any_of(tokens, [](const CToken& token) { return token.text == "float.h"; });
  options.requantize = has_floats ? c::Requantize::F32 : c::Requantize::Fixed;
  if (has_word_ending(tokens, "_code_of_pixel")) {
    options.pixels = pixels;
  }
  return options;
}

std::optional<Difference> first_difference(const CSources& a, const CSources& b) {
  auto found = difference_of(a.source, b.source, b.source_file);
  return found ? found : difference_of(a.header, b.header, b.header_file);
}

}  // namespace detent::interchange
