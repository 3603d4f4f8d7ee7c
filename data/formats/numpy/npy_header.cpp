#include "detent/data/formats/numpy/npy_header.h"

#include <charconv>
#include <set>

#include "detent/core/error.h"
#include "detent/core/utf8.h"

namespace detent::data {
namespace {

constexpr std::int64_t kLargestExtent = std::int64_t{1} << 40;
constexpr std::size_t kShown = 60;

class Parser {
 public:
  Parser(const std::string& where, std::string_view text) : where_(where), text_(text) {}

  NpyHeader parse() {
    NpyHeader header;
    std::set<std::string> seen;
    expect('{');
    while (!accept('}')) {
      const std::string key = text();
      expect(':');
      if (!seen.insert(key).second) {
        damaged();
      }
      if (key == "descr") {
        check(peek() != '[', where_, ": is an array of structures; save its columns as arrays of their own");
        header.descr = text();
      } else if (key == "fortran_order") {
        header.is_fortran = flag();
      } else if (key == "shape") {
        header.shape = extents();
      } else {
        damaged();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (at_ != text_.size() || seen.size() != 3) {
      damaged();
    }
    return header;
  }

 private:
  [[noreturn]] void damaged() const {
    fail(where_, ": the .npy header is damaged: expected {'descr': ..., 'fortran_order': ..., 'shape': ...}, got ",
         valid_utf8(text_.substr(0, kShown)));
  }
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
      ++at_;
    }
  }
  char peek() {
    skip_blanks();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char letter) {
    const bool is_there = peek() == letter && at_ < text_.size();
    at_ += is_there ? 1 : 0;
    return is_there;
  }
  void expect(char letter) {
    if (!accept(letter)) {
      damaged();
    }
  }
  std::string text() {
    const char quote = peek();
    const std::size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string_view::npos;
    if (end == std::string_view::npos) {
      damaged();
    }
    const std::string_view found = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return std::string(found);
  }
  bool flag() {
    skip_blanks();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    damaged();
  }
  std::vector<std::int64_t> extents() {
    std::vector<std::int64_t> shape;
    expect('(');
    while (!accept(')')) {
      skip_blanks();
      std::int64_t extent = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      check(error != std::errc::result_out_of_range && extent >= 0 && extent <= kLargestExtent, where_,
            ": the .npy header is damaged: extent ", shape.size(), " of its shape is ",
            error == std::errc::result_out_of_range ? "beyond 64 bits" : std::to_string(extent));
      if (error != std::errc()) {
        damaged();
      }
      at_ = static_cast<std::size_t>(end - text_.data());
      at_ += at_ < text_.size() && text_[at_] == 'L' ? 1 : 0;  // as Python 2 wrote them
      shape.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  const std::string& where_;
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

NpyHeader parse_npy_header(const std::string& where, std::string_view text) { return Parser(where, text).parse(); }

}  // namespace detent::data
