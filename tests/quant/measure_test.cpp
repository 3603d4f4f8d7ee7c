// What ranges do to values: counted by measured passes, and widened where much is clipped.
#include "detent/quant/quantizers/measure.h"
#include "detent/kernels/codes/quantize.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "detent/nn/model_file.h"
#include "detent/quant/kinds/quantize.h"
#include "tests/quant/qat_fixture.h"

namespace detent::measure_test {
namespace {

using quant::RangeReport;
using testing::HasSubstr;

constexpr CodeRange kUnclamped{-1'000'000, 1'000'000};

quant::FakeQuant& output_of(const nn::Graph& graph, std::string_view name) {
  return dynamic_cast<quant::QuantizedOutput&>(*graph.node(name).module).output();
}

/// input - quantize - linear (+ relu) - dequantize, whose ranges are as given.
nn::Graph narrow_net(MinMax input, MinMax output, bool relu, int bits) {
  nn::Graph net;
  auto x = net.linear(net.input({6}), {.out_features = 5, .name = "fc"});
  net.output(relu ? net.relu(x) : x);
  net.initialize(3);
  quant::QConfig config;
  config.activation.grid.bits = bits;
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config));
  output_of(qat, "input_quantize").observe(input, 32);
  output_of(qat, "fc").observe(output, 32);
  return qat;
}

struct Counts {
  std::int64_t clipped = 0;
  std::int64_t nonzero = 0;
  void add(double real_over_scale, std::int32_t zero_point, CodeRange codes) {
    const std::int32_t code = quantize(static_cast<float>(real_over_scale), {1.0F, zero_point}, kUnclamped);
    clipped += code < codes.qmin || code > codes.qmax ? 1 : 0;
    nonzero += std::clamp(code, codes.qmin, codes.qmax) != zero_point ? 1 : 0;
  }
};

// Against the definition, with reals in double.
TEST(Measure, CountsWhatLiesOutsideOfTheCodes) {
  for (const bool relu : {false, true}) {
    for (const int bits : {8, 4}) {
      SCOPED_TRACE(testing::Message() << "relu " << relu << ", bits " << bits);
      nn::Graph qat = narrow_net({-0.5F, 0.7F}, {relu ? 0.0F : -0.1F, 0.15F}, relu, bits);
      auto& fc = dynamic_cast<quant::QatProduct&>(*qat.node("fc").module);
      const ScaleZero in = output_of(qat, "input_quantize").map();
      const ScaleZero out = fc.output().map();
      const CodeRange codes = fc.output().codes();
      const Tensor images = test::random_images({6}, 200, 11, -1.0F, 1.0F);

      Counts input;
      Counts output;
      const std::span<const float> bias = fc.bias().value.data<float>();
      const quant::QuantizedWeight weight =
          quant::quantize_weight(fc.weight().value, bias, in.scale, quant::int8_weights());
      for (std::size_t n = 0; n < 200; ++n) {
        const std::span<const float> row = images.data<float>().subspan(n * 6, 6);
        for (const float x : row) {
          input.add(x / in.scale, in.zero_point, codes);
        }
        for (std::size_t o = 0; o < 5; ++o) {
          const double unit = double{in.scale} * weight.qparams.scale[o];
          double sum = std::nearbyint(bias[o] / unit);
          for (std::size_t k = 0; k < 6; ++k) {
            sum += (quantize(row[k], in, codes) - in.zero_point) * weight.codes.data<std::int8_t>()[o * 6 + k];
          }
          const double real = relu ? std::max(0.0, sum * unit) : sum * unit;
          output.add(real / out.scale, out.zero_point, codes);
        }
      }
      quant::set_measuring(qat, true);
      const Tensor measured_output = test::infer(qat, images.rows(0, 90));
      test::infer(qat, images.rows(90, 200));
      quant::set_measuring(qat, false);
      const std::vector<RangeReport> reports = quant::range_reports(qat);
      ASSERT_EQ(reports.size(), 2U);
      EXPECT_EQ(reports[0].name, "input_quantize");
      EXPECT_EQ(reports[0].range, (MinMax{-0.5F, 0.7F}));
      EXPECT_EQ(reports[0].measured.clipped, input.clipped);
      EXPECT_EQ(reports[0].measured.nonzero, input.nonzero);
      EXPECT_EQ(reports[0].measured.seen, kernels::min_max(images.data<float>()));
      EXPECT_EQ(reports[1].name, "fc");
      EXPECT_EQ(reports[1].measured.clipped, output.clipped);
      EXPECT_EQ(reports[1].measured.nonzero, output.nonzero);
      EXPECT_GT(output.clipped, 50);

      // Measuring changes nothing.
      const Tensor plain = test::infer(qat, images.rows(0, 90));
      for (std::size_t i = 0; i < static_cast<std::size_t>(plain.elements()); ++i) {
        ASSERT_EQ(measured_output.data<float>()[i], plain.data<float>()[i]) << i;
      }
      EXPECT_EQ(quant::range_reports(qat)[0].measured.nonzero, input.nonzero) << "counted when not measuring";
    }
  }
}

TEST(Measure, WidensOnlyWhatClipsMuch) {
  nn::Graph qat = narrow_net({0.0F, 0.25F}, {-50.0F, 50.0F}, false, 8);
  const Tensor images = test::random_images({6}, 100, 11, 0.0F, 1.0F);
  const auto measure = [&] {
    quant::set_measuring(qat, true);
    test::infer(qat, images);
    quant::set_measuring(qat, false);
  };
  measure();
  EXPECT_NEAR(quant::range_reports(qat)[0].measured.clipped_share(), 0.75, 0.05);
  EXPECT_EQ(quant::widen_clipped(qat, 0.9), 0);
  EXPECT_EQ(quant::widen_clipped(qat), 1);
  EXPECT_EQ(output_of(qat, "input_quantize").range(), (MinMax{0.0F, kernels::min_max(images.data<float>()).max}));
  EXPECT_EQ(output_of(qat, "fc").range(), (MinMax{-50.0F, 50.0F}));
  measure();
  EXPECT_EQ(quant::range_reports(qat)[0].measured.clipped, 0);
  EXPECT_EQ(quant::widen_clipped(qat), 0);
  quant::freeze_observers(qat);
  measure();
  EXPECT_EQ(quant::range_reports(qat)[0].measured.clipped, 0) << "frozen ranges can be measured, too";
}

// A pass for each quantizer in a row, at most.
TEST(Measure, RangesBehindAWidenedOneAreWidenedNext) {
  nn::Graph net = test::everything_net();
  net.initialize(5);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  test::train_step(qat, test::random_images({12, 12, 3}, 32, 1, 0.0F, 0.01F), test::random_labels(32, 5, 1), 0.0F);
  const Tensor images = test::random_images({12, 12, 3}, 64, 2, -1.0F, 1.0F);
  const std::size_t quantizers = quant::range_reports(qat).size();
  std::size_t passes = 0;
  do {
    quant::set_measuring(qat, true);
    test::infer(qat, images);
    quant::set_measuring(qat, false);
    ASSERT_LE(++passes, quantizers + 1);
  } while (quant::widen_clipped(qat) > 0);
  EXPECT_GT(passes, 1U);
  for (const RangeReport& report : quant::range_reports(qat)) {
    EXPECT_LE(report.measured.clipped_share(), quant::kClippedShare) << report.name;
  }
}

TEST(Measure, RefusesWhatHasNoCodes) {
  nn::Graph net = test::plain_net();
  net.initialize(1);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  EXPECT_THROW(quant::set_measuring(qat, true), Error) << "no range yet";
  nn::Graph calibrating = quant::prepare(net, quant::QConfigMapping());
  test::infer(calibrating, test::random_images({8, 8, 1}, 4, 1));
  EXPECT_THROW(quant::set_measuring(calibrating, true), Error) << "its values are real";
}

// Every kind of quantizer names itself where all that it was given is not finite.
TEST(Observing, NamesTheModuleThatSawNothingFinite) {
  nn::Graph net = test::everything_net();
  net.initialize(5);
  const Tensor nan = Tensor::full({4, 12, 12, 3}, DType::F32, std::numeric_limits<float>::quiet_NaN());
  const auto message_of = [](const auto& act) {
    try {
      act();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  for (const bool is_current : {false, true}) {
    quant::QConfig config;
    config.range = is_current ? quant::RangeUse::Current : quant::RangeUse::Previous;
    nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config));
    EXPECT_THAT(message_of([&] { test::train_step(qat, nan, test::random_labels(4, 5, 1), 0.1F); }),
                HasSubstr("input_quantize: it saw no finite value"));
    EXPECT_THAT(message_of([&] { quant::freeze_observers(qat); }),
                HasSubstr("input_quantize: freeze: it saw no finite value"));
  }
  nn::Graph calibrating = quant::prepare(net, quant::QConfigMapping());
  test::infer(calibrating, nan);
  EXPECT_THAT(message_of([&] { quant::freeze_observers(calibrating); }),
              HasSubstr("input_quantize: freeze: it saw no finite value"));
}

TEST(Observing, FilesFromBeforeThereWereWindowsLoad) {
  nn::Graph net = test::plain_net();
  net.initialize(1);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  test::train_step(qat, test::random_images({8, 8, 1}, 4, 1), test::random_labels(4, 3, 1), 0.1F);
  TensorFile file = nn::to_file({.graph = qat, .kind = "qat"});
  ASSERT_EQ(file.tensors["parameters/conv/output_window_examples"].data<std::int32_t>()[0], 4);
  std::erase_if(file.tensors, [](const auto& entry) { return entry.first.find("output_window") != std::string::npos; });
  const nn::Model old = nn::from_file(std::move(file), quant::factories_of());
  EXPECT_EQ(output_of(old.graph, "conv").range(), output_of(qat, "conv").range());
}

}  // namespace
}  // namespace detent::measure_test
