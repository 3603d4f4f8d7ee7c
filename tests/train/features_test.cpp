// Data that are no images: rows of real numbers, from a file through training, int8 and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/core/philox.h"
#include "detent/data/hdf5_dataset.h"
#include "detent/evaluation/evaluate.h"
#include "detent/quant/passes/open_model.h"
#include "detent/recipes/run.h"
#include "detent/train/run_data.h"
#include "tests/data/temp_folder.h"

namespace detent::train::features_test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPerceptron = R"(
[data]
normalize = {mean = 2.0, std = 2.0}
[model]
layers = ["linear 32", "relu", "linear 3"]
[train]
epochs = 8
batch = 32
learning_rate = 1e-2
[qat]
epochs = 2
learning_rate = 2e-3
[quantize]
calibration = 64
)";

/// Three clouds of points in six dimensions around centres far from 0.
data::Dataset clouds(std::int64_t count, std::string_view part) {
  data::Dataset dataset{"", Tensor::empty({count, 6}, DType::F32), Tensor::empty({count}, DType::S32), 3};
  RandomStream random(7, part);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(i % 3);
    dataset.labels.data<std::int32_t>()[static_cast<std::size_t>(i)] = label;
    for (std::int64_t k = 0; k < 6; ++k) {
      dataset.examples.data<float>()[static_cast<std::size_t>(6 * i + k)] =
          (k % 3 == label ? 6.0F : 1.0F) + static_cast<float>(random.normal());
    }
  }
  return dataset;
}

class Features : public ::testing::Test {
 protected:
  Features() {
    data::write_hdf5_dataset(
        folder / "clouds.h5",
        {.name = "clouds", .train = clouds(600, "train"), .test = clouds(150, "test"), .description = ""});
  }
  evaluation::Metrics run(const std::string& recipe, const std::vector<std::string>& overrides = {}) {
    evaluation::Reporter silent;
    return recipes::run(recipes::parse_recipe(recipe, "clouds.toml", overrides),
                        {.data = folder / "clouds.h5", .out = folder / "out"}, silent);
  }
  TempFolder folder;
};

TEST_F(Features, TrainAPerceptronThatShipsAsItTrained) {
  const evaluation::Metrics metrics = run(kPerceptron);
  EXPECT_EQ(metrics.dataset, "clouds");
  EXPECT_GE(metrics.fp32.test_accuracy, 0.97);
  ASSERT_TRUE(metrics.int8.has_value());
  EXPECT_GE(metrics.int8->test_accuracy, 0.97);
  EXPECT_GT(metrics.int8->verify.codes_compared, 0);
  EXPECT_EQ(metrics.int8->verify.codes_mismatched, 0);
  EXPECT_EQ(metrics.int8->verify.predictions_changed, 0);
}

TEST_F(Features, AreNormalizedByWhatTheModelSays) {
  run(kPerceptron, {"train.epochs=1"});
  const quant::OpenedModel model = quant::open_model(folder / "out/int8.h5");
  const RunData data = open_model_data(model, folder / "clouds.h5");
  EXPECT_EQ(data.normalization.mean, 2.0F);
  EXPECT_EQ(data.test.example_shape(), Shape({6}));
}

TEST_F(Features, AreNotAugmented) {
  EXPECT_THAT(error_of([&] { run(kPerceptron, {"data.augment=shift"}); }),
              HasSubstr("augment: expected images u8 [N, H, W, C], but clouds train has f32 [600, 6]"));
}

TEST_F(Features, OfAnotherLengthAreRefused) {
  run(kPerceptron, {"train.epochs=1"});
  const quant::OpenedModel model = quant::open_model(folder / "out/int8.h5");
  data::DataSource wide{.name = "wide", .train = clouds(30, "train"), .test = clouds(30, "test"), .description = ""};
  for (data::Dataset* part : {&wide.train, &wide.test}) {
    part->examples = part->examples.reshape({30, 3, 2});
  }
  data::write_hdf5_dataset(folder / "wide.h5", wide);
  EXPECT_THAT(error_of([&] { open_model_data(model, folder / "wide.h5"); }),
              ::testing::AllOf(HasSubstr("expects examples of shape [6]"), HasSubstr("has [3, 2]")));
}

}  // namespace
}  // namespace detent::train::features_test
