#include "detent/evaluation/evidence/errors.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "detent/evaluation/evidence/evidence.h"
#include "detent/report/evidence/evidence_json.h"
#include "detent/report/evidence/evidence_table.h"
#include "tests/error_of.h"

namespace detent::evaluation::errors_test {
namespace {

using data::TargetKind;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Errors, AreMeansOverTheTargetsOfAnExample) {
  const Tensor outputs = Tensor::from<float>({1.0F, 2.0F, -3.0F, 0.5F}, {2, 2});
  std::vector<float> errors;
  append_errors(outputs, Tensor::from<float>({1.5F, 1.0F, -3.0F, 0.5F}, {2, 2}), TargetKind::kValues, errors);
  EXPECT_THAT(errors, ElementsAre(0.75F, 0.0F));
  errors.clear();
  append_errors(outputs, Tensor::from<float>({1.0F, 0.0F, 1.0F, 1.0F}, {2, 2}), TargetKind::kFlags, errors);
  EXPECT_THAT(errors, ElementsAre(0.5F, 0.5F)) << "above 0 is yes";
  EXPECT_THAT(error_of([&] {
                append_errors(outputs, Tensor::zeros({2, 1}, DType::F32), TargetKind::kValues, errors);
              }),
              HasSubstr("errors: expected outputs of shape"));
}

// By hand: differences 1, 2 and 3: mean 2, deviation 1.
TEST(Errors, ChangeByTheMeanOfTheirDifferences) {
  const std::vector<float> a{0, 9, 1, 2}, b{1, 9, 3, 5};
  const ErrorChange change = error_change_in({.name = "mine", .examples = {0, 2, 3}}, a, b);
  EXPECT_EQ(change.slice, "mine");
  EXPECT_EQ(change.examples, 3);
  EXPECT_DOUBLE_EQ(change.error_a, 1.0);
  EXPECT_DOUBLE_EQ(change.error_b, 3.0);
  EXPECT_DOUBLE_EQ(change.change(), 2.0);
  EXPECT_NEAR(change.interval.low, 2.0 - 1.959964 / std::sqrt(3.0), 1e-12);
  EXPECT_NEAR(change.interval.high, 2.0 + 1.959964 / std::sqrt(3.0), 1e-12);
  EXPECT_EQ(error_change_in({.name = "one", .examples = {3}}, a, b).interval.low, 3.0);
}

TEST(Errors, StandInTheEvidenceInPlaceOfAccuracies) {
  runtime::Model same;
  same.inputs = {{"x", {.shape = {1}}}};
  same.nodes.push_back({.name = "y", .op = runtime::Reshape{}, .inputs = {0}, .output = {.shape = {1}}});
  same.output = 1;
  const quant::OpenedModel model{.kind = "int8", .content = same};
  const data::Dataset rows{.name = "rows",
                           .examples = Tensor::zeros({4, 1}, DType::F32),
                           .labels = Tensor::zeros({4, 1}, DType::F32),
                           .classes = 1,
                           .targets = TargetKind::kValues,
                           .columns = {{.name = "site", .texts = {"a", "a", "b", "b"}}}};
  std::vector<EvaluatedModel> models;
  for (const auto& [name, errors] :
       {std::pair("a.h5", std::vector<float>{1, 1, 1, 1}), std::pair("b.h5", std::vector<float>{1, 1, 2, 4})}) {
    Evaluation evaluation;
    evaluation.predictions.resize(4);
    evaluation.errors = errors;
    models.push_back({.name = name, .model = &model, .evaluation = evaluation});
  }
  const Evidence evidence = collect_evidence(models, rows, {.speed = {}});
  ASSERT_EQ(evidence.pairs.size(), 1U);
  EXPECT_TRUE(evidence.pairs[0].slices.empty());
  ASSERT_TRUE(evidence.pairs[0].whole_error.has_value());
  EXPECT_EQ(evidence.pairs[0].whole_error->error_b, 2.0);
  ASSERT_EQ(evidence.pairs[0].slice_errors.size(), 2U);
  EXPECT_EQ(evidence.pairs[0].slice_errors[1].slice, "site = b");
  EXPECT_EQ(evidence.pairs[0].slice_errors[1].change(), 2.0);
  const nlohmann::json json = report::to_json(evidence);
  EXPECT_EQ(json["models"]["b.h5"]["error"], 2.0);
  EXPECT_FALSE(json["models"]["b.h5"].contains("accuracy"));
  EXPECT_EQ(json["pairs"][0]["change"], 1.0);
  EXPECT_EQ(json["pairs"][0]["slices"][1]["error_b"], 3.0);
  EXPECT_THAT(report::to_text(evidence),
              testing::ContainsRegex("slice +examples.*\n  all +4 +1 +2 +\\+1.*\n  site = b +2 +1 +3 +\\+2"));
  EXPECT_THAT(report::brief_text(evidence), HasSubstr("b.h5 against a.h5: mean error 2, was 1 (+1)"));
  EXPECT_THAT(error_of([&] { verdict_of({.max_flips = 0.1}, evidence); }), HasSubstr("the targets are values"));
}

}  // namespace
}  // namespace detent::evaluation::errors_test
