#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Tables of figures that others published, and the recipes that reproduce them: one TOML file a table.
///
///   # name: what it is                      the first comment
///   [table]
///   recipe = "mnist-lenet"                  the shipped recipe of the float model
///   set = ["train.epochs=20"]               overrides of it, for all rows
///   dataset = "mnist"                       whose figures these are: at_least is checked on no other data
///   note = "..."                            what is not alike
///   [float]
///   published = 99.59                       in %; may be left out
///   source = "..."
///   at_least = 99.5                         in %: what our mean must reach; may be left out
///   [[rows]]
///   name = "4/4"                            bits of weights and activations
///   set = ["quantize.weights=\"int4\""]     further overrides
///   start = "float"                         the weights that training on codes begins with: "float", those of the
///                                           float model of the same seed, or "scratch", random ones
///   published, source, at_least             as above
namespace detent::recipes {

struct PublishedFigure {
  std::optional<double> published = {};  ///< a share
  std::string source = {};
  std::optional<double> at_least = {};  ///< a share
};

struct PublishedRow {
  std::string name = {};
  std::vector<std::string> set = {};
  bool starts_from_float = true;
  PublishedFigure figure = {};
};

struct PublishedTable {
  std::string name = {};
  std::string description = {};
  std::string recipe = {};
  std::vector<std::string> set = {};
  std::string dataset = {};
  std::string note = {};
  PublishedFigure float_figure = {};
  std::vector<PublishedRow> rows = {};

  /// Throws Error, naming the nearest, if there is none of this name.
  const PublishedRow& row(const std::string& row_name) const;
};

/// Throws Error in one line, with file and line number, as parse_recipe does.
PublishedTable parse_published_table(std::string_view text, const std::string& file);
/// The tables that ship, sorted by name.
std::vector<PublishedTable> published_tables();
/// Throws Error, naming the nearest, if there is none of this name.
PublishedTable published_table(const std::string& name);

}  // namespace detent::recipes
