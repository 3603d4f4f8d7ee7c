#include "detent/data/formats/table/table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "detent/core/error.h"
#include "detent/core/threads/parallel.h"
#include "detent/core/utf8.h"
#include "detent/data/files.h"
#include "detent/data/formats/limits.h"
#include "detent/data/formats/table/delimited.h"

namespace detent::data {
namespace {

constexpr std::size_t kExampleLetters = 40;
constexpr std::int64_t kRowsBetweenStops = 4096;

std::string bytes_of(const std::filesystem::path& path) {
  ByteReader reader(path);
  const std::vector<std::byte> bytes = reader.read_up_to(kLargestText + 1);
  check(bytes.size() <= kLargestText, path.string(), ": has more than ", kLargestText,
        " bytes of text; write it as .npz or HDF5");
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void add(ColumnFacts& facts, std::string_view field, std::int64_t line) {
  if (const std::optional<double> number = number_of(field)) {
    facts.min = facts.numbers == 0 ? *number : std::min(facts.min, *number);
    facts.max = facts.numbers == 0 ? *number : std::max(facts.max, *number);
    facts.is_whole = facts.is_whole && std::floor(*number) == *number;
    ++facts.numbers;
  } else if (is_missing(field)) {
    facts.first_missing = facts.missing++ == 0 ? line : facts.first_missing;
  } else if (facts.texts++ == 0) {
    facts.first_text = line;
    facts.example = valid_utf8(trimmed(field).substr(0, kExampleLetters));
  }
}

std::vector<ColumnFacts> named_columns(const std::string& file, std::span<const std::string_view> fields,
                                       bool is_header) {
  std::vector<ColumnFacts> columns(fields.size());
  std::set<std::string> seen;
  for (std::size_t c = 0; c < fields.size(); ++c) {
    columns[c].name = is_header ? valid_utf8(trimmed(fields[c])) : std::string();
    if (columns[c].name.empty()) {
      columns[c].name = "column " + std::to_string(c);
    }
    check(seen.insert(columns[c].name).second, file, ": two columns are called \"", columns[c].name,
          "\"; rename one, or write header = false under [data] if the first line is data");
  }
  return columns;
}

}  // namespace

std::string_view trimmed(std::string_view field) {
  const auto is_blank = [](char letter) { return letter == ' ' || letter == '\t' || letter == '\r'; };
  while (!field.empty() && is_blank(field.front())) {
    field.remove_prefix(1);
  }
  while (!field.empty() && is_blank(field.back())) {
    field.remove_suffix(1);
  }
  return field;
}

bool is_missing(std::string_view field) {
  constexpr std::array<std::string_view, 5> kWords{"na", "n/a", "nan", "null", "?"};
  const std::string_view word = trimmed(field);
  return word.empty() || std::ranges::any_of(kWords, [&](std::string_view known) {
           return std::ranges::equal(word, known,
                                     [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
         });
}

std::optional<double> number_of(std::string_view field) {
  std::string_view text = trimmed(field);
  text.remove_prefix(text.starts_with('+') && !text.starts_with("+-") ? 1 : 0);
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_read = error == std::errc() && end == text.data() + text.size() && std::isfinite(number);
  return is_read && !text.empty() ? std::optional(number) : std::nullopt;
}

Table Table::read(const std::filesystem::path& path, std::optional<bool> header) {
  Table table;
  table.file_ = path.string();
  table.text_ = bytes_of(path);
  table.separator_ = guess_separator(table.text_);
  DelimitedText text(table.file_, table.text_, table.separator_);
  std::vector<std::string_view> fields;
  check(text.next(fields), table.file_, ": is empty: expected rows of values");
  table.has_header_ = header.value_or(
      std::ranges::none_of(fields, [](std::string_view field) { return number_of(field).has_value(); }));
  table.columns_ = named_columns(table.file_, fields, table.has_header_);
  const std::size_t width = fields.size();
  const std::int64_t first = text.line();
  for (bool is_there = !table.has_header_ || text.next(fields); is_there; is_there = text.next(fields)) {
    check(fields.size() == width, table.file_, ':', text.line(), ": expected ", width, " fields as in line ", first,
          ", got ", fields.size(),
          fields.size() < width ? ": column " + std::to_string(fields.size() + 1) + " (\"" +
                                      table.columns_[std::min(fields.size(), width - 1)].name + "\") is missing"
                                : ": column " + std::to_string(width + 1) + " has no name");
    for (std::size_t c = 0; c < width; ++c) {
      add(table.columns_[c], fields[c], text.line());
    }
    if (++table.rows_ % kRowsBetweenStops == 0) {
      check_interruption();
    }
  }
  check(table.rows_ > 0, table.file_, ": has a line of names and no rows");
  return table;
}

std::string Table::place(std::int64_t line, std::size_t column) const {
  return file_ + ":" + std::to_string(line) + ", column " + std::to_string(column + 1) + " (\"" +
         columns_[column].name + "\")";
}

void Table::for_each_row(
    const std::function<void(std::int64_t, std::int64_t, std::span<const std::string_view>)>& use) const {
  DelimitedText text(file_, text_, separator_);
  std::vector<std::string_view> fields;
  if (has_header_) {
    text.next(fields);
  }
  for (std::int64_t row = 0; text.next(fields); ++row) {
    use(row, text.line(), fields);
  }
}

}  // namespace detent::data
