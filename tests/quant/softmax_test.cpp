// Softmax on codes: its map, its gradient, and that what trained ships.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/measure.h"
#include "tests/quant/qat_fixture.h"

namespace detent::softmax_test {
namespace {

using test::random_images;

/// Softmax in the middle and at the end, over the channels of `example`.
nn::Graph network(const Shape& example, std::int64_t outputs) {
  nn::Graph net;
  auto x = net.input(example);
  if (example.rank() == 3) {
    x = net.relu(net.conv2d(x, {.out_channels = 5, .kernel = {3, 1}, .name = "conv"}));
  }
  x = net.softmax(x, "middle");
  net.output(net.softmax(net.linear(net.flatten(x), {.out_features = outputs, .name = "fc"}), "end"));
  net.initialize(4);
  return net;
}

nn::Graph prepared(const nn::Graph& net, const quant::QConfigMapping& mapping, bool is_qat) {
  nn::Graph prepared = is_qat ? quant::prepare_qat(net, mapping) : quant::prepare(net, mapping);
  for (std::uint64_t step = 0; step < 3; ++step) {
    const Tensor images = random_images(net.input_shape(), 12, step, -2.0F, 2.0F);
    if (is_qat) {
      test::train_step(prepared, images, test::random_labels(12, net.output_shape()[0], step), 0.05F, step);
    } else {
      test::infer(prepared, images);
    }
  }
  quant::freeze_observers(prepared);
  return prepared;
}

void expect_ships(const nn::Graph& prepared, const std::vector<std::string>& in_float = {}) {
  const quant::Converted converted = quant::convert(prepared);
  for (const quant::LedgerRow& row : converted.ledger) {
    EXPECT_EQ(row.precision, std::ranges::count(in_float, row.name) == 0 ? "int8" : "float") << row.name;
  }
  for (const runtime::Model& model : {converted.model, test::through_file(converted.model)}) {
    evaluation::Verifier verifier(prepared, model);
    verifier.feed(random_images(prepared.input_shape(), 33, 77, -3.0F, 3.0F));
    const evaluation::VerifyReport report = verifier.report();
    EXPECT_GT(report.codes_compared, 0);
    EXPECT_EQ(report.codes_mismatched, 0) << evaluation::to_text(report);
    EXPECT_EQ(report.predictions_changed, 0);
  }
}

TEST(SoftmaxOnCodes, ShipsAsItTrained) {
  for (const Shape& example : {Shape{6, 5, 2}, Shape{1}, Shape{10}, Shape{1000}, Shape{2, 1, 2, 7}}) {
    for (const std::int64_t outputs : {1, 10}) {
      for (const int bits : {8, 3}) {
        for (const bool is_qat : {true, false}) {
          std::ostringstream what;
          what << example << " to " << outputs << ", " << bits << " bits, " << (is_qat ? "qat" : "static");
          SCOPED_TRACE(what.str());
          quant::QConfig config;
          config.activation.grid.bits = bits;
          expect_ships(prepared(network(example, outputs), quant::QConfigMapping(config), is_qat));
        }
      }
    }
  }
}

TEST(SoftmaxOnCodes, ShipsBesideFloat) {
  const nn::Graph net = network({6, 5, 2}, 10);
  expect_ships(prepared(net, quant::QConfigMapping().set_name("middle", std::nullopt), true), {"middle", "flatten1"});
  expect_ships(prepared(net, quant::QConfigMapping().set_name("end", std::nullopt), true), {"end"});
  expect_ships(prepared(net, quant::QConfigMapping().set_name("fc", std::nullopt), true), {"fc"});
}

TEST(SoftmaxOnCodes, HasOneMapWhateverTheRecipeSays) {
  for (const char* const text : {"uint8", "uint8 percentile 99", "uint8 fixed -3 3", "uint8 power-of-two",
                                 "uint8 min-max", "uint5 moving-average", "uint2 histogram"}) {
    for (const bool is_qat : {true, false}) {
      SCOPED_TRACE(text);
      quant::QConfig config;
      config.activation = quant::parse_activation_quantizer(text);
      const runtime::Model model =
          quant::convert(prepared(network({10}, 3), quant::QConfigMapping(config), is_qat)).model;
      for (const char* const name : {"middle", "end"}) {
        const QParams& map = *model.nodes[test::index_of(model, name)].output.qparams;
        EXPECT_EQ(map.tensor(), (ScaleZero{std::ldexp(1.0F, -config.activation.grid.bits), 0})) << name;
        EXPECT_EQ(map.codes, config.activation.codes()) << name;
      }
    }
  }
}

// What 1 becomes is the largest code: that is no range that clips, and no reason to warn.
TEST(SoftmaxOnCodes, ClipNothing) {
  nn::Graph net = network({10}, 3);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  const Tensor images = random_images({10}, 50, 5, -200.0F, 200.0F);
  test::train_step(qat, images, test::random_labels(50, 3, 5), 0.01F);
  quant::set_measuring(qat, true);
  test::infer(qat, images);
  quant::set_measuring(qat, false);
  for (const quant::RangeReport& report : quant::range_reports(qat)) {
    if (report.name == "middle") {
      EXPECT_EQ(report.measured.clipped, 0);
      EXPECT_EQ(report.measured.codes, (MinMax{0.0F, 255.0F}));
      EXPECT_GT(report.measured.nonzero, 0);
    }
  }
}

// The whole gradient from the result to the input, by definition, in double.
TEST(SoftmaxOnCodes, PassesGradientsOfTheProbabilities) {
  for (const Shape& example : {Shape{7}, Shape{3, 2, 5}}) {
    nn::Graph net;
    net.output(net.softmax(net.input(example), "softmax"));
    nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
    autograd::Tape tape;
    nn::Context context{.tape = tape, .training = true};
    const autograd::Variable x = tape.variable(random_images(example, 4, 1, -4.0F, 9.0F));
    Tensor codes;
    const autograd::Variable y = qat.forward(context, x, [&](const nn::Graph::Node& node, const nn::Variable& value) {
      codes = node.name == "input_quantize" ? value.value() : codes;
    });
    const Tensor dy = random_images(example, 4, 2, -1.0F, 1.0F);
    tape.backward(y, dy);
    const Tensor gradient = tape.gradient(x);
    const auto channels = static_cast<std::size_t>(example.extents().back());
    const double scale = double{codes.qparams()->tensor().scale};
    const auto q = codes.data<std::uint8_t>();
    for (std::size_t first = 0; first < q.size(); first += channels) {
      std::vector<double> p(channels), g(channels);
      double sum = 0, dot = 0;
      for (std::size_t c = 0; c < channels; ++c) {
        sum += p[c] = std::exp(scale * q[first + c] - scale * 255);
      }
      for (std::size_t c = 0; c < channels; ++c) {
        p[c] /= sum;
        g[c] = p[c] * 256 > 255.5 ? 0.0 : double{dy.data<float>()[first + c]};
        dot += g[c] * p[c];
      }
      for (std::size_t c = 0; c < channels; ++c) {
        ASSERT_NEAR(gradient.data<float>()[first + c], p[c] * (g[c] - dot), 1e-6) << first + c;
      }
    }
  }
}

TEST(SoftmaxOnCodes, OfABatchOfNoneIsNone) {
  nn::Graph net;
  net.output(net.softmax(net.input({4, 10})));
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  autograd::Tape tape;
  nn::Context context{.tape = tape, .training = true};
  qat.forward(context, tape.constant(random_images({4, 10}, 3, 1)));
  quant::freeze_observers(qat);
  for (nn::Graph* const graph : {&net, &qat}) {
    EXPECT_EQ(test::infer(*graph, Tensor::empty({0, 4, 10}, DType::F32)).shape(), (Shape{0, 4, 10}));
    EXPECT_EQ(test::infer(*graph, random_images({4, 10}, 1, 1)).shape(), (Shape{1, 4, 10}));
  }
}

}  // namespace
}  // namespace detent::softmax_test
