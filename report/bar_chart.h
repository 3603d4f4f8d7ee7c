#pragma once

#include <string>
#include <vector>

namespace detent::report {

/// Groups of horizontal bars: one bar a series in each group.
struct BarChart {
  std::string title = {};
  std::string axis = {};  ///< what the values are
  std::vector<std::string> groups = {};
  std::vector<std::string> series = {};
  std::vector<std::vector<double>> values = {};  ///< a row a group, a value a series
};

/// The chart as an SVG document. The axis is logarithmic, over whole decades, at most six, up to the largest value;
/// values below its beginning, and those that are not positive, have no bar, but their number, as all have.
/// REQUIRES: as many rows as groups and values as series, both at least one; throws Error otherwise.
std::string to_svg(const BarChart& chart);

}  // namespace detent::report
