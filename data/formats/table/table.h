#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace detent::data {

/// What all fields of a column are, taken together.
struct ColumnFacts {
  std::string name = {};           ///< as the header says, else "column 3"
  std::int64_t numbers = 0;        ///< fields that are numbers
  std::int64_t texts = 0;          ///< fields that are something else
  std::int64_t missing = 0;        ///< fields that are empty, or na, n/a, nan, null (in any case) or ?
  std::int64_t first_text = 0;     ///< line of the first text ...
  std::string example = {};        ///< ... and its begin
  std::int64_t first_missing = 0;  ///< line of the first missing one
  double min = 0.0, max = 0.0;     ///< of the numbers
  bool is_whole = true;            ///< whether all numbers are
  bool is_number() const { return texts == 0 && numbers > 0; }
};

/// A file of comma-, semicolon- or tab-separated values (delimited.h), plain or gzip, that was read once to see what it
/// holds. Its rows are read again where they are wanted, so that nothing but its bytes is kept.
class Table {
 public:
  /// `header` says whether the first line names the columns; not said: it does if none of its fields is a number.
  /// Throws Error naming line and column for text that cannot be taken apart, a line with more or fewer fields than the
  /// first, two columns of one name, and a file without rows.
  static Table read(const std::filesystem::path& path, std::optional<bool> header = {});

  const std::string& file() const { return file_; }
  const std::vector<ColumnFacts>& columns() const { return columns_; }
  std::int64_t rows() const { return rows_; }
  bool has_header() const { return has_header_; }
  /// "iris.csv:17, column 3 ("width")": how messages name a field.
  std::string place(std::int64_t line, std::size_t column) const;

  /// Calls `use(row, line, fields)` for every row, in order.
  void for_each_row(const std::function<void(std::int64_t row, std::int64_t line,
                                             std::span<const std::string_view> fields)>& use) const;

 private:
  std::string file_;
  std::string text_;
  char separator_ = ',';
  bool has_header_ = false;
  std::int64_t rows_ = 0;
  std::vector<ColumnFacts> columns_;
};

/// The number that a field is, without blanks around it; nothing if it is none. "nan" and "inf" are none.
std::optional<double> number_of(std::string_view field);
/// Whether a field says that there is no value.
bool is_missing(std::string_view field);
/// `field` without blanks around it.
std::string_view trimmed(std::string_view field);

}  // namespace detent::data
