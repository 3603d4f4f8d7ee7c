#include "detent/data/formats/table/delimited.h"

#include <algorithm>
#include <array>
#include <utility>

#include "detent/core/error.h"

namespace detent::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::size_t after_byte_order_mark(std::string_view text) {
  return text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
}

}  // namespace

DelimitedText::DelimitedText(std::string file, std::string_view text, char separator)
    : file_(std::move(file)), text_(text), separator_(separator), at_(after_byte_order_mark(text)) {
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    fail(file_, ':', 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(zero), '\n'),
         ": has a zero byte: expected text in UTF-8");
  }
}

bool DelimitedText::is_line_end() const {
  return text_[at_] == '\n' || (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n');
}

bool DelimitedText::skip_line_end() {
  if (at_ >= text_.size() || !is_line_end()) {
    return false;
  }
  at_ += text_[at_] == '\n' ? 1 : 2;
  ++next_line_;
  return true;
}

bool DelimitedText::next(std::vector<std::string_view>& fields) {
  fields.clear();
  unquoted_.clear();
  while (skip_line_end()) {
  }
  if (at_ >= text_.size()) {
    return false;
  }
  line_ = next_line_;
  while (true) {
    const bool is_quoted = at_ < text_.size() && text_[at_] == '"';
    fields.push_back(is_quoted ? quoted_field(fields.size() + 1) : plain_field());
    if (at_ >= text_.size() || skip_line_end()) {
      return true;
    }
    ++at_;  // the separator
  }
}

std::string_view DelimitedText::plain_field() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && text_[at_] != separator_ && !is_line_end()) {
    ++at_;
  }
  return text_.substr(begin, at_ - begin);
}

std::string_view DelimitedText::quoted_field(std::size_t column) {
  const std::int64_t begins = next_line_;
  std::size_t begin = ++at_;
  std::string* unquoted = nullptr;
  while (true) {
    const std::size_t quote = text_.find('"', at_);
    check(quote != std::string_view::npos, file_, ':', begins, ", column ", column,
          ": the field in quotes that begins here has no end");
    next_line_ += std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                             text_.begin() + static_cast<std::ptrdiff_t>(quote), '\n');
    at_ = quote + 1;
    if (at_ < text_.size() && text_[at_] == '"') {  // a doubled quote is one
      unquoted = unquoted != nullptr ? unquoted : &unquoted_.emplace_back();
      unquoted->append(text_.substr(begin, at_ - begin));
      begin = ++at_;
      continue;
    }
    const std::string_view last = text_.substr(begin, quote - begin);
    check(at_ >= text_.size() || text_[at_] == separator_ || is_line_end(), file_, ':', next_line_, ", column ", column,
          ": text follows the closing quote: expected ",
          separator_ == '\t' ? std::string("a tab") : "'" + std::string(1, separator_) + "'",
          " or the end of the line");
    return unquoted == nullptr ? last : std::string_view(unquoted->append(last));
  }
}

char guess_separator(std::string_view text) {
  text.remove_prefix(after_byte_order_mark(text));
  text.remove_prefix(std::min(text.find_first_not_of("\r\n"), text.size()));
  std::array<std::pair<char, std::int64_t>, 3> counts{{{',', 0}, {';', 0}, {'\t', 0}}};
  bool is_quoted = false;
  for (const char letter : text) {
    is_quoted ^= letter == '"';
    if (letter == '\n' && !is_quoted) {
      break;
    }
    for (auto& [separator, count] : counts) {
      count += letter == separator && !is_quoted ? 1 : 0;
    }
  }
  return std::ranges::max_element(counts, {}, &std::pair<char, std::int64_t>::second)->first;
}

}  // namespace detent::data
