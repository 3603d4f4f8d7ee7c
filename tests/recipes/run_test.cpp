#include <gtest/gtest.h>

#include "tests/recipes/tiny_run.h"

namespace detent::recipes {
namespace {

TEST(Run, OneAndThreeThreadsWriteTheSameBytes) {
  const TempFolder folder;
  const Metrics one = run_at(folder, "one", 1);
  const Metrics three = run_at(folder, "three", 3);
  for (const std::string file :
       {"fp32.h5", "qat.h5", "int8.h5", "static-int8-per-channel.h5", "static-int8-per-tensor.h5"}) {
    const std::string bytes = read_text(folder / "one" / file);
    EXPECT_FALSE(bytes.empty()) << file;
    EXPECT_TRUE(bytes == read_text(folder / "three" / file)) << file << " differs between 1 and 3 threads";
  }
  EXPECT_EQ(one.int8->verify.codes_sha256, three.int8->verify.codes_sha256);
}

TEST(Run, EveryCodeOfEveryLayerIsTheSameAfterConversion) {
  const TempFolder folder;
  for (const std::string range : {"previous", "current"}) {
    const Metrics metrics = run_at(folder, "out", 2, {"qat.range=" + range});
    EXPECT_GT(metrics.int8->verify.codes_compared, 0);
    EXPECT_EQ(metrics.int8->verify.codes_mismatched, 0) << quant::to_text(metrics.int8->verify);
    EXPECT_EQ(metrics.int8->verify.predictions_changed, 0);
    EXPECT_EQ(metrics.int8->test_accuracy, metrics.qat->test_accuracy);
    ASSERT_EQ(metrics.variants.size(), 2U);
    for (const Int8Result& variant : metrics.variants) {
      EXPECT_EQ(variant.verify.codes_mismatched, 0) << variant.name << ": " << quant::to_text(variant.verify);
    }
    EXPECT_TRUE(metrics.failures.empty()) << metrics.failures[0];
  }
}

TEST(Run, EveryTrainSettingRuns) {
  const TempFolder folder;
  const std::vector<std::vector<std::string>> settings{
      {"train.optimizer=sgd", "train.nesterov=true", "train.schedule=step", "train.weight_decay=1e-4"},
      {"train.optimizer=adamw", "train.schedule=one_cycle", "train.clip_norm=1"},
      {"train.loss=squared_hinge", "train.schedule=constant", "train.warmup_steps=3"},
      {"train.loss=mse", "train.precision=bf16", "qat.backward=fp32", "data.validation=0.2"},
      {"train.label_smoothing=0.1", "quantize.keep_float=[\"fc*\"]", "quantize.compare_static=[]"},
      {"train.epochs=0"},
      {"quantize.method=static", "quantize.compare_static=[]"}};
  for (const std::vector<std::string>& overrides : settings) {
    SCOPED_TRACE(overrides[0]);
    const Metrics metrics = run_at(folder, "out", 2, overrides);
    EXPECT_EQ(metrics.int8->verify.codes_mismatched, 0) << quant::to_text(metrics.int8->verify);
  }
}

TEST(Run, CanBeStoppedBetweenBatches) {
  class Stopper : public Reporter {
   public:
    bool should_stop() override { return ++asked_ == 3; }
    int asked_ = 0;
  };
  const TempFolder folder;
  Stopper stopper;
  data::write_idx_folder(folder / "digits", data::make_digits({.train = 320, .test = 110, .seed = 3}));
  EXPECT_THROW(run(parse_recipe(kTiny, "tiny.toml"), {.data = folder / "digits", .out = folder / "out"}, stopper),
               Interrupted);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "out"));
}

}  // namespace
}  // namespace detent::recipes
