#include "detent/io/layer_table.h"

#include <algorithm>
#include <sstream>

namespace detent {
namespace {

constexpr std::size_t kFirstNumber = 3;  // columns from here on are numbers, to the right

}  // namespace

std::string grouped_digits(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t place = 3; place < digits.size(); place += 4) {
    digits.insert(digits.size() - place, 1, ',');
  }
  return digits;
}

std::string with_crosses(const Shape& shape) {
  std::ostringstream text;
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    text << (i > 0 ? " x " : "") << shape[i];
  }
  return text.str();
}

std::string layer_table(std::vector<LayerRow> rows) {
  rows.insert(rows.begin(), {"layer", "kind", "output shape", "parameters", "multiply-adds"});
  std::array<std::size_t, 5> widths{};
  for (const LayerRow& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], row[c].size());
    }
  }
  std::size_t width = 2 * (widths.size() - 1);
  for (const std::size_t w : widths) {
    width += w;
  }
  const std::string rule = std::string(width, '-') + "\n";
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (std::size_t c = 0; c < widths.size(); ++c) {
      const std::string padding(widths[c] - rows[r][c].size(), ' ');
      line += (c > 0 ? "  " : "") + (c < kFirstNumber ? rows[r][c] + padding : padding + rows[r][c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += (r + 1 == rows.size() ? rule : "") + line + "\n" + (r == 0 ? rule : "");
  }
  return text;
}

}  // namespace detent
