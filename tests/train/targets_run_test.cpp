#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/report/metrics_json.h"
#include "detent/report/metrics_table.h"
#include "detent/train/warnings.h"
#include "tests/data/temp_folder.h"
#include "tests/error_of.h"
#include "tests/train/table_data.h"

/// Whole runs on tables whose targets are no classes.
namespace detent::train::targets_run_test {
namespace {

using data::TargetKind;
using evaluation::Metrics;
using testing::HasSubstr;

void expect_exact(const Metrics& metrics) {
  EXPECT_GT(metrics.int8->verify.codes_compared, 0);
  EXPECT_EQ(metrics.int8->verify.codes_mismatched, 0) << to_text(metrics.int8->verify);
  EXPECT_TRUE(metrics.failures.empty()) << metrics.failures[0];
}

TEST(Targets, ARegressionEndsInInt8WithTheR2OfFloat) {
  for (const std::int64_t outputs : {1, 2}) {
    for (const std::string method : {"qat", "static"}) {
      SCOPED_TRACE(method + ", outputs: " + std::to_string(outputs));
      const TempFolder folder;
      const Metrics metrics =
          run_table(TargetKind::kValues, folder / "out",
                    {"quantize.method=" + method, "check.min_r2=0.9", "check.max_drop=0.01"}, 2, outputs);
      expect_exact(metrics);
      EXPECT_GT(metrics.fp32.test_accuracy, 0.95);
      EXPECT_NEAR(metrics.int8->test_accuracy, metrics.fp32.test_accuracy, 0.01);
      EXPECT_EQ(metrics.int8->score.columns.size(), static_cast<std::size_t>(outputs));
      if (metrics.qat) {
        EXPECT_EQ(metrics.int8->score, metrics.qat->score) << "real numbers of codes, with their scale";
      }
      EXPECT_EQ(metrics.checked, (std::vector<std::string>{"min_r2 >= 0.9", "max_drop <= 0.01"}));
    }
  }
}

TEST(Targets, FlagsEndInInt8WithTheAccuracyOfFloat) {
  for (const std::int64_t outputs : {1, 2}) {
    SCOPED_TRACE("outputs: " + std::to_string(outputs));
    const TempFolder folder;
    const Metrics metrics =
        run_table(TargetKind::kFlags, folder / "out", {"check.fp32_accuracy=0.85", "check.max_drop=0.03"}, 2, outputs);
    expect_exact(metrics);
    EXPECT_GT(metrics.fp32.test_accuracy, 0.85);
    EXPECT_NEAR(metrics.int8->test_accuracy, metrics.fp32.test_accuracy, 0.03);
    EXPECT_GE(metrics.int8->score.mean_accuracy(), metrics.int8->test_accuracy);
    EXPECT_EQ(metrics.int8->score, metrics.qat->score);
  }
}

TEST(Targets, OneAndThreeThreadsWriteTheSameBytes) {
  for (const TargetKind targets : {TargetKind::kValues, TargetKind::kFlags}) {
    const TempFolder folder;
    const std::vector<std::string> overrides{"train.epochs=2", "qat.epochs=1", "data.validation=0.2",
                                             "train.accumulate=2", "train.keep=best"};
    run_table(targets, folder / "one", overrides, 1);
    run_table(targets, folder / "three", overrides, 3);
    for (const std::string file : {"fp32.h5", "qat.h5", "int8.h5"}) {
      EXPECT_TRUE(read_text(folder / "one" / file) == read_text(folder / "three" / file)) << file;
    }
  }
}

TEST(Targets, EveryLossLearns) {
  const TempFolder folder;
  for (const std::string loss : {"mse", "l1", "huber"}) {
    const Metrics metrics =
        run_table(TargetKind::kValues, folder / "out", {"train.loss=" + loss, "quantize.method=none"});
    EXPECT_GT(metrics.fp32.test_accuracy, 0.9) << loss;
  }
  for (const std::string weights : {"\"balanced\"", "[1.0, 2.0]"}) {
    const Metrics metrics =
        run_table(TargetKind::kFlags, folder / "out", {"train.class_weights=" + weights, "quantize.method=none"});
    EXPECT_GT(metrics.fp32.test_accuracy, 0.8) << weights;
  }
  const Metrics classes =
      run_table(TargetKind::kClasses, folder / "out", {"train.class_weights=balanced", "train.label_smoothing=0.1"});
  EXPECT_GT(classes.fp32.test_accuracy, 0.85);
  EXPECT_EQ(classes.int8->verify.codes_mismatched, 0);
}

TEST(Targets, ReportsTellTheErrors) {
  const TempFolder folder;
  const Metrics values = run_table(TargetKind::kValues, folder / "values", {"data.validation=0.1"});
  const nlohmann::json json = report::to_json(values);
  EXPECT_EQ(json["targets"], "values");
  EXPECT_EQ(json["measure"], "R2");
  EXPECT_EQ(json["fp32"]["scores"]["r2"], json["fp32"]["test_accuracy"]);
  EXPECT_EQ(json["int8"]["scores"]["columns"][1]["name"], "rent");
  EXPECT_GT(json["int8"]["scores"]["columns"][1]["root_mean_squared_error"].get<double>(), 0.0);
  ASSERT_EQ(json["epochs"].size(), 16U);
  EXPECT_EQ(json["epochs"][0]["phase"], "float");
  EXPECT_EQ(json["epochs"][15]["phase"], "qat");
  EXPECT_EQ(json["epochs"][15]["epoch"], 4);
  EXPECT_LT(json["epochs"][11]["validation_loss"], json["epochs"][0]["validation_loss"]);
  EXPECT_GT(json["epochs"][11]["validation_accuracy"].get<double>(), 0.9);
  const std::string table = report::to_text(values);
  EXPECT_THAT(table, HasSubstr("                            R2   change"));
  EXPECT_THAT(table, HasSubstr("  int8, rent                error: mean absolute "));
  EXPECT_THAT(table, testing::Not(HasSubstr(" % ")));

  const Metrics flags = run_table(TargetKind::kFlags, folder / "flags", {"quantize.method=none"});
  const nlohmann::json of_flags = report::to_json(flags);
  EXPECT_EQ(of_flags["measure"], "accuracy");
  EXPECT_EQ(of_flags["fp32"]["scores"]["exact_match"], of_flags["fp32"]["test_accuracy"]);
  EXPECT_TRUE(of_flags["epochs"][0]["validation_loss"].is_null());
  EXPECT_THAT(report::to_text(flags), HasSubstr("  float                     all flags right "));
  EXPECT_TRUE(
      report::to_json(run_table(TargetKind::kClasses, folder / "classes", {"quantize.method=none"}))["fp32"]["scores"]
          .is_null());
}

TEST(Targets, ChecksAreOfTheirMeasure) {
  const TempFolder folder;
  const auto error = [&](TargetKind targets, const std::string& override) {
    return error_of([&] { run_table(targets, folder / "refused", {override}); });
  };
  EXPECT_EQ(
      error(TargetKind::kValues, "check.int8_accuracy=0.9"),
      "table: [check] fp32_accuracy and int8_accuracy: the targets of table train are values, whose measure is R2; "
      "write min_r2");
  EXPECT_EQ(error(TargetKind::kClasses, "check.min_r2=0.9"),
            "table: [check] min_r2: the targets of table train are classes; write fp32_accuracy and int8_accuracy");
  EXPECT_THAT(error(TargetKind::kFlags, "qat.distill=0.5"), HasSubstr("[qat] distill: is for classes"));
  EXPECT_THAT(error(TargetKind::kValues, "train.loss=cross_entropy"), HasSubstr("are values; write loss = \"auto\""));
  EXPECT_THAT(error(TargetKind::kValues, "train.keep=best"), HasSubstr("write [data] validation = 0.1"));
  EXPECT_THAT(error(TargetKind::kValues, "train.patience=3"), HasSubstr("[train] patience goes by a part"));
  EXPECT_FALSE(std::filesystem::exists(folder / "refused")) << "something was done before the check";
  const Metrics poor = run_table(TargetKind::kValues, folder / "poor",
                                 {"check.min_r2=0.9999", "quantize.method=none", "train.epochs=1"});
  ASSERT_EQ(poor.failures.size(), 1U);
  EXPECT_THAT(poor.failures[0], HasSubstr("min_r2: float: expected >= 0.9999, got 0."));
}

TEST(Targets, OutOfScaleAreWarnedOf) {
  data::Dataset train = table(TargetKind::kValues, 200, 1, 2);
  const auto warnings = [&] { return warnings_before({}, train, train); };
  EXPECT_TRUE(warnings().empty()) << warnings()[0];
  for (std::size_t at = 1; at < 400; at += 2) {
    train.labels.data<float>()[at] = 1000.0F + train.labels.data<float>()[at];
  }
  ASSERT_EQ(warnings().size(), 1U);
  EXPECT_THAT(warnings()[0], HasSubstr("the target \"rent\" has mean 1000 and standard deviation 0."));
  data::Dataset flags = table(TargetKind::kFlags, 200, 1, 2);
  for (std::size_t at = 0; at < 400; at += 2) {
    flags.labels.data<float>()[at] = 0.0F;
  }
  EXPECT_EQ(warnings_before({}, flags, flags)[0],
            "the training part has no example with flag price: they cannot be learned");
}

TEST(Targets, AModelIsEvaluatedOnTargetsOfItsKind) {
  const TempFolder folder;
  run_table(TargetKind::kValues, folder / "out", {"quantize.method=none", "train.epochs=1"});
  const auto trained = std::get<std::string>(nn::load_model(folder / "out" / "fp32.h5").attributes.at("targets"));
  EXPECT_EQ(trained, "values");
}

}  // namespace
}  // namespace detent::train::targets_run_test
