#include "detent/evaluation/drift/monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "detent/core/threads/parallel.h"
#include "detent/quant/passes/lower.h"
#include "detent/report/drift/drift_json.h"
#include "detent/report/drift/drift_table.h"
#include "tests/quant/qat_fixture.h"

namespace detent::monitor_test {
namespace {

using namespace evaluation;
using testing::ElementsAre;
using testing::HasSubstr;

nn::Graph small_net() {
  nn::Graph net;
  auto x = net.input({6, 6, 1});
  x = net.conv2d(x, {.out_channels = 4, .kernel = 3, .name = "conv1"});
  x = net.relu(x);
  x = net.max_pool(x, {.kernel = 2});
  x = net.flatten(x);
  x = net.linear(x, {.out_features = 3, .name = "fc1"});
  net.output(x);
  net.initialize(1);
  return net;
}

data::Dataset images_of(const Tensor& examples) {
  return {
      .name = "images", .examples = examples, .labels = Tensor::zeros({examples.shape()[0]}, DType::S32), .classes = 3};
}

/// An int8 model, its prepared form, and its distributions on 400 images.
struct Trained {
  quant::OpenedModel qat{.kind = "qat"};
  runtime::Model int8 = {};
  data::Dataset train = images_of(test::random_images({6, 6, 1}, 400, 3));
  ModelDistributions reference = {};

  Trained() {
    nn::Graph prepared = quant::prepare(small_net(), quant::QConfigMapping());
    test::infer(prepared, train.examples);
    quant::freeze_observers(prepared);
    int8 = quant::convert(prepared).model;
    qat.content = std::move(prepared);
    Reporter silent;
    reference = distributions_of(int8, train, {}, silent);
  }
  Drift on(const Tensor& examples, const DriftBounds& bounds = {}) const {
    Reporter silent;
    return drift_of(int8, reference, images_of(examples), {}, {}, bounds, silent);
  }
};

std::vector<std::string> names_in(const Drift& drift, DriftState state) {
  std::vector<std::string> names;
  for (const ValueDrift& value : drift.values) {
    if (value.state == state) {
      names.push_back(value.name);
    }
  }
  return names;
}

Tensor changed(const Tensor& examples, const std::function<float(float)>& change) {
  Tensor result = examples.clone();
  for (float& x : result.data<float>()) {
    x = change(x);
  }
  return result;
}

TEST(WatchedValues, AreTheInputAndWhatComputes) {
  const Trained trained;
  std::vector<std::string> names;
  for (const WatchedValue& place : watched_values(trained.int8)) {
    names.push_back(place.name);
  }
  EXPECT_THAT(names, ElementsAre("input", "input_quantize", "conv1", "fc1")) << "no max-pool, reshape, dequantize";
  EXPECT_EQ(trained.reference.codes.size(), 3U);
  EXPECT_EQ(trained.reference.reals.size(), 1U);
  EXPECT_EQ(trained.reference.examples, 400);

  nn::Graph rows;
  auto x = rows.input({3});
  rows.output(rows.linear(x, {.out_features = 2, .name = "fc1"}));
  rows.initialize(1);
  names.clear();
  for (const WatchedValue& place : watched_values(quant::lower(rows))) {
    names.push_back(place.name);
  }
  EXPECT_THAT(names, ElementsAre("input[0]", "input[1]", "input[2]", "fc1"));
}

TEST(Distributions, AreThoseOfTheGraphThatTrained) {
  const Trained trained;
  Reporter silent;
  EXPECT_EQ(distributions_of(runnable(trained.qat), trained.train, {}, silent), trained.reference);
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    pool.run([&] { EXPECT_EQ(distributions_of(trained.int8, trained.train, {}, silent), trained.reference); });
  }
  // By hand: the codes of the one value that only quantizes.
  CodeCount counts = {};
  const std::size_t node = test::index_of(trained.int8, "input_quantize");
  const QParams& map = *trained.int8.nodes[node].output.qparams;
  for (const float real : trained.train.examples.data<float>()) {
    ++counts[static_cast<std::size_t>(std::clamp(
        std::nearbyint(real / map.tensor().scale) + static_cast<float>(map.tensor().zero_point), 0.0F, 255.0F))];
  }
  EXPECT_EQ(trained.reference.codes.at("input_quantize"), distribution_of(counts, map));
}

TEST(Drift, OfTheSameDataIsNone) {
  const Trained trained;
  const Drift same = trained.on(trained.train.examples);
  EXPECT_TRUE(same.verdict.failures.empty());
  EXPECT_THAT(report::to_text(same), testing::Not(HasSubstr("chance")));
  for (const ValueDrift& value : same.values) {
    EXPECT_EQ(value.psi, 0.0) << value.name;
    EXPECT_EQ(value.ks, 0.0) << value.name;
    EXPECT_EQ(value.mean_shift, 0.0) << value.name;
    EXPECT_EQ(value.unseen, 0.0) << value.name;
    EXPECT_EQ(value.saturated, value.saturated_before) << value.name;
    EXPECT_EQ(value.shares, value.shares_before) << value.name;
    EXPECT_EQ(value.shares.size(), value.bounds.size() + 1) << value.name;
  }
  const Drift others = trained.on(test::random_images({6, 6, 1}, 200, 4));
  EXPECT_THAT(names_in(others, DriftState::Stable), testing::SizeIs(4)) << report::to_text(others);
}

TEST(Drift, OfShiftedDataNamesTheLayers) {
  const Trained trained;
  const Tensor fresh = test::random_images({6, 6, 1}, 200, 4);
  const Drift brighter = trained.on(changed(fresh, [](float x) { return 1.3F * x; }));
  ASSERT_NE(brighter.first(DriftState::Left), nullptr) << report::to_text(brighter);
  EXPECT_EQ(brighter.first(DriftState::Left)->name, "input");
  const ValueDrift& codes = brighter.values[1];
  EXPECT_EQ(codes.name, "input_quantize");
  EXPECT_EQ(codes.state, DriftState::Left);
  EXPECT_NEAR(codes.saturated, 0.3 / 1.3, 0.02) << "above the largest that was seen, 1";
  EXPECT_LT(codes.saturated_before, 0.01);
  EXPECT_NEAR(brighter.values[0].unseen, 0.3 / 1.3, 0.02);
  EXPECT_NEAR(brighter.values[0].mean_shift, 0.15 * std::sqrt(12.0), 0.06);

  const Drift dark = trained.on(changed(fresh, [](float) { return 0.0F; }));
  EXPECT_THAT(names_in(dark, DriftState::Left), ElementsAre("input", "input_quantize", "conv1", "fc1"))
      << report::to_text(dark);
  EXPECT_THAT(dark.verdict.failures[2], testing::StartsWith("conv1: psi: expected <= 0.25, got "));
}

TEST(Drift, OfOneLayerAloneIsFoundThere) {
  Trained trained;
  auto& product = test::op_of<runtime::Product>(trained.int8, "fc1");
  Tensor bias = product.bias.clone();
  for (std::int32_t& b : bias.data<std::int32_t>()) {
    b += 1 << 16;
  }
  product.bias = bias;
  const Drift drift = trained.on(trained.train.examples);
  EXPECT_THAT(names_in(drift, DriftState::Left), ElementsAre("fc1"));
  EXPECT_THAT(names_in(drift, DriftState::Stable), ElementsAre("input", "input_quantize", "conv1"));
}

TEST(Drift, KeepsToTheBoundsThatAreGiven) {
  const Trained trained;
  const Tensor fresh = test::random_images({6, 6, 1}, 200, 4);
  const Tensor warmer = changed(fresh, [](float x) { return 0.9F * x + 0.1F; });
  const DriftBounds loose{.moved = 0.05, .max_psi = 100.0, .max_ks = {}, .max_saturation = {}};
  const Drift moved = trained.on(warmer, loose);
  EXPECT_TRUE(moved.verdict.failures.empty());
  ASSERT_NE(moved.first(DriftState::Moved), nullptr) << report::to_text(moved);
  EXPECT_THAT(moved.verdict.checked, ElementsAre("psi <= 100"));
  EXPECT_THAT(report::to_text(moved), HasSubstr("values moved, within their bounds; the first: input"));
  DriftBounds mean = loose;
  mean.max_mean_shift = 0.1;
  const Drift shifted = trained.on(warmer, mean);
  EXPECT_THAT(shifted.verdict.failures, testing::Contains(HasSubstr("input: mean shift: expected <= 0.1, got 0.1")));
  EXPECT_THAT(shifted.verdict.checked, ElementsAre("psi <= 100", "mean shift <= 0.1 deviations"));
}

TEST(Drift, OfColumnsIsNamedByThem) {
  nn::Graph net;
  auto x = net.input({2});
  net.output(net.linear(x, {.out_features = 2, .name = "fc1"}));
  net.initialize(1);
  const runtime::Model model = quant::lower(net);
  const auto rows = [](const Tensor& values) {
    return data::Dataset{
        .name = "rows", .examples = values, .labels = Tensor::zeros({values.shape()[0]}, DType::S32), .classes = 2};
  };
  Reporter silent;
  const Tensor before = test::random_images({2}, 500, 1);
  const ModelDistributions reference = distributions_of(model, rows(before), {}, silent);
  Tensor after = test::random_images({2}, 300, 2);
  for (std::size_t i = 1; i < 600; i += 2) {
    after.data<float>()[i] += 0.5F;
  }
  const Drift drift = drift_of(model, reference, rows(after), {}, {"width", "height"}, {}, silent);
  EXPECT_EQ(drift.values[0].state, DriftState::Stable);
  EXPECT_EQ(drift.values[1].state, DriftState::Left);
  EXPECT_THAT(drift.verdict.failures[0], testing::StartsWith("input[1] 'height': psi: "));
  EXPECT_THAT(report::to_text(drift), HasSubstr("few examples: chance alone gives up to PSI 0.1"));
  const nlohmann::json json = report::to_json(drift);
  EXPECT_EQ(json["first_left"], "input[1]");
  EXPECT_EQ(json["values"][1]["feature"], "height");
  EXPECT_EQ(json["values"][1]["type"], "reals");
  EXPECT_FALSE(json["values"][1].contains("saturated"));
  EXPECT_EQ(json["verdict"]["passed"], false);
}

TEST(Drift, RefusesTheDistributionsOfAnotherModel) {
  const Trained trained;
  ModelDistributions other = trained.reference;
  other.codes["conv7"] = other.codes.at("conv1");
  Reporter silent;
  EXPECT_EQ(error_of([&] { drift_of(trained.int8, other, trained.train, {}, {}, {}, silent); }),
            "distributions: 'conv7' is no value of codes of the model: they are of another one");
  other = trained.reference;
  other.reals["conv1"] = other.reals.at("input");
  EXPECT_THAT(error_of([&] { drift_of(trained.int8, other, trained.train, {}, {}, {}, silent); }),
              HasSubstr("'conv1' is no real value of the model"));
}

TEST(DistributionsAttribute, GivesBackWhatItHolds) {
  const Trained trained;
  const std::string text = to_attribute(trained.reference);
  const ModelDistributions again = from_attribute(text);
  EXPECT_EQ(again.examples, 400);
  for (const auto& [name, codes] : trained.reference.codes) {
    const Distribution& read = again.codes.at(name);
    EXPECT_EQ(read.bounds, codes.bounds);
    EXPECT_EQ(read.mean, codes.mean);
    EXPECT_EQ(read.deviation, codes.deviation);
    EXPECT_NEAR(read.saturated, codes.saturated, 1e-5 + 1.0 / 65535);
    for (std::size_t i = 0; i < codes.shares.size(); ++i) {
      EXPECT_NEAR(read.shares[i], codes.shares[i], 1.0 / 65535) << name << ' ' << i;
      EXPECT_EQ(read.shares[i] > 0.0, codes.shares[i] > 0.0) << name << ' ' << i;
    }
    EXPECT_LT(stability_index(read, codes), 1e-6);
  }
  EXPECT_EQ(again.reals.at("input").bounds, trained.reference.reals.at("input").bounds);
  EXPECT_EQ(to_attribute(again), text);
  EXPECT_LT(text.size(), 90 * 4 + 160U) << "less than 100 bytes a value";
}

TEST(DistributionsAttribute, IsAsTheFormatSays) {
  ModelDistributions distributions{.examples = 2};
  distributions.codes["fc1"] =
      Distribution{.bounds = {3.0F, 200.0F}, .shares = {0.0, 0.5, 0.5}, .mean = 1.0F, .deviation = 0.0F};
  // 2 bounds, 3, 200; shares 0, 32768, 32768; saturated 0; 1.0F and 0.0F.
  EXPECT_EQ(to_attribute(distributions),
            R"({"codes":{"fc1":"AgPIAAAAgACAAAAAAIA/AAAAAA=="},"examples":2,"reals":{},"version":1})");
}

TEST(DistributionsAttribute, RefusesDamage) {
  const auto with = [](const std::string& codes) {
    return R"({"version":1,"examples":2,"codes":{"fc1":")" + codes + R"("},"reals":{}})";
  };
  EXPECT_EQ(error_of([&] { from_attribute(with("AgPIAAAAgACAAAAAAIA/AAAAAA==")); }), "no error");
  const std::vector<std::pair<TensorFile::Attribute, std::string>> damaged{
      {std::int64_t{1}, "expected a text"},
      {std::string("{"), "not JSON"},
      {std::string("[]"), "version: expected a whole number"},
      {std::string(R"({"version":2,"examples":2,"codes":{},"reals":{}})"), "version: expected 1, got 2"},
      {std::string(R"({"version":1,"examples":0,"codes":{},"reals":{}})"), "at least one example"},
      {std::string(R"({"version":1,"examples":-3,"codes":{},"reals":{}})"), "examples: expected a whole number"},
      {std::string(R"({"version":1,"examples":18446744073709551615,"codes":{},"reals":{}})"), "examples: expected"},
      {std::string(R"({"version":1,"examples":2,"codes":{}})"), "reals: expected an object"},
      {std::string(R"({"version":1,"examples":2,"codes":{"fc1":7},"reals":{}})"), "\"fc1\": expected a text, got 7"},
      {with("AgPI"), "is cut off"},
      {with("AgP"), "is cut off"},
      {with(""), "is cut off"},
      {with("AgP*AAAAgACAAAAAAIA/AAAAAA=="), "is not base64"},
      {with("Ag=IAAAAgACAAAAAAIA/AAAAAA=="), "is not base64"},
      {with("/wPIAAAAgACAAAAAAIA/AAAAAA=="), "expected at most 11 bounds, got 255"},
      {with("AsgDAAAAgACAAAAAAIA/AAAAAA=="), "expected rising bounds"},
      {with("AgPIAAAAgAAAAAAAAIA/AAAAAA=="), "expected shares of 1 together"},
      {with("AgPIAAAAgACAAAAAAIB/AAAAAA=="), "mean: expected finite numbers"},
      {with("AgPIAAAAgACAAAAAAIA/AACAvw=="), "expected a deviation of at least 0"},
      {with("AgPIAAAAgACAAAAAAIA/AAAAAAAA"), "has 2 bytes too many"}};
  for (const auto& [attribute, message] : damaged) {
    const std::string error = error_of([&text = attribute] { from_attribute(text); });
    EXPECT_THAT(error, HasSubstr(message));
    EXPECT_THAT(error, testing::StartsWith("distributions: "));
    EXPECT_THAT(error, testing::Not(HasSubstr("\n")));
  }
}

TEST(ReferenceSample, IsOfTheSeed) {
  Tensor examples = Tensor::empty({3000, 1}, DType::F32);
  for (std::size_t i = 0; i < 3000; ++i) {
    examples.data<float>()[i] = static_cast<float>(i);
  }
  const data::Dataset train = images_of(examples);
  const data::Dataset sample = reference_sample(train, 1);
  EXPECT_EQ(sample.size(), kReferenceExamples);
  const auto values_of = [](const data::Dataset& dataset) {
    const auto values = dataset.examples.data<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  EXPECT_EQ(values_of(sample), values_of(reference_sample(train, 1)));
  EXPECT_NE(values_of(sample), values_of(reference_sample(train, 2)));
  EXPECT_EQ(reference_sample(train.take(10), 1).size(), 10);
  const std::vector<std::int64_t> calibration = data::shuffled_order(3000, 1, 0);
  EXPECT_NE(values_of(sample).front(), static_cast<float>(calibration.front())) << "another order than calibration's";
}

}  // namespace
}  // namespace detent::monitor_test
