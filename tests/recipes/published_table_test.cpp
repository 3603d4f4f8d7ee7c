#include "detent/recipes/published/published_table.h"

#include <gmock/gmock.h>

#include "detent/recipes/published/reproduce.h"
#include "detent/recipes/series/series_recipe.h"
#include "tests/error_of.h"

namespace detent::recipes::published_table_test {
namespace {

using testing::HasSubstr;

constexpr const char* kTable = R"(# small: a table of two rows
[table]
recipe = "mnist-mlp"
set = ["train.epochs=3"]
dataset = "mnist"
note = "none"
[float]
published = 98.5
source = "a paper"
[[rows]]
name = "4/4"
published = 98.25
at_least = 98
set = ["quantize.weights=\"int4\"", "quantize.activations=\"uint4\""]
[[rows]]
name = "8/8"
start = "scratch"
)";

TEST(PublishedTable, IsReadFromToml) {
  const PublishedTable table = parse_published_table(kTable, "small.toml");
  EXPECT_EQ(table.name, "small");
  EXPECT_EQ(table.description, "a table of two rows");
  EXPECT_EQ(table.recipe, "mnist-mlp");
  EXPECT_EQ(table.note, "none");
  EXPECT_DOUBLE_EQ(table.float_figure.published.value(), 0.985);
  EXPECT_FALSE(table.float_figure.at_least);
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_DOUBLE_EQ(table.rows[0].figure.published.value(), 0.9825);
  EXPECT_DOUBLE_EQ(table.rows[0].figure.at_least.value(), 0.98);
  EXPECT_TRUE(table.rows[0].starts_from_float);
  EXPECT_FALSE(table.row("8/8").starts_from_float);
  EXPECT_FALSE(table.row("8/8").figure.published);
}

TEST(PublishedTable, GivesTheRecipesOfItsRows) {
  const PublishedTable table = parse_published_table(kTable, "small.toml");
  const Recipe in_float = recipe_of(table, nullptr);
  EXPECT_EQ(in_float.name, "small-float");
  EXPECT_EQ(in_float.train.epochs, 3);
  EXPECT_EQ(in_float.quantize.method, quant::Method::None);
  EXPECT_FALSE(in_float.check.fp32_accuracy);
  const Recipe row = recipe_of(table, &table.rows[0], 7);
  EXPECT_EQ(row.name, "small-4-4");
  EXPECT_EQ(row.train.epochs, 0);
  EXPECT_EQ(row.qat.epochs, 7);
  EXPECT_EQ(row.quantize.weights.grid.bits, 4);
  EXPECT_TRUE(row.checks_by_dataset.empty());
}

TEST(PublishedTable, RecipesSayAllThatTheirRunsDependOn) {
  const PublishedTable table = parse_published_table(kTable, "small.toml");
  const Recipe row = beginning_with(recipe_of(table, &table.rows[0], 7), "a \"b\"/fp32.h5");
  const Recipe again = parse_recipe(row.source.value().text, row.source->file, row.source->overrides);
  for (const Recipe& recipe : {row, again}) {
    EXPECT_EQ(recipe.model.file, "a \"b\"/fp32.h5");
    EXPECT_TRUE(recipe.model.layers.empty());
    EXPECT_EQ(recipe.train.epochs, 0);
    EXPECT_EQ(recipe.qat.epochs, 7);
    EXPECT_EQ(recipe.quantize.activations.grid.bits, 4);
  }
  EXPECT_EQ(row.name, "small-4-4");
  EXPECT_EQ(recipe_of(table, nullptr, 7).source.value().overrides.front(), "train.epochs=3");
  // What is refused where nothing is quantized is taken back; an own model gives way to the one to begin with.
  const RecipeText text{
      "[model]\nlayers = [\"linear 10\"]\n[quantize]\nmethod = \"dynamic\"\n"
      "activations = \"uint8 per-token\"\n",
      "my.toml"};
  EXPECT_EQ(series_recipe(text, {"quantize.method=static", "quantize.improve=[\"equalize\"]"}, SeriesPart::Float, "x")
                .quantize.method,
            quant::Method::None);
  EXPECT_EQ(
      beginning_with(series_recipe(text, {"model.layers=[\"flatten\", \"linear 10\"]"}, SeriesPart::Codes, "x"), "m.h5")
          .model.file,
      "m.h5");
}

TEST(PublishedTable, RefusesWhatItDoesNotUnderstand) {
  const auto error = [](const std::string& from, const std::string& to) {
    std::string text = kTable;
    text.replace(text.find(from), from.size(), to);
    return error_of([&] { parse_published_table(text, "small.toml"); });
  };
  EXPECT_THAT(error("note =", "notes ="), HasSubstr("small.toml:6: [table] unknown key 'notes'; did you mean 'note'?"));
  EXPECT_THAT(error("98.25", "198"), HasSubstr("small.toml:12: [rows] published: expected a number >= 0 and <= 100"));
  EXPECT_THAT(error("name = \"8/8\"", "name = \"4/4\""), HasSubstr("'4/4' stands twice"));
  EXPECT_THAT(error("\"scratch\"", "\"scrach\""), HasSubstr("did you mean 'scratch'?"));
  EXPECT_THAT(error("recipe = \"mnist-mlp\"", ""), HasSubstr("[table] has no recipe"));
  EXPECT_THAT(error("[float]", "[flaot]"), HasSubstr("unknown section [flaot]; did you mean 'float'?"));
  EXPECT_THAT(error("name = \"8/8\"", ""), HasSubstr("[rows] has no name"));
  EXPECT_THAT(error_of([] { parse_published_table("[table]\nrecipe = \"a\"\n", "a.toml"); }), HasSubstr("[[rows]]"));
  EXPECT_THAT(error_of([] { parse_published_table("[table\n", "a.toml"); }), HasSubstr("a.toml:1: not valid TOML"));
  EXPECT_THAT(error_of([] { parse_published_table(kTable, "small.toml").row("4-4"); }),
              HasSubstr("the table small has no row '4-4'; did you mean '4/4'? its rows are: 4/4, 8/8"));
  EXPECT_THAT(error_of([] { published_table("lenett"); }), HasSubstr("unknown table 'lenett'; did you mean 'lenet'?"));
}

TEST(PublishedTable, EveryRowOfAShippedTableIsARecipe) {
  const std::vector<PublishedTable> tables = published_tables();
  EXPECT_GE(tables.size(), 3U);
  for (const PublishedTable& table : tables) {
    SCOPED_TRACE(table.name);
    EXPECT_FALSE(table.description.empty());
    EXPECT_GE(recipe_of(table, nullptr).train.epochs, 1);
    for (const PublishedRow& row : table.rows) {
      SCOPED_TRACE(row.name);
      EXPECT_NO_THROW(recipe_of(table, &row));
      EXPECT_TRUE(row.figure.published) << "a row says what was published";
      EXPECT_FALSE(row.figure.source.empty()) << "and by whom";
    }
  }
}

}  // namespace
}  // namespace detent::recipes::published_table_test
