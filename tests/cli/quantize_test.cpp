#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "detent/io/tensor_file.h"
#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"

namespace detent::cli::quantize_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A float model in runs/tiny, trained by a run.
class Quantize : public testing::Test {
 protected:
  Quantize() {
    write_text(folder_ / "tiny.toml",
               "[model]\nlayers = [\"conv 4 3x3 stride 2\", \"relu\", \"flatten\", \"linear 10\"]\n"
               "[train]\nepochs = 1\nbatch = 32\n[quantize]\nmethod = \"none\"\n");
    write_digits(folder_ / "digits");
    const Outcome trained = detent(folder_, {"run", "tiny.toml", "--data", "digits"});
    EXPECT_EQ(trained.status, 0) << trained.err;
  }
  Outcome quantize(std::vector<std::string> more = {}) {
    std::vector<std::string> words{"quantize", "runs/tiny/fp32.h5", "--data", "digits"};
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  }
  TempFolder folder_;
};

TEST_F(Quantize, MakesAnInt8ModelOfAFloatOne) {
  const Outcome outcome = quantize();
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("0 of"));
  EXPECT_THAT(outcome.out, HasSubstr("files in runs/tiny-static"));
  EXPECT_TRUE(fs::exists(folder_ / "runs" / "tiny-static" / "int8.h5"));
}

TEST_F(Quantize, TakesMethodBitsAndLayers) {
  const Outcome trained = quantize({"--method", "qat", "--weights", "int4", "--json", "--out", "qat"});
  ASSERT_EQ(trained.status, 0) << trained.err;
  const nlohmann::json json = nlohmann::json::parse(trained.out);
  EXPECT_EQ(json["recipe"], "tiny-qat");
  EXPECT_EQ(json["int8"]["weights"], "int4 per-channel symmetric");
  EXPECT_EQ(json["verify"]["codes_mismatched"], 0);

  const Outcome mixed =
      quantize({"--activations", "uint8 mse", "--set", "quantize.layers={conv1 = \"float\"}", "--out", "mixed"});
  ASSERT_EQ(mixed.status, 0) << mixed.err;
  EXPECT_THAT(mixed.err + mixed.out, HasSubstr("kept in float as asked by 'conv1'"));
}

TEST_F(Quantize, LearnsMapsAsTheTextSays) {
  const Outcome outcome =
      quantize({"--method", "qat", "--weights", "int4 lsq", "--activations", "uint4 pact 0.001", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["int8"]["weights"], "int4 per-channel symmetric lsq");
  EXPECT_EQ(json["verify"]["codes_mismatched"], 0);
  EXPECT_EQ(detent(folder_, {"verify", "runs/tiny-qat/qat.h5", "runs/tiny-qat/int8.h5", "--data", "digits"}).status, 0);

  const Outcome wrong = quantize({"--method", "qat", "--weights", "int4 pact"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("write weights = \"int4 per-channel symmetric lsq\""));
}

TEST_F(Quantize, DynamicAndWeightOnlyNeedNoData) {
  const auto quantize_alone = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"quantize", "runs/tiny/fp32.h5"};
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  };
  const Outcome bf16 = quantize_alone({"--method", "bf16", "--out", "bf16"});
  ASSERT_EQ(bf16.status, 0) << bf16.err;
  EXPECT_THAT(bf16.out, testing::ContainsRegex("fc1 +bf16_linear +bf16 +bf16 x bf16, sums of f32"));
  EXPECT_THAT(detent(folder_, {"inspect", "bf16/int8.h5"}).out, HasSubstr("bf16 product"));
  const Outcome dynamic = quantize_alone({"--method", "dynamic"});
  ASSERT_EQ(dynamic.status, 0) << dynamic.err;
  EXPECT_THAT(dynamic.out, testing::ContainsRegex("conv1 +dynamic_conv2d +int8 +u8 of each example's range x s8"));
  EXPECT_THAT(dynamic.out, HasSubstr("wrote runs/tiny-dynamic/int8.h5"));
  EXPECT_THAT(dynamic.out, HasSubstr("not evaluated: say --data"));
  EXPECT_FALSE(TensorFile::read(folder_ / "runs/tiny-dynamic/int8.h5").attributes.contains("data_path"))
      << "where data lay is nobody's business";
  const Outcome weight_only =
      quantize_alone({"--method", "weight-only", "--weights", "int4 per-group 32", "--json", "--out", "w4"});
  ASSERT_EQ(weight_only.status, 0) << weight_only.err;
  const nlohmann::json json = nlohmann::json::parse(weight_only.out);
  EXPECT_EQ(json["model"], "w4/int8.h5");
  EXPECT_EQ(json["ledger"][0]["kind"], "weight_only_conv2d");
  EXPECT_EQ(json["ledger"][0]["precision"], "weights");
  const Outcome rounded = quantize_alone({"--method", "weight-only", "--activations", "bf16", "--out", "w8bf16"});
  ASSERT_EQ(rounded.status, 0) << rounded.err;
  EXPECT_THAT(rounded.out, testing::ContainsRegex("fc1 +weight_only_linear +weights +bf16 x s8 per channel"));

  for (const std::string file : {"runs/tiny-dynamic/int8.h5", "w4/int8.h5", "w8bf16/int8.h5"}) {
    const Outcome eval = detent(folder_, {"eval", file, "--data", "digits"});
    EXPECT_EQ(eval.status, 0) << eval.err;
    EXPECT_THAT(eval.out, HasSubstr("of 60 test images right"));
    const Outcome inspect = detent(folder_, {"inspect", file});
    EXPECT_EQ(inspect.status, 0) << inspect.err;
    EXPECT_THAT(inspect.out, HasSubstr("hybrid_product"));
    const Outcome compare = detent(folder_, {"compare", "runs/tiny/fp32.h5", file, "--data", "digits"});
    EXPECT_EQ(compare.status, 0) << compare.err;
    EXPECT_THAT(compare.out, HasSubstr("of 60 predictions differ"));
    const Outcome bench =
        detent(folder_, {"bench", "infer", "--model", file, "--precision", "int8", "--batch", "1", "--runs", "2"});
    EXPECT_EQ(bench.status, 0) << bench.err;
    const Outcome target = detent(folder_, {"eval", file, "--data", "digits", "--target", "torch"});
    EXPECT_EQ(target.status, 2);
    EXPECT_THAT(target.err, HasSubstr("has no codes to round between its layers"));
  }
  ASSERT_EQ(quantize().status, 0);
  const Outcome verify =
      detent(folder_, {"verify", "runs/tiny-static/prepared.h5", "runs/tiny-dynamic/int8.h5", "--data", "digits"});
  EXPECT_EQ(verify.status, 2);
  EXPECT_THAT(verify.err, HasSubstr("has no codes between its layers to compare"));
  EXPECT_EQ(std::count(verify.err.begin(), verify.err.end(), '\n'), 1) << verify.err;
}

TEST_F(Quantize, EvaluatesDynamicAndWeightOnlyModelsOnData) {
  const Outcome dynamic = quantize({"--method", "dynamic", "--json"});
  ASSERT_EQ(dynamic.status, 0) << dynamic.err;
  const nlohmann::json json = nlohmann::json::parse(dynamic.out);
  EXPECT_EQ(json["int8"]["method"], "dynamic");
  EXPECT_EQ(json["verify"]["codes_mismatched"], 0);
  EXPECT_EQ(json["verify"]["images"], 60);
  EXPECT_EQ(json["verify"]["layers"].size(), 2U);
  EXPECT_NEAR(json["int8"]["test_accuracy"].get<double>(), json["fp32"]["test_accuracy"].get<double>(), 0.1);

  const Outcome table = quantize({"--method", "dynamic"});
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("reference executor against plan, every dynamic layer, 60 examples"));
  const Outcome weight_only = quantize({"--method", "weight-only", "--weights", "int4 per-group 32"});
  ASSERT_EQ(weight_only.status, 0) << weight_only.err;
  EXPECT_THAT(weight_only.out, HasSubstr("weight-only"));
  EXPECT_FALSE(fs::exists(folder_ / "runs" / "tiny-weight-only" / "prepared.h5"));

  const Outcome beside = quantize({"--method", "dynamic", "--set", "quantize.compare_static=[\"int8 per-channel\"]"});
  ASSERT_EQ(beside.status, 0) << beside.err;
  EXPECT_THAT(beside.out, HasSubstr("static int8 per-channel"));
}

TEST_F(Quantize, PrintsWhatImprovementsGain) {
  const Outcome table = quantize({"--weights", "int3 per-tensor", "--improve", "equalize,bias-correction"});
  ASSERT_EQ(table.status, 0) << table.err << table.out;
  EXPECT_THAT(table.out, HasSubstr("static, not improved"));
  EXPECT_THAT(table.out, HasSubstr("equalize, bias-correction: "));
  EXPECT_TRUE(fs::exists(folder_ / "runs" / "tiny-static" / "static-not-improved.h5"));

  const Outcome outcome =
      quantize({"--weights", "int3 per-tensor", "--json", "--set", "quantize.improve=[\"bias-correction\"]"});
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["int8"]["improve"], nlohmann::json({"bias-correction"}));
  EXPECT_EQ(json["not_improved"]["improve"], nlohmann::json::array());
  EXPECT_EQ(json["not_improved"]["weights"], json["int8"]["weights"]);
  EXPECT_EQ(json["not_improved"]["verify"]["codes_mismatched"], 0);
  EXPECT_EQ(json["verify"]["codes_mismatched"], 0);

  const Outcome rounded = quantize({"--weights", "int3 per-tensor", "--improve", "adaround"});
  ASSERT_EQ(rounded.status, 0) << rounded.err << rounded.out;
  EXPECT_THAT(rounded.out, testing::ContainsRegex("adaround: [+-][0-9.]+ points"));

  ASSERT_EQ(quantize().status, 0);
  EXPECT_FALSE(fs::exists(folder_ / "runs" / "tiny-static" / "static-not-improved.h5"));
}

TEST_F(Quantize, ComparesWhatItMade) {
  ASSERT_EQ(quantize().status, 0);
  const std::vector<std::string> compare{"compare", "runs/tiny/fp32.h5", "runs/tiny-static/int8.h5", "--data",
                                         "digits"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = compare;
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  };
  const Outcome table = with({});
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("of 60 predictions differ"));
  EXPECT_THAT(table.out, HasSubstr("only in B: input_quantize"));
  const Outcome one = with({"--sample", "59", "--json"});
  ASSERT_EQ(one.status, 0) << one.err;
  const nlohmann::json json = nlohmann::json::parse(one.out);
  EXPECT_EQ(json["images"], 1);
  EXPECT_EQ(json["layers"][0]["name"], "conv1");
  EXPECT_EQ(with({"--sample", "60"}).status, 2);
  EXPECT_EQ(with({"--sample", "1", "--images", "3"}).status, 2);
}

TEST_F(Quantize, RoundsWhatItMadeAsOthersDo) {
  ASSERT_EQ(quantize().status, 0);
  const auto eval = [&](const std::string& file, const std::string& target, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"eval", file, "--data", "digits", "--target", target};
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  };
  const std::string int8 = "runs/tiny-static/int8.h5";
  const Outcome table = eval(int8, "all");
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, testing::ContainsRegex("conv1 +product +tflite"));
  EXPECT_THAT(table.out, testing::ContainsRegex("detent +[0-9.]+ % +0 +[0-9,]+ +0.0000% +0 +0 of 60"));
  const Outcome one = eval(int8, "torch", {"--json"});
  ASSERT_EQ(one.status, 0) << one.err;
  const nlohmann::json json = nlohmann::json::parse(one.out);
  ASSERT_EQ(json["targets"].size(), 1U);
  EXPECT_EQ(json["targets"][0]["target"], "torch");
  EXPECT_EQ(json["targets"][0]["images"], 60);
  const Outcome unknown = eval(int8, "tflit");
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean 'tflite'?"));
  const Outcome in_float = eval("runs/tiny/fp32.h5", "torch");
  EXPECT_EQ(in_float.status, 2);
  EXPECT_THAT(in_float.err, HasSubstr("give it an int8 model"));
}

TEST_F(Quantize, ToOneBitAndTernary) {
  std::int64_t bytes = std::numeric_limits<std::int64_t>::max();
  for (const std::string weights : {"int8", "int4", "ternary", "binary"}) {
    const Outcome outcome = quantize({"--weights", weights, "--json"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const nlohmann::json json = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(json["verify"]["codes_mismatched"], 0) << weights;
    const auto taken = json["int8"]["model_bytes"].get<std::int64_t>();
    EXPECT_LT(taken, bytes) << weights;
    bytes = taken;
  }
  const Outcome shown = detent(folder_, {"inspect", "runs/tiny-static/int8.h5"});
  EXPECT_THAT(shown.out, testing::ContainsRegex("conv1.weight +s8 "));
}

TEST_F(Quantize, RefusesWhatItCannotDo) {
  const auto expect_refused = [](const Outcome& outcome, const std::string& what) {
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  };
  expect_refused(detent(folder_, {"quantize"}), "expected FP32.h5 | MODEL.onnx, got 0 names");
  expect_refused(detent(folder_, {"quantize", "lost.h5"}), "'lost.h5': there is no such file");
  expect_refused(quantize({"--set", "quantize.method=none"}), "makes no int8 model");
  expect_refused(quantize({"--method", "statik"}),
                 "quantize: --method: expected static, qat, dynamic, weight-only or bf16, got 'statik'; did you mean "
                 "'static'?");
  expect_refused(quantize({"--weights", "int9"}), "expected 1 to 8 bits, got 9");
  expect_refused(quantize({"--weights", "int8\\ \"x\"\n"}), "weights: ");
  expect_refused(quantize({"--improve", "equalise"}), "did you mean 'equalize'?");
  expect_refused(quantize({"--improve", "adaround", "--weights", "int4 mse"}),
                 "[quantize] adaround: conv1: the grid of");
  expect_refused(quantize({"--improve", "equalize", "--method", "qat"}), "improve: is for static quantization");
  expect_refused(quantize({"--activations", "uint8 per-token"}), "write method = \"dynamic\"");
  expect_refused(quantize({"--method", "dynamic", "--activations", "uint8 mse"}), "leave out range and map rules");
  expect_refused(quantize({"--method", "weight-only", "--activations", "uint8"}), "makes no codes of activations");
  expect_refused(quantize({"--method", "dynamic", "--improve", "equalize"}), "improve: is for static quantization");
  expect_refused(detent(folder_, {"quantize", "\xff.h5"}), "expected UTF-8");
  EXPECT_FALSE(fs::exists(folder_ / "runs" / "tiny-static"));
}

}  // namespace
}  // namespace detent::cli::quantize_test
