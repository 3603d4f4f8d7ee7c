#include "detent/data/formats/table/table_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "detent/data/files.h"
#include "detent/data/formats/table/delimited.h"
#include "detent/data/formats/table/table.h"
#include "tests/data/temp_folder.h"

namespace detent::data::table_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::vector<std::string>> records(std::string_view text, char separator = ',') {
  DelimitedText delimited("t.csv", text, separator);
  std::vector<std::vector<std::string>> all;
  for (std::vector<std::string_view> fields; delimited.next(fields);) {
    all.emplace_back(fields.begin(), fields.end());
  }
  return all;
}

using Records = std::vector<std::vector<std::string>>;

TEST(Delimited, TakesRecordsApart) {
  EXPECT_EQ(records("a,b\n1,2\n"), (Records{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(records("a,b\r\n1,2"), (Records{{"a", "b"}, {"1", "2"}})) << "CRLF, and no line end at the end";
  EXPECT_EQ(records("\n\na\n\n\nb\n\n"), (Records{{"a"}, {"b"}})) << "empty lines are no records";
  EXPECT_EQ(records("a,,\n,,c"), (Records{{"a", "", ""}, {"", "", "c"}}));
  EXPECT_EQ(records("a,b,"), (Records{{"a", "b", ""}}));
  EXPECT_EQ(records("\xEF\xBB\xBF"
                    "a,b"),
            (Records{{"a", "b"}}))
      << "a byte order mark is no letter";
  EXPECT_EQ(records("a\tb,c", '\t'), (Records{{"a", "b,c"}}));
  EXPECT_EQ(records("a\rb,c"), (Records{{"a\rb", "c"}})) << "a lone CR is a letter";
  EXPECT_EQ(records(""), Records{});
}

TEST(Delimited, QuotesHoldSeparatorsLineEndsAndQuotes) {
  EXPECT_EQ(records("\"a,b\",c"), (Records{{"a,b", "c"}}));
  EXPECT_EQ(records("\"a\nb\",c\nd,e"), (Records{{"a\nb", "c"}, {"d", "e"}}));
  EXPECT_EQ(records("\"say \"\"yes\"\"\",\"\",\"\"\"\""), (Records{{"say \"yes\"", "", "\""}}));
  EXPECT_EQ(records("5\" nail,6"), (Records{{"5\" nail", "6"}})) << "a quote within a field is a letter";
}

TEST(Delimited, SaysLineAndColumnOfWhatIsNoTable) {
  EXPECT_THAT(error_of([] { records("a,b\n1,\"two"); }),
              HasSubstr("t.csv:2, column 2: the field in quotes that begins"));
  EXPECT_THAT(error_of([] { records("\"a\nb\"\nc,\"d\"e"); }),
              HasSubstr("t.csv:3, column 2: text follows the closing quote: expected ',' or the end of the line"));
  EXPECT_THAT(error_of([] { records(std::string_view("a\n\0b", 4)); }), HasSubstr("t.csv:2: has a zero byte"));
}

TEST(Delimited, GuessesTheSeparatorByTheFirstLine) {
  EXPECT_EQ(guess_separator("a,b;c\n"), ',');
  EXPECT_EQ(guess_separator("\na;b;c\n,,,,,"), ';');
  EXPECT_EQ(guess_separator("a\tb\n"), '\t');
  EXPECT_EQ(guess_separator("\"a,b,c\";d"), ';');
  EXPECT_EQ(guess_separator("a"), ',');
  EXPECT_EQ(guess_separator(""), ',');
}

TEST(Table, KnowsNumbersFromTextsAndWhatIsMissing) {
  const std::map<std::string, double> numbers{{"1", 1}, {"-2.5", -2.5}, {" +3e2 ", 300}, {".5", 0.5}, {"7.", 7}};
  for (const auto& [text, number] : numbers) {
    EXPECT_EQ(number_of(text), number) << text;
  }
  for (const char* const text : {"", "a", "1a", "1 2", "nan", "inf", "-", "0x10", "1,5", "+-1"}) {
    EXPECT_EQ(number_of(text), std::nullopt) << text;
  }
  for (const char* const text : {"", "  ", "NA", "n/a", "NaN", "null", "?"}) {
    EXPECT_TRUE(is_missing(text)) << text;
  }
  EXPECT_FALSE(is_missing("none")) << "may be the name of a class";
}

class TableData : public ::testing::Test {
 protected:
  DataSource read(const std::string& text, const ReadOptions& options = {}) {
    write_text(folder / "t.csv", text);
    return read_table(folder / "t.csv", options);
  }
  std::string error(const std::string& text, const ReadOptions& options = {}) {
    return error_of([&] { read(text, options); });
  }
  // Rows "i, 10 i, letter of i % classes".
  static std::string rows(int count, int classes = 2) {
    std::string text = "width,height,label\n";
    for (int i = 0; i < count; ++i) {
      text += std::to_string(i) + "," + std::to_string(10 * i) + "," + static_cast<char>('a' + i % classes) + "\n";
    }
    return text;
  }
  TempFolder folder;
};

TEST_F(TableData, RowsBecomeFeaturesAndClasses) {
  const DataSource source = read(rows(20));
  EXPECT_EQ(source.name, "t");
  EXPECT_THAT(source.description, AllOf(HasSubstr("16 training and 4 test examples"), HasSubstr("split off by class"),
                                        HasSubstr("test_share 0.2, split_seed 1")));
  EXPECT_THAT(source.train.feature_names, ElementsAre("width", "height"));
  EXPECT_THAT(source.train.class_names, ElementsAre("a", "b"));
  EXPECT_THAT(class_counts(source.test, 2), ElementsAre(2, 2));
  for (const Dataset* part : {&source.train, &source.test}) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(part->size()); ++i) {
      const auto x = part->examples.data<float>().subspan(2 * i, 2);
      EXPECT_EQ(x[1], 10 * x[0]);
      EXPECT_EQ(part->labels.data<std::int32_t>()[i], static_cast<int>(x[0]) % 2);
      EXPECT_EQ(part->sources[i], "line " + std::to_string(static_cast<int>(x[0]) + 2));
    }
  }
}

TEST_F(TableData, CategoriesBecomeInputs) {
  const std::string text =
      "colour,width,doors,label\nred,1,4,a\nblue,2,2,b\nred,3,10,a\ngreen,4,4,b\n blue ,5,2.0,a\n,6,4,b\n";
  const DataSource source = read(text, {.one_hot = {"doors", "colour"}});
  EXPECT_THAT(source.train.feature_names,
              ElementsAre("colour=blue", "colour=green", "colour=red", "width", "doors=2", "doors=4", "doors=10"));
  EXPECT_THAT(source.description,
              AllOf(HasSubstr(", one-hot: colour (3 categories), doors (3 categories)"),
                    HasSubstr(", 1 row has no known category of \"colour\" (the first: \"\"): all its inputs are 0")));
  EXPECT_TRUE(source.train.columns.empty()) << "what is a feature does not stand beside them";
  std::map<float, std::vector<float>> by_width;
  for (const Dataset* part : {&source.train, &source.test}) {
    for (std::int64_t i = 0; i < part->size(); ++i) {
      const auto x = part->examples.data<float>().subspan(static_cast<std::size_t>(7 * i), 7);
      by_width[x[3]] = {x.begin(), x.end()};
    }
  }
  EXPECT_THAT(by_width[1], ElementsAre(0, 0, 1, 1, 0, 1, 0));
  EXPECT_THAT(by_width[3], ElementsAre(0, 0, 1, 3, 0, 0, 1));
  EXPECT_THAT(by_width[4], ElementsAre(0, 1, 0, 4, 0, 1, 0));
  EXPECT_THAT(by_width[5], ElementsAre(1, 0, 0, 5, 1, 0, 0));
  EXPECT_THAT(by_width[6], ElementsAre(0, 0, 0, 6, 0, 1, 0)) << "of no category";
}

TEST_F(TableData, CategoriesAreThoseOfTheTrainingFileOrOfTheModel) {
  std::filesystem::create_directories(folder / "set");
  write_text(folder / "set/train.csv", "c,label\nx,a\ny,b\nx,b\n");
  write_text(folder / "set/test.csv", "c,label\nz,a\ny,b\n");
  const DataSource source = read_table(folder / "set", {.one_hot = {"c"}});
  EXPECT_THAT(source.test.feature_names, ElementsAre("c=x", "c=y"));
  EXPECT_THAT(source.description, HasSubstr("1 row has no known category of \"c\" (the first: \"z\")"));
  const ReadOptions known{.one_hot = {"c"}, .class_names = {"a", "b"}, .known_features = {"c=z", "c=y", "c=w"}};
  const DataSource other = read_table(folder / "set", known);
  EXPECT_THAT(other.train.feature_names, ElementsAre("c=z", "c=y", "c=w"));
  EXPECT_THAT(other.description, HasSubstr("2 rows have no known category of \"c\" (the first: \"x\")"));
}

TEST_F(TableData, AModelFindsItsFeaturesByName) {
  std::string text = "site,height,id,width,colour,label\n";
  for (int i = 0; i < 10; ++i) {
    const std::string number = std::to_string(i);
    text.append(number).append(",2").append(number).append(",p,1").append(number);
    text.append(i % 2 == 0 ? ",red,a\n" : ",blue,b\n");
  }
  ReadOptions known{.ignore = {"gone", "id"},
                    .one_hot = {"colour"},
                    .known_features = {"width", "colour=red", "colour=blue", "height"}};
  const DataSource source = read(text, known);
  EXPECT_EQ(source.train.feature_names, known.known_features);
  for (std::int64_t i = 0; i < source.train.size(); ++i) {
    const auto x = source.train.examples.data<float>().subspan(4 * static_cast<std::size_t>(i), 4);
    EXPECT_EQ(x[3], x[0] + 10.0F) << "height and width, wherever they stand";
    EXPECT_EQ(x[1] + x[2], 1.0F);
  }
  ASSERT_EQ(source.train.columns.size(), 1U);
  EXPECT_EQ(source.train.columns[0].name, "site");
  EXPECT_EQ(source.train.columns[0].numbers.size(), 8U);
  EXPECT_THAT(source.description, HasSubstr(", which the model does not know: site"));

  known.known_features[0] = "breadth";
  EXPECT_THAT(error(text, known), HasSubstr("t.csv: has no column \"breadth\", which the model was trained on; columns "
                                            "are: site, height, id, width, colour, label"));
  known.known_features[0] = "label";
  EXPECT_THAT(error(text, known),
              HasSubstr("column \"label\" is what the model was trained on; it cannot be the label"));

  std::string nameless = text.substr(text.find('\n') + 1);
  EXPECT_THAT(
      read(nameless, {.label = {"-1"}, .ignore = {"2", "4"}, .known_features = {"a", "b", "c"}}).train.feature_names,
      ElementsAre("column 0", "column 1", "column 3"))
      << "without names columns are counted";
}

TEST_F(TableData, CategoriesThatCannotBeAreRefused) {
  const std::string text = "c,d,c=x,label\nx,1,1,a\ny,1,2,b\nx,1,3,a\nx,1,4,b\n";
  const auto refused = [&](const ReadOptions& options) { return error(text, options); };
  EXPECT_THAT(refused({.one_hot = {"e"}}), HasSubstr("one_hot: has no column \"e\"; columns are: c, d, c=x, label"));
  EXPECT_THAT(refused({.one_hot = {"0"}}), HasSubstr("one_hot: expected a column's name, got \"0\""));
  EXPECT_THAT(refused({.one_hot = {"d"}}), HasSubstr("expected 2 to 256 different values in column \"d\", got 1"));
  EXPECT_THAT(refused({.one_hot = {"c"}}), HasSubstr("two features would be called \"c=x\""));
  EXPECT_THAT(refused({.one_hot = {"label"}}),
              HasSubstr("\"label\" is the label, and in slices, ignore or one_hot too"));
  EXPECT_THAT(refused({.slices = {"c"}, .one_hot = {"c"}}),
              HasSubstr("\"c\" is in one_hot, and in slices or ignore too"));
  EXPECT_THAT(refused({.ignore = {"c=x"}, .one_hot = {"c"}, .known_features = {"d"}}),
              HasSubstr("the model knows no categories of column \"c\""));
  std::string many = "c,label\n";
  for (int i = 0; i < 600; ++i) {
    many.append("v").append(std::to_string(i)).append(i % 2 == 0 ? ",a\n" : ",b\n");
  }
  EXPECT_THAT(error(many, {.one_hot = {"c"}}), HasSubstr("column \"c\" has more than 256 different values"));
}

TEST_F(TableData, ASortedFileIsNoOrder) {
  std::string text = "x,label\n";
  for (int i = 0; i < 60; ++i) {
    text += std::to_string(i) + (i < 30 ? ",a\n" : ",b\n");
  }
  const DataSource source = read(text);
  EXPECT_THAT(class_counts(source.train, 2), ElementsAre(24, 24));
  EXPECT_THAT(class_counts(source.train.take(12), 2), ElementsAre(testing::Gt(1), testing::Gt(1)))
      << "the first so many are any";
  const DataSource other = read(text, {.split_seed = 2});
  EXPECT_NE(source.test.sources, other.test.sources);
  EXPECT_EQ(source.test.sources, read(text).test.sources);
}

TEST_F(TableData, LabelsAreNamedOrCounted) {
  const std::string text = "5.1,x,red\n4.9,y,blue\n4.7,x,red\n4.6,y,blue\n4.8,x,red\n5.0,y,blue\n";
  EXPECT_THAT(error(text), AllOf(HasSubstr("which column is the label?"), HasSubstr("write label = \"NAME\""),
                                 HasSubstr("columns are: column 0, column 1, column 2")));
  const DataSource last = read(text, {.label = {"-1"}, .test_share = 0.4});
  EXPECT_THAT(last.train.class_names, ElementsAre("blue", "red"));
  EXPECT_THAT(last.description, HasSubstr("texts beside the features: column 1"));
  ASSERT_EQ(last.train.columns.size(), 1U);
  EXPECT_EQ(last.train.columns[0].name, "column 1");
  EXPECT_EQ(read(text, {.label = {"1"}, .test_share = 0.4}).train.class_names, (std::vector<std::string>{"x", "y"}));
  EXPECT_THAT(error(text, {.label = {"3"}}), HasSubstr("label: has no column \"3\""));
  EXPECT_THAT(error(text, {.label = {"colour"}}), HasSubstr("label: has no column \"colour\"; columns are: column 0"));
}

TEST_F(TableData, ClassesThatAreNumbersAreInTheirOrder) {
  std::string text = "x,y\n";
  for (int i = 0; i < 30; ++i) {
    text += std::to_string(i) + "," + std::to_string(i % 3 == 0 ? 10 : i % 3 == 1 ? 9 : -1) + "\n";
  }
  EXPECT_THAT(read(text).train.class_names, ElementsAre("-1", "9", "10"));
  EXPECT_THAT(error("x,y\n1,0.5\n2,1.5\n"),
              HasSubstr("label \"y\" holds real numbers from 0.5 to 1.5, which are no classes; "
                        "write task = \"values\""));
  std::string many = "x,y\n";
  for (int i = 0; i < 150; ++i) {
    many += "1," + std::to_string(i) + "\n";
  }
  EXPECT_THAT(error(many), HasSubstr("has 150 different numbers in 150 examples, which look like values"));
  EXPECT_THAT(error("x,y\n1,a\n2,a\n"), HasSubstr("all labels are \"a\": expected at least 2 classes"));
}

TEST_F(TableData, SeveralLabelsAreValuesOrFlags) {
  std::string text = "x,sun,rain,degrees\n";
  for (int i = 0; i < 10; ++i) {
    text += std::to_string(i) + "," + (i % 2 == 0 ? "1,0," : "0,1,") + std::to_string(i) + ".5\n";
  }
  const DataSource flags = read(text, {.label = {"sun", "rain"}});
  EXPECT_EQ(flags.train.targets, TargetKind::kFlags);
  EXPECT_THAT(flags.train.class_names, ElementsAre("sun", "rain"));
  EXPECT_THAT(flags.train.feature_names, ElementsAre("x", "degrees"));
  const DataSource values = read(text, {.label = {"degrees", "sun"}});
  EXPECT_EQ(values.train.targets, TargetKind::kValues);
  const auto x = values.train.examples.data<float>();
  const auto y = values.train.labels.data<float>();
  EXPECT_EQ(y[0], x[0] + 0.5F);
  EXPECT_EQ(y[1], std::fmod(x[0], 2.0F) == 0.0F ? 1.0F : 0.0F);
  EXPECT_EQ(read(text, {.label = {"degrees"}, .task = TargetKind::kValues}).train.classes, 1);
  EXPECT_THAT(error(text, {.label = {"sun", "rain"}, .task = TargetKind::kClasses}),
              HasSubstr("expected one column for task = \"classes\", got 2"));
  EXPECT_THAT(error(text, {.label = {"degrees"}, .task = TargetKind::kFlags}),
              HasSubstr("t.csv:2, column 4 (\"degrees\"): expected 0 or 1, false or true, no or yes, got \"0.5\""));
}

TEST_F(TableData, SlicesAndIgnoredColumnsAreNoFeatures) {
  std::string text = "id,age,x,label\n";
  for (int i = 0; i < 10; ++i) {
    text.append("p").append(std::to_string(i)).append(",").append(i == 3 ? "" : std::to_string(20 + i));
    text.append(i % 2 == 0 ? ",1,a\n" : ",1,b\n");
  }
  EXPECT_THAT(error(text), HasSubstr("t.csv:5, column 2 (\"age\"): has no value, as in 1 of 10 rows"));
  const DataSource source = read(text, {.slices = {"age"}, .ignore = {"id"}});
  EXPECT_THAT(source.train.feature_names, ElementsAre("x"));
  ASSERT_EQ(source.train.columns.size(), 1U);
  EXPECT_EQ(source.train.columns[0].name, "age");
  EXPECT_EQ(source.train.columns[0].numbers.size(), 8U);
  EXPECT_THAT(error(text, {.slices = {"age"}, .ignore = {"label"}}),
              HasSubstr("is the label, and in slices, ignore or one_hot too"));
  EXPECT_THAT(error(text, {.ignore = {"x", "age"}}), HasSubstr("has no column of numbers beside the label"));
}

TEST_F(TableData, DamageIsNamedWithLineAndColumn) {
  EXPECT_THAT(error("x,z,label\n1,2,a\n1,b\n"),
              HasSubstr("t.csv:3: expected 3 fields as in line 1, got 2: column 3 (\"label\") is missing"));
  EXPECT_THAT(error("x,label\n1,a,9\n"),
              HasSubstr("t.csv:2: expected 2 fields as in line 1, got 3: column 3 has no name"));
  EXPECT_THAT(error("x,label\n1,a\n2,b\noops,a\n4,b\n"),
              HasSubstr("t.csv:4, column 1 (\"x\"): expected a number, as in 3 other rows, got \"oops\""));
  EXPECT_THAT(error("x,label\n1,a\n2,\n"), HasSubstr("t.csv:3, column 2 (\"label\"): has no label"));
  EXPECT_THAT(error("x,x,label\n1,2,a\n"), HasSubstr("two columns are called \"x\""));
  EXPECT_THAT(error("x,label\n"), HasSubstr("has a line of names and no rows"));
  EXPECT_THAT(error(""), HasSubstr("is empty"));
  EXPECT_THAT(error("x,label\n1,\"a\n"), HasSubstr("t.csv:2, column 2"));
  EXPECT_THAT(error("x,label\n1,a\n2,b\n"), HasSubstr("of 2 examples none can be split off"));
}

TEST_F(TableData, HeadersAreGuessedOrTold) {
  std::string numbered = "1,2,label\n";  // names as of a table that was written without any
  for (int i = 0; i < 10; ++i) {
    numbered += "5,6," + std::string(i % 2 == 0 ? "a\n" : "b\n");
  }
  EXPECT_THAT(read(numbered, {.header = true}).train.feature_names, ElementsAre("1", "2"));
  EXPECT_EQ(read(numbered, {.label = {"2"}, .header = false}).train.classes, 3);
}

TEST_F(TableData, FoldersHaveTwoParts) {
  write_text(folder / "train.tsv", "x\tlabel\n1\ta\n2\tb\n3\ta\n");
  write_text(folder / "test.tsv", "x\tlabel\n4\tb\n");
  ASSERT_TRUE(is_table(folder.path()));
  const DataSource source = read_table(folder.path());
  EXPECT_EQ(source.train.size(), 3);
  EXPECT_EQ(source.test.size(), 1);
  EXPECT_EQ(source.test.labels.data<std::int32_t>()[0], 1);
  write_text(folder / "test.tsv", "x\tlabel\n4\tb\n5\tc\n");
  EXPECT_THAT(
      error_of([&] { read_table(folder.path()); }),
      HasSubstr(
          "test.tsv:3, column 2 (\"label\"): \"c\" is none of the classes that the training examples have: a, b"));
  write_text(folder / "test.tsv", "z\tlabel\n4\tb\n");
  EXPECT_THAT(error_of([&] { read_table(folder.path()); }), HasSubstr("has other columns than"));
}

TEST_F(TableData, LabelsMeanTheClassesThatAreKnown) {
  const DataSource source = read(rows(20), {.class_names = {"c", "b", "a"}});
  EXPECT_THAT(source.train.class_names, ElementsAre("c", "b", "a"));
  EXPECT_THAT(class_counts(source.train, 3), ElementsAre(0, 8, 8));
  EXPECT_THAT(error(rows(20), {.class_names = {"a"}}), HasSubstr("\"b\" is none of the classes"));
}

TEST_F(TableData, RowsOfPixelsBecomeImages) {
  std::string text = "label,p0,p1,p2,p3\n";
  for (int i = 0; i < 10; ++i) {
    text += std::to_string(i % 2) + ",0,128,255," + std::to_string(i) + "\n";
  }
  const DataSource source = read(text, {.height = 2, .width = 2});
  EXPECT_EQ(source.train.example_shape(), Shape({2, 2, 1}));
  EXPECT_EQ(source.train.examples.dtype(), DType::U8);
  EXPECT_EQ(source.train.examples.data<std::uint8_t>()[2], 255);
  EXPECT_THAT(error(text, {.height = 3, .width = 2}),
              HasSubstr("an image of 3 x 2 has 6 pixels, but a row has 4 features"));
  text += "1,0,0.5,0,0\n";
  EXPECT_THAT(error(text, {.height = 2, .width = 2}),
              HasSubstr("pixels are whole numbers from 0 to 255, but one is 0.5"));
}

TEST_F(TableData, IsReadFromGzipToo) {
  const std::string text = rows(20);
  write_file(folder / "t.csv.gz", gzip(std::as_bytes(std::span(text))));
  ASSERT_TRUE(is_table(folder / "t.csv.gz"));
  EXPECT_EQ(read_table(folder / "t.csv.gz").train.size(), 16);
}

}  // namespace
}  // namespace detent::data::table_test
