#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/core/processor/units.h"
#include "tests/cli/process.h"

namespace detent::cli::bench_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json bench(const std::vector<std::string>& words) {
  const TempFolder folder;
  std::vector<std::string> all{"bench"};
  all.insert(all.end(), words.begin(), words.end());
  all.insert(all.end(), {"--json", "--runs", "3"});
  const Outcome outcome = detent(folder, all);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return json::parse(outcome.out);
}

void expect_sane(const json& result) {
  SCOPED_TRACE(result.dump());
  EXPECT_EQ(result["runs"], 3);
  EXPECT_GT(result["median_ms"], 0.0);
  EXPECT_GE(result["p90_ms"], result["median_ms"]);
  EXPECT_GE(result["p99_ms"], result["p90_ms"]);
  EXPECT_GE(result["cpu_ms"], 0.0);
  EXPECT_NEAR(result["examples_per_second"].get<double>() * result["median_ms"].get<double>(),
              1e3 * result["batch"].get<double>(), 1e-3);
  EXPECT_GT(result["share_of_peak"], 0.0);
  EXPECT_NEAR(result["share_of_peak"].get<double>() * result["median_ms"].get<double>(), result["ideal_ms"], 1e-9);
  EXPECT_GT(result["peak_memory_bytes"], 1'000'000);
  EXPECT_EQ(result["processor"], class_of(processor_units()));
  for (const char* type : {"fp32", "bf16", "int8"}) {
    EXPECT_GT(result["peak"][type], 0.0) << type;
  }
}

TEST(Bench, AStepInEveryPrecision) {
  for (const std::string precision : {"fp32", "bf16", "fp16", "qat"}) {
    const json result = bench({"step", "--model", "mnist-cnn", "--precision", precision, "--batch", "3"});
    expect_sane(result);
    EXPECT_EQ(result["what"], "step");
    EXPECT_EQ(result["model"], "mnist-cnn");
    EXPECT_EQ(result["precision"], precision);
    EXPECT_EQ(result["batch"], 3);
    EXPECT_GT(result["saved_activation_bytes"], 0);
    EXPECT_GE(result["arena_bytes"], result["saved_activation_bytes"]);
    EXPECT_FALSE(result.contains("profile"));
  }
}

TEST(Bench, InferenceInEveryPrecision) {
  for (const std::string precision : {"fp32", "int8"}) {
    const json result =
        bench({"infer", "--model", "mnist-mlp", "--precision", precision, "--batch", "5", "--threads", "2"});
    expect_sane(result);
    EXPECT_EQ(result["what"], "infer");
    EXPECT_EQ(result["threads"], 2);
    EXPECT_FALSE(result.contains("saved_activation_bytes"));
  }
}

// The ideal time counts multiply-adds: 784 x 256 + 256 x 256 + 256 x 10 forward, and the same again for the gradients
// of the weights and, but for the first layer, of the input.
TEST(Bench, TheIdealTimeIsThatOfTheProducts) {
  const double first = 784.0 * 256.0;
  const double rest = 256.0 * 256.0 + 256.0 * 10.0;
  const auto ideal_ms = [](double forward, double backward, const json& result, const char* backward_type,
                           const char* forward_type) {
    const json& peak = result["peak"];
    return 2.0 * result["batch"].get<double>() *
           (forward / peak[forward_type].get<double>() + backward / peak[backward_type].get<double>()) / 1e6;
  };
  const json infer = bench({"infer", "--model", "mnist-mlp", "--batch", "4"});
  EXPECT_NEAR(infer["ideal_ms"], ideal_ms(first + rest, 0.0, infer, "fp32", "fp32"), 1e-9);
  const json int8 = bench({"infer", "--model", "mnist-mlp", "--precision", "int8", "--batch", "4"});
  EXPECT_NEAR(int8["ideal_ms"], ideal_ms(first + rest, 0.0, int8, "int8", "int8"), 1e-9);
  const json step = bench({"step", "--model", "mnist-mlp", "--batch", "4"});
  EXPECT_NEAR(step["ideal_ms"], ideal_ms(first + rest, first + 2.0 * rest, step, "fp32", "fp32"), 1e-9);
  const json qat = bench({"step", "--model", "mnist-mlp", "--batch", "4", "--precision", "qat"});
  EXPECT_NEAR(qat["ideal_ms"], ideal_ms(first + rest, first + 2.0 * rest, qat, "bf16", "int8"), 1e-9);
}

TEST(Bench, TheProfileAddsUp) {
  for (const std::string precision : {"fp32", "qat"}) {
    const json result = bench({"step", "--model", "mnist-mlp", "--precision", precision, "--batch", "64", "--profile"});
    SCOPED_TRACE(result.dump());
    double share = 0.0;
    std::int64_t saved = 0;
    std::vector<std::string> modules;
    for (const json& row : result["profile"]) {
      modules.push_back(row["module"]);
      share += row["share"].get<double>();
      saved += row["saved_bytes"].get<std::int64_t>();
      EXPECT_GE(row["forward_ms"], 0.0);
    }
    EXPECT_NEAR(share, 1.0, 1e-9);
    EXPECT_EQ(saved, result["saved_activation_bytes"]);
    for (const std::string module : {"fc1", "fc2", "fc3", "loss", "optimizer"}) {
      EXPECT_THAT(modules, testing::Contains(module));
    }
  }
}

TEST(Bench, PrintsForPeople) {
  const TempFolder folder;
  const Outcome outcome =
      detent(folder, {"bench", "step", "--model", "mnist-mlp", "--batch", "8", "--runs", "2", "--profile"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  for (const char* text :
       {"training step of mnist-mlp in fp32, batch 8", "median", "share of peak", "processor", "bytes saved"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
}

TEST(Bench, CalibrationByEveryRangeRule) {
  const json result = bench({"calibrate", "--model", "mnist-mlp", "--batch", "9", "--threads", "2"});
  EXPECT_EQ(result["what"], "calibrate");
  EXPECT_EQ(result["batch"], 9);
  EXPECT_EQ(result["runs"], 3);
  std::vector<std::string> ranges;
  for (const json& rule : result["rules"]) {
    ranges.push_back(rule["range"]);
    EXPECT_GT(rule["median_ms"], 0.0);
    EXPECT_GE(rule["cpu_ms"], 0.0);
  }
  EXPECT_THAT(ranges, testing::ElementsAre("min-max", "percentile 99.9", "histogram", "mse", "kl"));
  EXPECT_EQ(result["rules"][0]["cost"], 0.0);
  const TempFolder folder;
  const Outcome refused = detent(folder, {"bench", "calibrate", "--model", "mnist-mlp", "--precision", "int8"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err,
              HasSubstr("bench calibrate: --precision: a calibration pass computes in fp32; leave it out"));
  EXPECT_THAT(detent(folder, {"bench", "calibrate", "--model", "mnist-mlp", "--batch", "4", "--runs", "2"}).out,
              HasSubstr("over min-max"));
}

TEST(Bench, TakesImagesOfAnySize) {
  const json small = bench({"infer", "--model", "mnist-mobilenet", "--image", "16x20x3", "--batch", "2"});
  const json large = bench({"infer", "--model", "mnist-mobilenet", "--image", "32x20x3", "--batch", "2"});
  const auto work = [](const json& result) {
    return result["ideal_ms"].get<double>() * result["peak"]["fp32"].get<double>();
  };
  EXPECT_NEAR(work(large) / work(small), 2.0, 0.01);
}

TEST(Bench, WrongCallsAreOneClearLine) {
  const TempFolder folder;
  const auto expect_refused = [&](const std::vector<std::string>& words, const std::string& line) {
    std::vector<std::string> all{"bench"};
    all.insert(all.end(), words.begin(), words.end());
    const Outcome outcome = detent(folder, all);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.err, "detent: " + line + "\n");
    EXPECT_EQ(outcome.out, "");
  };
  for (const std::string image : {"56", "56x56", "56x56x1x1", "56x56x", "56x0x1", "x56x1", "56x56x1 "}) {
    expect_refused({"infer", "--model", "mnist-cnn", "--image", image},
                   "bench: --image: expected height x width x channels, such as 56x56x1, got '" + image + "'");
  }
  expect_refused({"stpe", "--model", "mnist-mlp"},
                 "bench: unknown benchmark 'stpe'; did you mean 'step'? `detent bench --help` lists them");
  expect_refused({"step"}, "bench: --model is missing; for example: detent bench step --model mnist-cnn");
  expect_refused({"step", "--model", "mnist-mpl"},
                 "unknown recipe 'mnist-mpl'; did you mean 'mnist-mlp'? `detent ls` lists the recipes; a file's name "
                 "contains '/' or ends in .toml");
  expect_refused({"step", "--model", "mnist-mlp", "--precision", "int8"},
                 "bench step: --precision: expected fp32, bf16, fp16 or qat, got 'int8'");
  expect_refused({"infer", "--model", "mnist-mlp", "--precision", "qat"},
                 "bench infer: --precision: expected fp32 or int8, got 'qat'");
  expect_refused({"infer", "--model", "mnist-mlp", "--profile"},
                 "bench infer: --profile measures training steps; use bench step");
  EXPECT_EQ(detent(folder, {"bench", "step", "--model", "mnist-mlp", "--batch", "0"}).status, 2);
  EXPECT_EQ(detent(folder, {"bench", "infer", "--model", "missing.h5"}).status, 2);
}

}  // namespace
}  // namespace detent::cli::bench_test
