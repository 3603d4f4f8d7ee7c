#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace detent::data {

/// Takes apart text whose records are lines and whose fields are parted by one character: RFC 4180, where a field in
/// quotes may hold separators, line ends and, doubled, quotes. Lines end in LF or CRLF. Empty lines are passed over,
/// and a byte order mark in front. A quote within a field that does not begin with one is a letter like any other.
///
/// Throws Error, naming line and column (both as people count, from 1), for a quoted field without an end, one that is
/// followed by something else than a separator, and a zero byte.
class DelimitedText {
 public:
  /// `file` is named in errors; `text` must outlive this.
  DelimitedText(std::string file, std::string_view text, char separator);

  /// The fields of the next record, or false at the end. They stay valid until the next call.
  bool next(std::vector<std::string_view>& fields);
  /// The line at which that record begins.
  std::int64_t line() const { return line_; }

 private:
  std::string_view quoted_field(std::size_t column);
  std::string_view plain_field();
  bool is_line_end() const;
  bool skip_line_end();

  std::string file_;
  std::string_view text_;
  char separator_;
  std::size_t at_ = 0;
  std::int64_t line_ = 0;
  std::int64_t next_line_ = 1;
  std::deque<std::string> unquoted_;  // fields whose text is not as it stands
};

/// What parts the fields of `text`: of ',', ';' and tab the one that stands most often in its first line outside of
/// quotes; ',' if none does.
char guess_separator(std::string_view text);

}  // namespace detent::data
