#include "detent/evaluation/evidence/evidence.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "detent/evaluation/metrics.h"
#include "detent/report/evidence/evidence_json.h"
#include "detent/report/evidence/evidence_table.h"
#include "detent/report/evidence/flips.h"
#include "tests/error_of.h"

namespace detent::evaluation::evidence_test {
namespace {

using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A model that says what it sees: two numbers, of which the larger is the class.
quant::OpenedModel seeing() {
  runtime::Model model;
  model.inputs = {{"x", {.shape = {2}}}};
  model.nodes.push_back({.name = "relu", .op = runtime::Activation{}, .inputs = {0}, .output = {.shape = {2}}});
  model.output = 1;
  return {.kind = "int8", .content = model};
}

/// 1000 examples, of which 40 come from the southern camera; 30 of these show the other class than their label says.
data::Dataset with_a_broken_camera() {
  std::vector<float> x;
  std::vector<std::int32_t> labels;
  data::Column camera{.name = "camera"};
  for (int i = 0; i < 1000; ++i) {
    const bool is_south = i % 25 == 7;
    const bool is_broken = is_south && i / 25 < 30;
    const int label = (i / 3) % 2;
    const bool shows_one = (label == 1) != is_broken;
    x.insert(x.end(), {shows_one ? 0.0F : 1.0F, shows_one ? 1.0F : 0.0F});
    labels.push_back(label);
    camera.texts.emplace_back(is_south ? "south" : "north");
  }
  return {.name = "cameras test",
          .examples = Tensor::from(x, {1000, 2}),
          .labels = Tensor::from(labels, {1000}),
          .classes = 2,
          .columns = {camera}};
}

Evidence evidence_of_one(const data::Dataset& dataset) {
  Reporter silent;
  quant::OpenedModel model = seeing();
  const EvaluatedModel one{
      .name = "m", .model = &model, .file_bytes = 77, .evaluation = evaluate(model, dataset, {}, silent)};
  return collect_evidence(std::span(&one, 1), dataset, {.speed = {}});
}

TEST(Evidence, SeesABrokenSliceThatTheWholeHides) {
  const Evidence evidence = evidence_of_one(with_a_broken_camera());
  ASSERT_EQ(evidence.models.size(), 1U);
  const ModelEvidence& model = evidence.models[0];
  EXPECT_EQ(model.correct, 970);
  EXPECT_EQ(model.examples, 1000);
  const auto south = std::ranges::find(model.slices, "camera = south", &SliceScore::slice);
  ASSERT_NE(south, model.slices.end());
  EXPECT_EQ(south->examples, 40);
  EXPECT_EQ(south->correct, 10);

  EXPECT_TRUE(whole_verdict_of({.int8_accuracy = 0.96}, evidence).failures.empty()) << "the whole hides it";
  const Verdict verdict = verdict_of({.max_slice_drop = 0.05}, evidence);
  EXPECT_THAT(verdict.checked, ElementsAre("max_slice_drop <= 0.05"));
  EXPECT_THAT(verdict.failures, ElementsAre("max_slice_drop: expected <= 0.05, got 0.72 (slice 'camera = south', 40 "
                                            "examples: 0.25, all 0.97)"));
  EXPECT_THAT(verdict_of({.min_slice_accuracy = 0.9}, evidence).failures,
              ElementsAre("min_slice_accuracy: expected >= 0.9, got 0.25 (slice 'camera = south', 40 examples of m)"));
  EXPECT_TRUE(verdict_of({.max_slice_drop = 0.72}, evidence).failures.empty()) << "a bound that is just kept";
  const std::string text = report::to_text(evidence);
  EXPECT_THAT(text, ContainsRegex("worst first\n.*\n  camera = south +40 +25.00 % +-72.00"));
  EXPECT_THAT(text, HasSubstr("nothing was checked"));
}

TEST(Evidence, LeavesSmallSlicesUnchecked) {
  data::Dataset dataset = with_a_broken_camera();
  for (std::size_t i = 0; i < 1000; ++i) {
    const bool is_far = i % 25 == 7 && i / 25 < 19;  // 19 of the 30
    dataset.columns[0].texts[i] = is_far ? "far" : "near";
  }
  const Evidence evidence = evidence_of_one(dataset);
  EXPECT_TRUE(verdict_of({.max_slice_drop = 0.05}, evidence).failures.empty());
  EXPECT_THAT(report::to_text(evidence), ContainsRegex("camera = far +19 +0.00 %"));
}

TEST(Evidence, HasConfusionCalibrationAndSizes) {
  const Evidence evidence = evidence_of_one(with_a_broken_camera());
  const ModelEvidence& model = evidence.models[0];
  ASSERT_EQ(model.confusion.size(), 2U);
  std::int64_t wrong = 0, all = 0;
  for (std::size_t label = 0; label < 2; ++label) {
    for (std::size_t predicted = 0; predicted < 2; ++predicted) {
      wrong += label != predicted ? model.confusion[label][predicted] : 0;
      all += model.confusion[label][predicted];
    }
  }
  EXPECT_EQ(wrong, 30);
  EXPECT_EQ(all, 1000);
  const double sure = 1.0 / (1.0 + std::exp(-1.0));
  EXPECT_NEAR(model.calibration_error, 0.97 - sure, 1e-6);
  EXPECT_EQ(model.file_bytes, 77);
  EXPECT_EQ(model.parameter_bytes, 0);
  ASSERT_EQ(model.float_modules.size(), 1U);
  EXPECT_EQ(model.float_modules[0].module, "relu");
  EXPECT_EQ(verdict_of({.max_calibration_error = 0.2}, evidence).failures.size(), 1U);
  EXPECT_TRUE(verdict_of({.max_calibration_error = 0.24}, evidence).failures.empty());
}

/// What two models say of 100 examples of two classes; the last 40 were taken at night. A is wrong of the first 10, B
/// of the last 10: both are right of 90.
struct Two {
  quant::OpenedModel model = seeing();
  data::Dataset dataset;
  std::vector<EvaluatedModel> models;

  Two() {
    std::vector<std::int32_t> labels(100), a(100), b(100);
    data::Column hour{.name = "hour"};
    for (std::size_t i = 0; i < 100; ++i) {
      labels[i] = static_cast<std::int32_t>(i % 2);
      a[i] = i < 10 ? 1 - labels[i] : labels[i];
      b[i] = i >= 90 ? 1 - labels[i] : labels[i];
      hour.numbers.push_back(i < 60 ? 12.0 : 23.0);
    }
    dataset = {.name = "hours test",
               .examples = Tensor::zeros({100, 2}, DType::F32),
               .labels = Tensor::from(labels, {100}),
               .classes = 2,
               .columns = {hour}};
    for (const auto& [name, predictions] : {std::pair("fp32", a), std::pair("int8", b)}) {
      Evaluation evaluation;
      evaluation.predictions = predictions;
      evaluation.confidences.assign(100, 0.9F);
      evaluation.margins.assign(100, 0.8F);
      evaluation.margins[95] = name == std::string("int8") ? 0.25F : 0.99F;
      models.push_back({.name = name, .model = &model, .evaluation = evaluation});
    }
  }
  Evidence evidence(std::optional<SpeedOptions> speed = {}) const {
    return collect_evidence(models, dataset, {.slices = {}, .speed = std::move(speed)});
  }
};

TEST(Evidence, SeesASliceThatIsLostWhereAccuracyHolds) {
  const Evidence evidence = Two().evidence();
  ASSERT_EQ(evidence.pairs.size(), 1U);
  const PairEvidence& pair = evidence.pairs[0];
  EXPECT_EQ(pair.a, "fp32");
  EXPECT_EQ(pair.b, "int8");
  EXPECT_EQ(pair.whole.change(), 0.0);
  EXPECT_EQ(pair.whole.lost, 10);
  EXPECT_EQ(pair.whole.won, 10);
  EXPECT_NEAR(pair.mcnemar_p, 1.0, 1e-12);
  const auto night = std::ranges::find(pair.slices, "hour = 23", &SliceChange::slice);
  ASSERT_NE(night, pair.slices.end());
  EXPECT_EQ(night->examples, 40);
  EXPECT_EQ(night->lost, 10);
  EXPECT_EQ(night->won, 0);
  EXPECT_DOUBLE_EQ(night->change(), -0.25);
  EXPECT_LT(night->interval().high, 0.0) << "chance does not explain it";

  EXPECT_TRUE(whole_verdict_of({.max_drop = 0.0}, evidence).failures.empty()) << "the whole hides it";
  EXPECT_THAT(verdict_of({.max_slice_drop = 0.1}, evidence).failures,
              ElementsAre("max_slice_drop: expected <= 0.1, got 0.25 (slice 'hour = 23', 40 examples: fp32 1, int8 "
                          "0.75)"));
  EXPECT_THAT(verdict_of({.max_flips = 0.1}, evidence).failures,
              ElementsAre("max_flips: expected <= 0.1, got 0.2 (20 of 100 predictions differ between fp32 and int8)"));
}

TEST(Evidence, ListsEveryFlipWithItsMargins) {
  const Evidence evidence = Two().evidence();
  const std::vector<Flip>& flips = evidence.pairs[0].flips;
  ASSERT_EQ(flips.size(), 20U);
  EXPECT_EQ(flips[0].index, 0);
  EXPECT_EQ(flips[15].index, 95);
  EXPECT_EQ(flips[15].label, 1);
  EXPECT_EQ(flips[15].a, 1);
  EXPECT_EQ(flips[15].b, 0);
  EXPECT_FLOAT_EQ(flips[15].margin_a, 0.99F);
  EXPECT_FLOAT_EQ(flips[15].margin_b, 0.25F);
  const std::string text = report::to_text(evidence, {"cat", "dog"});
  EXPECT_THAT(text, ContainsRegex(
                        "the surest first \\(10 of 20; --json has all\\)\n.*\n +95 +dog +dog +cat +0.9900 +0.2500\n"));
  EXPECT_THAT(text, ContainsRegex("hour = 23 +40 +100.00 % +75.00 % +-25.00"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100U) << line;
  }
}

TEST(Evidence, IsWhatProgramsRead) {
  Evidence evidence = Two().evidence(SpeedOptions{.latency_seconds = 0, .batch_seconds = 0, .batches = {4}});
  evidence.verdict = verdict_of({.max_slice_drop = 0.1, .max_flips = 1.0}, evidence);
  const nlohmann::json json = report::to_json(evidence);
  const nlohmann::json& model = json["models"]["int8"];
  EXPECT_EQ(model["accuracy"], 0.9);
  EXPECT_EQ(model["confusion"], nlohmann::json({{45, 5}, {5, 45}}));
  EXPECT_NEAR(model["calibration_error"].get<double>(), 0.0, 1e-6);
  EXPECT_EQ(model["throughput"].size(), 2U);
  EXPECT_EQ(model["throughput"][1]["batch"], 4);
  EXPECT_GT(model["throughput"][1]["examples_per_second"].get<double>(), 0.0);
  EXPECT_LE(model["latency_ms"]["p50"].get<double>(), model["latency_ms"]["max"].get<double>());
  EXPECT_GE(model["peak_memory_bytes"].get<std::int64_t>(), 0);
  const nlohmann::json& pair = json["pairs"][0];
  EXPECT_EQ(pair["a"], "fp32");
  EXPECT_EQ(pair["accuracy_b"], 0.9);
  EXPECT_EQ(pair["points"], 0.0);
  EXPECT_NEAR(pair["interval"][1].get<double>(), 100.0 * paired_interval(10, 10, 100).high, 1e-9);
  EXPECT_EQ(pair["a_only"], 10);
  EXPECT_EQ(pair["b_only"], 10);
  EXPECT_EQ(pair["flips"].size(), 20U);
  EXPECT_EQ(pair["slices"][0]["slice"], "class = 0");
  EXPECT_EQ(pair["slices"][0]["examples"], 50);
  EXPECT_EQ(json["verdict"]["checked"], 2);
  EXPECT_EQ(json["verdict"]["failures"].size(), 1U);
}

TEST(Flips, OfWhichTheWorstAreTold) {
  // Lost, won, lost, wrong in both, lost: the surest of b first among those of a kind.
  const std::vector<Flip> flips{{.index = 1, .label = 0, .a = 0, .b = 1, .margin_a = 0.5F, .margin_b = 0.25F},
                                {.index = 2, .label = 1, .a = 0, .b = 1, .margin_a = 0.5F, .margin_b = 0.9F},
                                {.index = 3, .label = 0, .a = 0, .b = 2, .margin_a = 0.5F, .margin_b = 0.75F},
                                {.index = 5, .label = 0, .a = 1, .b = 2, .margin_a = 0.5F, .margin_b = 1.0F},
                                {.index = 8, .label = 4, .a = 4, .b = 1, .margin_a = 0.125F, .margin_b = 0.5F}};
  const auto indices = [&](std::size_t most) {
    std::vector<std::int64_t> found;
    for (const Flip& flip : report::worst_flips(flips, most)) {
      found.push_back(flip.index);
    }
    return found;
  };
  EXPECT_THAT(indices(9), ElementsAre(1, 2, 3, 5, 8));
  EXPECT_THAT(indices(4), ElementsAre(1, 2, 3, 8));
  EXPECT_THAT(indices(2), ElementsAre(3, 8)) << "by their examples";
  EXPECT_THAT(indices(0), ElementsAre());
  Evidence evidence;
  evidence.pairs.resize(2);
  evidence.pairs[0].a = "fp32";
  evidence.pairs[0].b = "a, \"b\"";
  evidence.pairs[0].whole.examples = 9;
  evidence.pairs[0].flips = flips;
  evidence.pairs[1].a = "x";
  evidence.pairs[1].b = "y";
  evidence.pairs[1].whole.examples = 9;
  EXPECT_EQ(report::flips_csv(evidence),
            "a,b,index,label,class_a,class_b,margin_a,margin_b\n"
            "fp32,\"a, \"\"b\"\"\",1,0,0,1,0.5,0.25\n"
            "fp32,\"a, \"\"b\"\"\",2,1,0,1,0.5,0.9\n"
            "fp32,\"a, \"\"b\"\"\",3,0,0,2,0.5,0.75\n"
            "fp32,\"a, \"\"b\"\"\",5,0,1,2,0.5,1\n"
            "fp32,\"a, \"\"b\"\"\",8,4,4,1,0.125,0.5\n");
  const nlohmann::json json = report::to_json(evidence, 2);
  EXPECT_EQ(json["pairs"][0]["predictions_changed"], 5);
  EXPECT_EQ(json["pairs"][0]["flips"].size(), 2U);
  EXPECT_EQ(json["pairs"][0]["flips"][1]["index"], 8);
  EXPECT_EQ(json["pairs"][1]["predictions_changed"], 0);
  EXPECT_EQ(report::to_json(evidence)["pairs"][0]["flips"].size(), 5U);
}

TEST(Evidence, OfThreeModelsBeginsWithTheFirstAndTheLast) {
  Two two;
  EvaluatedModel qat = two.models[1];
  qat.name = "qat";
  two.models.insert(two.models.begin() + 1, qat);
  const Evidence evidence = two.evidence();
  std::vector<std::string> pairs;
  for (const PairEvidence& pair : evidence.pairs) {
    pairs.push_back(pair.a + " " + pair.b);
  }
  EXPECT_THAT(pairs, ElementsAre("fp32 int8", "fp32 qat", "qat int8"));
  EXPECT_TRUE(evidence.pairs[2].flips.empty());
  EXPECT_THAT(report::brief_text(evidence),
              HasSubstr("int8 against fp32: 20 of 100 predictions differ, 10 lost, 10 won"));
  EXPECT_THAT(report::brief_text(evidence), HasSubstr("worst slice: hour = 23, -25.00 points of 40 examples\n"));
}

TEST(Evidence, RefusesWhatDoesNotBelongTogether) {
  Two two;
  two.models[1].name = "fp32";
  EXPECT_THAT(error_of([&] { two.evidence(); }), HasSubstr("'fp32' is named twice"));
  Two other;
  other.models[1].evaluation.predictions.pop_back();
  EXPECT_THAT(error_of([&] { other.evidence(); }), HasSubstr("int8 has predictions for 99 examples"));
}

TEST(Checks, TakeInTheVerdictOfTheEvidence) {
  Metrics metrics;
  metrics.evidence = Two().evidence();
  const CheckSettings check{.max_slice_drop = 0.1};
  metrics.evidence->verdict = verdict_of(check, *metrics.evidence);
  EXPECT_THAT(checked_of(check, metrics), ElementsAre("max_slice_drop <= 0.1"));
  EXPECT_THAT(failures_of(check, metrics), testing::Contains(HasSubstr("slice 'hour = 23'")));
  EXPECT_THAT(report::to_text(metrics.evidence->verdict), HasSubstr("checks failed: max_slice_drop <= 0.1"));
  EXPECT_THAT(report::to_text(Verdict{.checked = {"a <= 1"}}), HasSubstr("all checks passed: a <= 1"));
}

TEST(Latency, IsThatOfSortedRuns) {
  std::vector<double> seconds;
  for (int i = 200; i >= 1; --i) {
    seconds.push_back(1e-3 * i);
  }
  const Latency latency = latency_of(seconds);
  EXPECT_DOUBLE_EQ(latency.p50, 101.0);
  EXPECT_DOUBLE_EQ(latency.p90, 181.0);
  EXPECT_DOUBLE_EQ(latency.p99, 199.0);
  EXPECT_DOUBLE_EQ(latency.max, 200.0);
  EXPECT_EQ(latency.runs, 200);
  EXPECT_DOUBLE_EQ(latency_of({0.25}).p99, 250.0);
  EXPECT_NE(error_of([] { latency_of({}); }), "no error");
}

TEST(Speed, RunsEveryBatchAtLeastAFewTimes) {
  std::map<std::int64_t, std::int64_t> runs;
  const auto make = [&](std::int64_t batch) -> Runnable {
    return {.run = [&runs, batch] { ++runs[batch]; }, .memory_bytes = [batch] { return 1000 * batch; }};
  };
  const Speed speed = measure_speed(make, {.latency_seconds = 0, .batch_seconds = 0, .batches = {8, 32}});
  EXPECT_EQ(runs, (std::map<std::int64_t, std::int64_t>{{1, 4}, {8, 4}, {32, 4}})) << "one to warm up, three timed";
  EXPECT_EQ(speed.latency.runs, 3);
  EXPECT_EQ(speed.peak_memory_bytes, 1000);
  ASSERT_EQ(speed.throughput.size(), 3U);
  EXPECT_EQ(speed.throughput[2].batch, 32);
  EXPECT_EQ(speed.throughput[2].memory_bytes, 32000);
}

}  // namespace
}  // namespace detent::evaluation::evidence_test
