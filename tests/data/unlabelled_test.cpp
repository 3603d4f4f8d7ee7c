#include "detent/data/formats/unlabelled.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/npy_files.h"
#include "tests/data/pictures.h"

namespace detent::data::unlabelled_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class UnlabelledData : public ::testing::Test {
 protected:
  TempFolder folder;
};

TEST_F(UnlabelledData, PicturesComeAloneOrInAFolder) {
  write_png(folder / "new/b.png", Picture::of(4, 4, 3, 9));
  write_png(folder / "new/a.png", Picture::of(4, 4, 3, 7));
  const Unlabelled one = read_unlabelled(folder / "new/b.png", {.height = 2, .width = 2, .channels = 1});
  EXPECT_EQ(one.examples.shape(), Shape({1, 2, 2, 1}));
  const Unlabelled all = read_unlabelled(folder / "new");
  EXPECT_EQ(all.examples.shape(), Shape({2, 4, 4, 3}));
  EXPECT_EQ(all.examples.data<std::uint8_t>()[0], 7);
  EXPECT_THAT(all.sources[1], HasSubstr("new/b.png"));
}

TEST_F(UnlabelledData, RowsAreReadByTheNamesOfTheirColumns) {
  write_text(folder / "new.csv", "site,height,width\nx,1,2\ny,3,4\n");
  const std::vector<std::string> names{"width", "height"};
  const Unlabelled rows = read_unlabelled(folder / "new.csv", {}, names);
  EXPECT_THAT(rows.examples.data<float>(), ElementsAre(2, 1, 4, 3));
  EXPECT_THAT(rows.sources, ElementsAre("line 2", "line 3"));
  write_text(folder / "bare.csv", "5,6\n");
  EXPECT_THAT(read_unlabelled(folder / "bare.csv", {}, names).examples.data<float>(), ElementsAre(5, 6));
  EXPECT_THAT(error_of([&] { read_unlabelled(folder / "new.csv", {}, {"depth"}); }),
              HasSubstr("has no column \"depth\", which the model was trained on"));
  EXPECT_THAT(error_of([&] { read_unlabelled(folder / "new.csv"); }), HasSubstr("new.csv:2, column 1 (\"site\")"));
  EXPECT_EQ(read_unlabelled(folder / "new.csv", {.ignore = {"site"}}).examples.shape(), Shape({2, 2}));
}

TEST_F(UnlabelledData, CategoriesAreThoseThatTheModelKnows) {
  const ReadOptions options{.one_hot = {"colour"}};
  const std::vector<std::string> names{"width", "colour=blue", "colour=red", "height"};
  write_text(folder / "new.csv", "colour,height,width\nred,1,2\nviolet,3,4\n,5,6\nblue,7,8\n");
  const Unlabelled rows = read_unlabelled(folder / "new.csv", options, names);
  EXPECT_EQ(rows.examples.shape(), Shape({4, 4}));
  EXPECT_THAT(rows.examples.data<float>(), ElementsAre(2, 0, 1, 1, 4, 0, 0, 3, 6, 0, 0, 5, 8, 1, 0, 7));
  EXPECT_THAT(rows.remarks, ElementsAre("2 rows have no known category of \"colour\" (the first: \"violet\"): "
                                        "all its inputs are 0"));
  write_text(folder / "bare.csv", "2,red,1\n");
  EXPECT_THAT(error_of([&] { read_unlabelled(folder / "bare.csv", options, names); }),
              HasSubstr("has no line that names its columns, and the model has categories of column \"colour\""));
  write_text(folder / "none.csv", "height,width\n1,2\n");
  EXPECT_THAT(error_of([&] { read_unlabelled(folder / "none.csv", options, names); }),
              HasSubstr("has no column \"colour\", which the model was trained on"));
}

TEST_F(UnlabelledData, ArraysAreTakenWhole) {
  write_text(folder / "new.npy", npy<float>("<f4", "(2, 3)", {1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(read_unlabelled(folder / "new.npy").examples.shape(), Shape({2, 3}));
  write_npz(folder / "new.npz", {{"x", npy<float>("<f4", "(1, 4)", {1, 2, 3, 255})}});
  const Unlabelled images = read_unlabelled(folder / "new.npz", {.height = 2, .width = 2});
  EXPECT_EQ(images.examples.shape(), Shape({1, 2, 2, 1}));
  EXPECT_THAT(images.sources, ElementsAre("example 0"));
  EXPECT_THAT(error_of([&] { read_unlabelled(folder / "nowhere.csv"); }), HasSubstr("no such file or folder"));
  write_text(folder / "what", "");
  EXPECT_THAT(error_of([&] { read_unlabelled(folder / "what"); }), HasSubstr("expected a picture"));
}

}  // namespace
}  // namespace detent::data::unlabelled_test
