#include "detent/core/text/nearest.h"

#include <gtest/gtest.h>

#include <vector>

#include "detent/core/text/nearest_path.h"
#include "tests/data/temp_folder.h"

namespace detent::nearest_test {
namespace {

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("epoch", "epochs"), 1U);
  EXPECT_EQ(edit_distance("rnu", "run"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("ReLU", "relu"), 0U);
}

TEST(Nearest, OnlyNearWordsAreNamed) {
  const std::vector<std::string> words{"epochs", "batch"};
  EXPECT_EQ(did_you_mean("epoch", words), "; did you mean 'epochs'?");
  EXPECT_EQ(did_you_mean("bacth", words), "; did you mean 'batch'?");
  EXPECT_EQ(did_you_mean("Batch", words), "; did you mean 'batch'?");
  EXPECT_EQ(did_you_mean("zzzz", words), "");
  EXPECT_EQ(did_you_mean("zzzz", words, ";"), ";");
  EXPECT_EQ(did_you_mean("", words), "");
  EXPECT_EQ(did_you_mean("epochs", {}), "");
}

// A third of the letters may be wrong, and one at least.
TEST(Nearest, HowFarIsNear) {
  const std::vector<std::string> words{"abcdef", "xy"};
  EXPECT_EQ(did_you_mean("abcxyf", words), "; did you mean 'abcdef'?");
  EXPECT_EQ(did_you_mean("abxyzf", words), "");
  EXPECT_EQ(did_you_mean("xz", words), "; did you mean 'xy'?");
}

TEST(Nearest, ABeginningIsEnough) {
  const std::vector<std::string> words{"maximum", "mnist-cnn", "mnist-mlp", "--max-drop"};
  EXPECT_EQ(did_you_mean("mnist", words), "; did you mean 'mnist-cnn'?");
  EXPECT_EQ(did_you_mean("MNIST-M", words), "; did you mean 'mnist-mlp'?");
  EXPECT_EQ(did_you_mean("m", words), "") << "one letter begins too much";
  EXPECT_EQ(did_you_mean("--", words), "");
}

TEST(Nearest, LongWordsMeanNothing) {
  const std::vector<std::string> words{std::string(1 << 20, 'x'), "relu"};
  EXPECT_EQ(did_you_mean(std::string(1 << 20, 'x') + "y", words), "");
  EXPECT_EQ(did_you_mean("rleu", words), "; did you mean 'relu'?");
}

TEST(Nearest, PathsAreMendedPartByPart) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "runs/flowers");
  write_text(folder / "runs/flowers/int8.h5", "");
  const std::string there = "; did you mean '" + (folder / "runs/flowers/int8.h5").string() + "'?";
  EXPECT_EQ(did_you_mean_path(folder / "runs/flower/int8.h5"), there);
  EXPECT_EQ(did_you_mean_path(folder / "rusn/flowers/int.h5"), there);
  EXPECT_EQ(did_you_mean_path(folder / "runs/flowers/report.html", ";"), ";");
  EXPECT_EQ(did_you_mean_path(folder / "elsewhere/int8.h5"), "");
  EXPECT_EQ(did_you_mean_path(folder / "runs/flowers/int8.h5/more"), "") << "it is no folder";
  EXPECT_EQ(did_you_mean_path("", ";"), ";");
}

}  // namespace
}  // namespace detent::nearest_test
