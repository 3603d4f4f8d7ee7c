// Promise 1: with observers frozen, the fake-quantized and the converted model give the same codes.

#include <gtest/gtest.h>

#include <filesystem>

#include "detent/core/threads/parallel.h"
#include "detent/nn/model_file.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/quantizers/measure.h"
#include "tests/quant/qat_fixture.h"

namespace detent::exactness_test {
namespace {

using test::everything_net;
using test::random_images;
using test::random_labels;

nn::Graph trained(std::uint64_t seed, const quant::QConfigMapping& mapping, int steps = 6) {
  nn::Graph net = everything_net();
  net.initialize(seed);
  nn::Graph qat = quant::prepare_qat(net, mapping);
  for (int step = 0; step < steps; ++step) {
    if (step == steps / 2) {
      quant::freeze_batch_norm(qat);
    }
    const auto index = static_cast<std::uint64_t>(step);
    test::train_step(qat, random_images({12, 12, 3}, 10, seed * 100 + index, -1.0F, 1.0F),
                     random_labels(10, 5, seed * 100 + index), 0.05F, index);
  }
  quant::freeze_observers(qat);
  return qat;
}

evaluation::VerifyReport compare(const nn::Graph& qat, const runtime::Model& int8, std::uint64_t seed,
                                 std::int64_t batch = 16) {
  evaluation::Verifier verifier(qat, int8);
  const Tensor images = random_images({12, 12, 3}, 48, seed, -1.5F, 1.5F);
  for (std::int64_t first = 0; first < 48; first += batch) {
    verifier.feed(images.rows(first, std::min<std::int64_t>(first + batch, 48)));
  }
  return verifier.report();
}

class Exactness : public testing::TestWithParam<int> {};

TEST_P(Exactness, ConvertedModelGivesTheTrainedCodes) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  quant::QConfig config;
  if (seed % 3 == 1) {
    config.weight.granularity = quant::PerTensor{};
    config.range = quant::RangeUse::Current;
  }
  if (seed % 3 == 2) {
    config.weight.grid.bits = 4;
    config.activation.grid.bits = 5;
    config.backward = DType::F32;
  }
  const nn::Graph qat = trained(seed, quant::QConfigMapping(config));
  const quant::Converted converted = quant::convert(qat);
  const evaluation::VerifyReport report = compare(qat, converted.model, seed);
  EXPECT_EQ(report.codes_mismatched, 0) << "seed " << seed << '\n' << evaluation::to_text(report);
  EXPECT_EQ(report.predictions_changed, 0) << "seed " << seed;
  EXPECT_EQ(report.images, 48);
  EXPECT_GT(report.codes_compared, 48 * 2000);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Exactness, testing::Range(0, 9));

// Rules that see the values, of weights and of activations, while a batch norm takes the batch's statistics and later.
TEST(Exactness, WithEveryRangeRule) {
  for (const char* const rule : {"min-max", "percentile 99", "fixed -3 3", "histogram"}) {
    for (const quant::RangeUse use : {quant::RangeUse::Previous, quant::RangeUse::Current}) {
      SCOPED_TRACE(rule);
      quant::QConfig config{.weight = quant::parse_weight_quantizer(std::string("int6 ") + rule),
                            .activation = quant::parse_activation_quantizer(std::string("uint8 ") + rule),
                            .range = use};
      const nn::Graph qat = trained(21, quant::QConfigMapping(config));
      const evaluation::VerifyReport report = compare(qat, quant::convert(qat).model, 21);
      EXPECT_EQ(report.codes_mismatched, 0) << evaluation::to_text(report);
      EXPECT_EQ(quant::range_reports(qat)[0].range.min > -0.999F, std::string(rule) == "percentile 99");
    }
  }
}

// A quantizer sees the very values whose range it is told: those of no rule clip.
TEST(Exactness, ValuesSpanTheRangeThatIsSeen) {
  quant::QConfig values;
  values.activation.range = {"percentile", {100}};
  quant::QConfig extremes;
  extremes.activation.range = {"min-max", {}};
  const auto ranges_of = [](const quant::QConfig& config) {
    std::vector<MinMax> ranges;
    for (const quant::RangeReport& report : quant::range_reports(trained(22, quant::QConfigMapping(config), 1))) {
      ranges.push_back(report.range);
    }
    return ranges;
  };
  EXPECT_EQ(ranges_of(values), ranges_of(extremes));
}

TEST(Exactness, StaticQuantizationToo) {
  nn::Graph net = everything_net();
  net.initialize(3);
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
  test::infer(prepared, random_images({12, 12, 3}, 32, 5, -1.0F, 1.0F));
  quant::freeze_observers(prepared);
  const evaluation::VerifyReport report = compare(prepared, quant::convert(prepared).model, 7);
  EXPECT_EQ(report.codes_mismatched, 0) << evaluation::to_text(report);
}

TEST(Exactness, SurvivesFiles) {
  const nn::Graph qat = trained(11, quant::QConfigMapping());
  const TempFolder folder;
  nn::save_model({.graph = qat, .kind = "qat"}, folder / "exact_qat.h5");
  runtime::save_model({.model = quant::convert(qat).model}, folder / "exact_int8.h5");
  const nn::Model read_qat = nn::load_model(folder / "exact_qat.h5", quant::factories_of());
  const runtime::ModelFile read_int8 = runtime::load_model(folder / "exact_int8.h5");
  EXPECT_EQ(compare(read_qat.graph, read_int8.model, 2).codes_mismatched, 0);
  EXPECT_EQ(compare(qat, read_int8.model, 2).codes_mismatched, 0);
  EXPECT_EQ(compare(qat, read_int8.model, 2).codes_sha256, compare(read_qat.graph, read_int8.model, 2).codes_sha256);
}

TEST(Exactness, ADifferentCodeIsFoundAndNamed) {
  const nn::Graph qat = trained(4, quant::QConfigMapping());
  runtime::Model int8 = quant::convert(qat).model;
  Tensor& weight = test::op_of<runtime::Product>(int8, "conv2").weight;
  std::ranges::fill(weight.data<std::int8_t>().first(3 * 3 * 8), std::int8_t{0});  // of the first channel
  const evaluation::VerifyReport report = compare(qat, int8, 4);
  EXPECT_FALSE(report.passed());
  ASSERT_FALSE(report.first.empty());
  EXPECT_EQ(report.first[0].layer, "conv2");
  EXPECT_EQ(report.first[0].index % 16, 0) << "only channel 0 differs";
  EXPECT_NE(evaluation::to_text(report).find("conv2: image "), std::string::npos) << evaluation::to_text(report);
}

TEST(Exactness, ModelsOfOtherShapeAreRefused) {
  nn::Graph other = test::plain_net();
  other.initialize(1);
  nn::Graph prepared = quant::prepare(other, quant::QConfigMapping());
  test::infer(prepared, random_images({8, 8, 1}, 4, 1));
  quant::freeze_observers(prepared);
  EXPECT_THROW(evaluation::Verifier(trained(1, quant::QConfigMapping(), 1), quant::convert(prepared).model), Error);
}

TEST(Exactness, TheDigestDependsOnTheModelAndTheImagesAlone) {
  const nn::Graph qat = trained(5, quant::QConfigMapping());
  const runtime::Model int8 = quant::convert(qat).model;
  const std::string digest = compare(qat, int8, 1).codes_sha256;
  EXPECT_EQ(digest.size(), 64U);
  EXPECT_EQ(compare(qat, int8, 1, 7).codes_sha256, digest) << "another batch size";
  ThreadPool pool(3);
  std::string in_pool;
  pool.run([&] { in_pool = compare(qat, int8, 1).codes_sha256; });
  EXPECT_EQ(in_pool, digest) << "three threads";
  EXPECT_NE(compare(qat, int8, 2).codes_sha256, digest) << "other images";
}

TEST(Exactness, TrainingGivesTheSameBitsAtAnyNumberOfThreads) {
  const auto weights = [](int threads) {
    std::vector<float> all;
    ThreadPool pool(threads);
    pool.run([&] {
      nn::Graph qat = trained(8, quant::QConfigMapping());
      for (const nn::NamedParameter& named : qat.parameters()) {
        const std::span<const float> values = named.parameter->value.data<float>();
        all.insert(all.end(), values.begin(), values.end());
      }
    });
    return all;
  };
  const std::vector<float> one = weights(1);
  for (const int threads : {2, 3}) {
    const std::vector<float> several = weights(threads);
    ASSERT_EQ(one.size(), several.size());
    EXPECT_EQ(std::memcmp(one.data(), several.data(), one.size() * sizeof(float)), 0) << threads << " threads";
  }
}

}  // namespace
}  // namespace detent::exactness_test
