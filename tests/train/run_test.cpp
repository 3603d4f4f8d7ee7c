#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/names_in.h"
#include "tests/train/tiny_run.h"

namespace detent::train::run_test {
namespace {

using namespace evaluation;
using namespace recipes;
using namespace report;

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
    EXPECT_EQ(metrics.int8->verify.codes_mismatched, 0) << to_text(metrics.int8->verify);
    EXPECT_EQ(metrics.int8->verify.predictions_changed, 0);
    EXPECT_EQ(metrics.int8->test_accuracy, metrics.qat->test_accuracy);
    ASSERT_EQ(metrics.variants.size(), 2U);
    for (const Int8Result& variant : metrics.variants) {
      EXPECT_EQ(variant.verify.codes_mismatched, 0) << variant.name << ": " << to_text(variant.verify);
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
    EXPECT_EQ(metrics.int8->verify.codes_mismatched, 0) << to_text(metrics.int8->verify);
  }
}

TEST(Run, AModelOfProbabilitiesTrainsOnMse) {
  const TempFolder folder;
  const std::vector<std::string> ends_with_softmax{
      "model.layers=[\"conv 8 3x3 stride 2\", \"relu\", \"flatten\", \"linear 10\", \"softmax\"]"};
  std::vector<std::string> on_mse = ends_with_softmax;
  on_mse.emplace_back("train.loss=mse");
  const Metrics metrics = run_at(folder, "out", 2, on_mse);
  EXPECT_EQ(metrics.int8->verify.codes_mismatched, 0) << to_text(metrics.int8->verify);
  EXPECT_EQ(metrics.int8->verify.predictions_changed, 0);
  for (const Int8Result& variant : metrics.variants) {
    EXPECT_EQ(variant.verify.codes_mismatched, 0) << variant.name << ": " << to_text(variant.verify);
  }
  try {
    run_at(folder, "refused", 1, ends_with_softmax);
    FAIL() << "it trained on cross-entropy";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("softmax1: the model ends with a softmax, and the loss cross_entropy"),
              std::string::npos)
        << error.what();
  }
}

TEST(Run, StrictIsKnownBeforeTrainingAndHonoursKeepFloat) {
  const TempFolder folder;
  data::write_idx_folder(folder / "digits", data::make_digits({.train = 320, .test = 110, .seed = 3}));
  std::string text = kTiny;
  text.replace(text.find("\"batchnorm\", \"relu\""), 19, "\"relu\", \"batchnorm\"");
  Reporter silent;
  const auto run_with = [&](const std::string& out, const std::vector<std::string>& overrides, bool is_strict) {
    try {
      run(parse_recipe(text, "tiny.toml", overrides),
          {.data = folder / "digits", .out = folder / out, .strict = is_strict}, silent);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const std::string refusal =
      "tiny: [quantize] strict: these modules have no int8 form and stay in float: bn1 (batch_norm); name them in "
      "keep_float if that is meant";
  for (const std::string method : {"qat", "static"}) {
    const std::string of_method = "quantize.method=" + method, kept = "quantize.keep_float=[\"bn*\"]";
    EXPECT_EQ(run_with("refused", {of_method}, true), refusal) << method;
    EXPECT_EQ(run_with("refused", {of_method, "convert.strict=true"}, false), refusal) << method;
    EXPECT_FALSE(std::filesystem::exists(folder / "refused")) << method << ": something was done before the check";
    EXPECT_EQ(run_with("kept", {of_method, kept}, true), "no error") << method;
    EXPECT_EQ(run_with("loose", {of_method}, false), "no error") << method;
  }
  EXPECT_EQ(run_with("none", {"quantize.method=none"}, true), "no error") << "nothing is converted";
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
  EXPECT_THAT(names_in(folder / "out"), testing::ElementsAre("checkpoint.h5"));
}

// What a run trained goes to int8 another day, as if the run had gone on.
TEST(Run, BeginsWithAModelThatWasTrainedBefore) {
  const TempFolder folder;
  run_at(folder, "whole", 2, {"quantize.method=static", "data.normalize={mean = 0.1, std = 0.5}"});
  Reporter silent;
  const auto run_from = [&](const std::string& out, std::vector<std::string> overrides) {
    overrides.push_back("model.file=" + (folder / "whole" / "fp32.h5").string());
    return run(parse_recipe("", "tiny.toml", overrides), {.data = folder / "digits", .out = folder / out}, silent);
  };
  const std::vector<std::string> as_before{"quantize.method=static", "quantize.calibration=64",
                                           "data.train_examples=300", "data.test_examples=100"};
  const Metrics later = run_from("later", as_before);
  for (const std::string file : {"fp32.h5", "int8.h5"}) {
    EXPECT_TRUE(read_text(folder / "later" / file) == read_text(folder / "whole" / file))
        << file << " differs: the model, or how its examples are normalized";
  }
  EXPECT_EQ(later.fp32.steps, 0);
  const Metrics trained = run_from("qat", {"quantize.method=qat", "data.train_examples=300", "train.batch=64"});
  EXPECT_EQ(trained.int8->verify.codes_mismatched, 0);
  EXPECT_TRUE(read_text(folder / "qat" / "fp32.h5") == read_text(folder / "whole" / "fp32.h5"));
  const Metrics tuned = run_from("tuned", {"quantize.method=none", "train.epochs=1", "data.train_examples=300"});
  EXPECT_GT(tuned.fp32.steps, 0);
  EXPECT_FALSE(read_text(folder / "tuned" / "fp32.h5") == read_text(folder / "whole" / "fp32.h5"));
}

TEST(Run, RefusesAModelThatDoesNotFitTheData) {
  const TempFolder folder;
  run_at(folder, "whole", 2);
  Reporter silent;
  const auto error_from = [&](const std::string& file, const std::string& data) {
    try {
      run(parse_recipe("", "tiny.toml", {"model.file=" + (folder / "whole" / file).string()}),
          {.data = folder / data, .out = folder / "out"}, silent);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(error_from("int8.h5", "digits"), testing::HasSubstr("int8.h5: expected a float model (fp32.h5), got "));
  data::DataSource small = data::make_digits({.train = 20, .test = 20, .seed = 1});
  for (data::Dataset* part : {&small.train, &small.test}) {
    part->examples = part->examples.reshape({part->size(), 14, 56, 1});
  }
  data::write_idx_folder(folder / "flat", small);
  EXPECT_THAT(error_from("fp32.h5", "flat"), testing::HasSubstr("model: expects examples of shape"));
  EXPECT_FALSE(std::filesystem::exists(folder / "out")) << "something was done before the check";
}

}  // namespace
}  // namespace detent::train::run_test
