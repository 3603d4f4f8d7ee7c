#include "detent/evaluation/metrics.h"
#include "detent/evaluation/checks.h"
#include "detent/report/metrics_json.h"
#include "detent/report/metrics_table.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace detent::evaluation::metrics_test {
namespace {

Metrics example() {
  Metrics metrics{.recipe = "r", .dataset = "mnist", .seed = 1, .threads = 2};
  metrics.fp32 = {.test_accuracy = 0.9912, .train_seconds = 1.0, .model_bytes = 4000};
  metrics.int8 = Int8Result{.name = "int8", .test_accuracy = 0.9902, .model_bytes = 1000};
  metrics.int8->verify.codes_compared = 1234567;
  return metrics;
}

TEST(Metrics, ChecksAreInclusiveAndNamed) {
  Metrics metrics = example();
  const CheckSettings exact{.fp32_accuracy = 0.9912, .int8_accuracy = 0.9902, .max_drop = 0.001, .codes_mismatched = 0};
  EXPECT_EQ(failures_of(exact, metrics), std::vector<std::string>());
  EXPECT_EQ(failures_of({.int8_accuracy = 0.9903}, metrics),
            (std::vector<std::string>{"int8_accuracy: expected >= 0.9903, got 0.9902"}));
  EXPECT_EQ(failures_of({.max_drop = 0.0009}, metrics),
            (std::vector<std::string>{"max_drop: expected <= 0.0009, got 0.001 (float 0.9912, int8 0.9902)"}));
  metrics.variants.push_back({.name = "static int8 per-tensor", .test_accuracy = 0.98});
  EXPECT_EQ(failures_of({.static_max_drop = 0.01}, metrics),
            (std::vector<std::string>{
                "static int8 per-tensor: static_max_drop: expected <= 0.01, got 0.0112 (float 0.9912, int8 0.98)"}));
}

TEST(Metrics, DifferingCodesFailEvenWhereNothingIsSaid) {
  Metrics metrics = example();
  metrics.int8->verify.codes_mismatched = 3;
  EXPECT_EQ(failures_of({}, metrics).size(), 1U);
  EXPECT_EQ(failures_of({.codes_mismatched = 3}, metrics).size(), 0U);
  metrics.int8->verify.codes_mismatched = 0;
  metrics.int8->verify.predictions_changed = 1;
  EXPECT_EQ(failures_of({}, metrics).size(), 1U);
}

TEST(Metrics, WhatWasNotAskedForIsNotPassed) {
  Metrics metrics = example();
  const CheckSettings check{.fp32_accuracy = 0.9, .int8_accuracy = 0.8, .static_max_drop = 0.1};
  metrics.checked = checked_of(check, metrics);
  EXPECT_EQ(metrics.checked, (std::vector<std::string>{"fp32_accuracy >= 0.9", "int8_accuracy >= 0.8"}));
  EXPECT_NE(report::to_text(metrics).find("all checks passed"), std::string::npos);
  EXPECT_EQ(report::to_json(metrics)["check"]["checked"].size(), 2U);

  metrics.checked = checked_of({}, metrics);
  EXPECT_EQ(metrics.checked, std::vector<std::string>());
  EXPECT_EQ(report::to_text(metrics).find("all checks passed"), std::string::npos);
  EXPECT_NE(report::to_text(metrics).find("nothing was checked: the recipe has no [check]"), std::string::npos);
  EXPECT_NE(report::to_text(metrics).find("no code differs is always checked"), std::string::npos);

  // Numbers of a model that the run did not make are not compared.
  metrics.int8.reset();
  EXPECT_EQ(checked_of({.int8_accuracy = 0.8, .codes_mismatched = 0}, metrics), std::vector<std::string>());
  EXPECT_EQ(report::to_text(metrics).find("no code differs"), std::string::npos);
}

TEST(Metrics, TellWhatImprovementsGain) {
  Metrics metrics = example();
  metrics.int8->improve = {quant::Improvement::BiasCorrection, quant::Improvement::Equalize};
  EXPECT_TRUE(report::to_json(metrics)["not_improved"].is_null());
  metrics.not_improved = Int8Result{.name = "static, not improved", .test_accuracy = 0.9331, .model_bytes = 1000};
  metrics.not_improved->verify.images = 10000;
  metrics.int8->verify.images = 10000;
  EXPECT_NE(report::to_text(metrics).find("  bias-correction, equalize: +5.71 points\n"), std::string::npos)
      << report::to_text(metrics);
  const nlohmann::json json = report::to_json(metrics);
  EXPECT_EQ(json["int8"]["improve"], nlohmann::json({"bias-correction", "equalize"}));
  EXPECT_EQ(json["not_improved"]["test_accuracy"], 0.9331);
  EXPECT_EQ(failures_of({.max_drop = 0.01}, metrics), std::vector<std::string>()) << "max_drop is the main model's";

  metrics.not_improved->verify.codes_mismatched = 2;
  const std::vector<std::string> failures = failures_of({}, metrics);
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_TRUE(failures[0].starts_with("static, not improved: codes_mismatched: expected <= 0, got 2 of 0"))
      << failures[0];

  // An improvement after which the model is far worse fails the run.
  metrics.not_improved = Int8Result{.name = "static, not improved", .test_accuracy = 0.99};
  metrics.int8->test_accuracy = 0.7;
  metrics.fp32.was_trained_before = false;
  metrics.fp32.steps = 0;
  ASSERT_EQ(failures_of({}, metrics).size(), 1U);
  EXPECT_TRUE(failures_of({}, metrics)[0].starts_with("int8: 29.0 points below static, not improved"));
}

TEST(Metrics, AChangeOfNothingHasNoSign) {
  Metrics metrics = example();
  metrics.int8->test_accuracy = metrics.fp32.test_accuracy - 1e-6;
  EXPECT_NE(report::to_text(metrics).find("    +0.00 "), std::string::npos) << report::to_text(metrics);
  EXPECT_EQ(report::to_text(metrics).find("-0.00 "), std::string::npos) << report::to_text(metrics);
  metrics.targets = data::TargetKind::kValues;
  EXPECT_NE(report::to_text(metrics).find("  +0.0000 "), std::string::npos) << report::to_text(metrics);
}

TEST(Metrics, AbsentModelsAreNull) {
  Metrics metrics = example();
  metrics.int8.reset();
  const nlohmann::json json = report::to_json(metrics);
  EXPECT_TRUE(json["int8"].is_null());
  EXPECT_TRUE(json["qat"].is_null());
  EXPECT_TRUE(json["verify"].is_null());
  EXPECT_EQ(json["check"]["passed"], true);
}

TEST(Metrics, Separators) {
  EXPECT_EQ(report::with_separators(0), "0");
  EXPECT_EQ(report::with_separators(999), "999");
  EXPECT_EQ(report::with_separators(1000), "1,000");
  EXPECT_EQ(report::with_separators(-1234567), "-1,234,567");
}

}  // namespace
}  // namespace detent::evaluation::metrics_test
