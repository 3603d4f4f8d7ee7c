#include "detent/recipes/published/published_table.h"

#include <algorithm>
#include <filesystem>

#include "detent/core/error.h"
#include "detent/core/text/list_text.h"
#include "detent/core/text/nearest.h"
#include "detent/recipes/recipe.h"
#include "detent/recipes/section_reader.h"
#include "detent/recipes/shipped.h"
#include "detent/recipes/toml_text.h"

namespace detent::recipes {
namespace {

const NumberRange kPercent{.min = 0, .max = 100};

void read_figure(SectionReader& in, PublishedFigure& figure) {
  const auto share = [&](std::string_view key, std::optional<double>& value) {
    in.number(key, value, kPercent);
    value = value ? std::optional(*value / 100.0) : std::nullopt;
  };
  share("published", figure.published);
  share("at_least", figure.at_least);
  in.text("source", figure.source);
}

PublishedRow read_row(const toml::node& node, const std::string& file) {
  static const Names<bool> kStarts{{"float", true}, {"scratch", false}};
  SectionReader in(node.as_table(), "rows", file);
  PublishedRow row;
  in.text("name", row.name);
  in.texts("set", row.set);
  in.choice("start", row.starts_from_float, kStarts);
  read_figure(in, row.figure);
  in.done();
  check(!row.name.empty(), location(node, file), ": [rows] has no name; write name = \"4/4\"");
  return row;
}

void read_rows(const toml::table& root, const std::string& file, std::vector<PublishedRow>& rows) {
  const toml::node* const node = root.get("rows");
  check(node != nullptr && node->is_array_of_tables(), node == nullptr ? file : location(*node, file),
        ": expected rows; write [[rows]] with name and set");
  for (const toml::node& element : *node->as_array()) {
    PublishedRow row = read_row(element, file);
    const bool is_known = row.name == "float" || std::ranges::count(rows, row.name, &PublishedRow::name) > 0;
    check(!is_known, location(element, file), ": [rows] name: '", row.name, "' stands twice; name it otherwise");
    rows.push_back(std::move(row));
  }
}

}  // namespace

const PublishedRow& PublishedTable::row(const std::string& row_name) const {
  std::vector<std::string> names;
  for (const PublishedRow& row : rows) {
    if (row.name == row_name) {
      return row;
    }
    names.push_back(row.name);
  }
  fail("reproduce: the table ", name, " has no row '", row_name, "'", did_you_mean(row_name, names, ";"),
       " its rows are: ", comma_separated(names));
}

PublishedTable parse_published_table(std::string_view text, const std::string& file) {
  const toml::table root = parse_toml(text, file);
  for (const auto& [key, node] : root) {
    const std::vector<std::string> sections{"table", "float", "rows"};
    const std::string section(key.str());
    check(std::ranges::count(sections, section) > 0, location(node, file), ": unknown section [", section, "]",
          did_you_mean(section, sections));
  }
  PublishedTable table{.name = std::filesystem::path(file).stem().string(), .description = first_comment(text)};
  if (const std::string prefix = table.name + ": "; table.description.starts_with(prefix)) {
    table.description.erase(0, prefix.size());
  }
  SectionReader in = section_of(root, "table", file);
  in.text("recipe", table.recipe);
  in.texts("set", table.set);
  in.text("dataset", table.dataset);
  in.text("note", table.note);
  in.done();
  check(!table.recipe.empty(), file, ": [table] has no recipe; write recipe = \"mnist-lenet\"");
  SectionReader of_float = section_of(root, "float", file);
  read_figure(of_float, table.float_figure);
  of_float.done();
  read_rows(root, file, table.rows);
  return table;
}

std::vector<PublishedTable> published_tables() {
  std::vector<PublishedTable> tables;
  for (const ShippedRecipe& shipped : shipped_tables()) {
    tables.push_back(parse_published_table(shipped.text, std::string(shipped.name) + ".toml"));
  }
  return tables;
}

PublishedTable published_table(const std::string& name) {
  std::vector<std::string> names;
  for (PublishedTable& table : published_tables()) {
    if (table.name == name) {
      return std::move(table);
    }
    names.push_back(table.name);
  }
  fail("reproduce: unknown table '", name, "'", did_you_mean(name, names, ";"), " `detent reproduce` lists the tables");
}

}  // namespace detent::recipes
