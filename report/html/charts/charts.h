#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// Charts as SVG elements for a page: no size of their own, colours by the page's style (style.h), a title and a
/// description for who cannot see them. All texts are escaped here.
namespace detent::report::html {

using NumberText = std::string (*)(double);

/// The beginning of an SVG element of so many units, which becomes as wide as its place.
std::string svg_begin(double width, double height, const std::string& title, const std::string& description);
/// `anchor`: "start", "middle" or "end".
std::string svg_text(double x, double y, const std::string& anchor, const std::string& text,
                     const std::string& css_class = "label");
/// So many series have a look of their own.
inline constexpr std::size_t kSeriesLooks = 6;
/// "s0", "s1", ...: the class that gives a series its colour and dashes.
std::string series_class(std::size_t series);

struct Series {
  std::string name = {};
  std::vector<std::pair<double, double>> points = {};  ///< in the order of x
  std::size_t look = 0;                                ///< series_class
};
struct LineChart {
  std::string title = {}, description = {};
  std::string x_label = {}, y_label = {};
  std::vector<Series> series = {};
  bool log_x = false, log_y = false;
  bool has_whole_x = false;  ///< only whole numbers are written on the axis
  NumberText x_text = nullptr, y_text = nullptr;
  std::optional<double> mark = {};  ///< a line across at this x ...
  std::string mark_label = {};      ///< ... called so
};
/// The legend and the chart. Nothing where no series has a point.
std::string to_html(const LineChart& chart);

/// The levels of a quantizer: first, first + step, ...
struct Grid {
  double first = 0.0, step = 0.0;
  std::int64_t levels = 0;
  double last() const { return first + step * static_cast<double>(levels - 1); }
};
struct Histogram {
  std::string title = {}, description = {}, x_label = {};
  double lower = 0.0, width = 0.0;  ///< edge of the first bar, and what a bar spans
  std::vector<double> counts = {};
  std::optional<Grid> grid = {};
};
/// Bars as high as the square roots of counts, so that rare values can be seen; below them the levels of the grid, each
/// one or, where they stand too near, every so many; the range that they cover is shaded. Nothing without counts.
std::string to_html(const Histogram& histogram);
/// Every how many levels one is drawn.
std::int64_t drawn_every(const Histogram& histogram);

/// Two distributions over the same bins, the last one over the first.
struct BinShares {
  std::string title = {}, description = {}, x_label = {};
  std::vector<double> bounds = {};            ///< between the bins: one fewer than there are
  std::vector<double> before = {}, now = {};  ///< shares
};
/// Bins of equal width, as high as the square roots of shares: columns of `before`, shaded as far as they reach, and a
/// line of `now`; where there was nothing before, columns of `now`. Nothing without shares.
std::string to_html(const BinShares& bins);

struct HeatMap {
  std::string title = {}, description = {};
  std::string row_label = {}, column_label = {};
  std::vector<std::string> names = {};           ///< of rows and of columns
  std::vector<std::vector<double>> counts = {};  ///< square
};
/// The confusion of classes: what is not on the diagonal stands out. Nothing unless `counts` is square, of 1 to
/// 100 classes.
std::string to_html(const HeatMap& map);

/// Some quantiles of a few things on one logarithmic axis.
struct QuantileStrips {
  std::string title = {}, description = {}, x_label = {};
  struct Row {
    std::string name = {};
    double p50 = 0.0, p90 = 0.0, p99 = 0.0, max = 0.0;
  };
  std::vector<Row> rows = {};
  NumberText text = nullptr;
};
std::string to_html(const QuantileStrips& strips);

/// A share of 1 as a bar, behind its number in a table.
std::string bar(double share, bool is_alarming = false);
/// A value and its interval on an axis of [-reach, reach] with 0 in the middle, for a table.
std::string whisker(double value, std::optional<std::pair<double, double>> interval, double reach);

/// A network, top to bottom: a row a node in running order; an edge that does not come from the row above runs beside.
struct NetworkPicture {
  std::string title = {}, description = {};
  struct Node {
    std::string name = {}, detail = {}, type = {};
    bool is_codes = false;
    std::vector<std::size_t> inputs = {};  ///< nodes before this one
  };
  std::vector<Node> nodes = {};
};
std::string to_html(const NetworkPicture& picture);

}  // namespace detent::report::html
