// Activations and concatenation on codes: what their tables hold, how their gradients flow, and that what trained
// ships.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/quant/kinds/ops/function_of_codes.h"
#include "detent/quant/kinds/ops/quantized_ops.h"
#include "tests/quant/qat_fixture.h"

namespace detent::functions_of_codes_test {
namespace {

void square(std::span<const double> x, std::span<double> y, std::span<double> derivative) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    y[i] = x[i] * x[i];
    if (!derivative.empty()) {
      derivative[i] = 2.0 * x[i];
    }
  }
}

TEST(FunctionOfCodes, TakesEveryCodeToTheNearestOfItsValue) {
  const ScaleZero from{0.05F, 100}, to{0.2F, 7};
  const CodeRange codes = unsigned_codes(8);
  const kernels::CodeTable table = quant::table_of(&square, from, to, codes);
  for (std::int32_t q = 0; q < 256; ++q) {
    const double x = dequantize(q, from);
    EXPECT_EQ(table[static_cast<std::size_t>(q)], quantize(static_cast<float>(x * x), to, codes)) << q;
  }
}

TEST(FunctionOfCodes, PassesGradientsWhereTheCodeLiesInRange) {
  const ScaleZero from{0.05F, 100};
  const auto map = std::make_shared<const QParams>(QParams::per_tensor({0.02F, 0}, unsigned_codes(8)));
  autograd::Tape tape;
  const autograd::Variable reals = tape.variable(Tensor::from<float>({-4.0F, -1.0F, 0.0F, 0.5F, 2.0F, 3.0F}, {2, 3}));
  const autograd::Variable x =
      quant::quantize_op(reals, std::make_shared<const QParams>(QParams::per_tensor(from, unsigned_codes(8))));
  MinMax seen;
  const autograd::Variable y = quant::function_of_codes("square", x, &square, map, &seen);
  EXPECT_EQ(seen, (MinMax{0.0F, 16.0F}));
  tape.backward(autograd::sum(quant::dequantize_op(y)));
  // 4 and 3 squared lie beyond 255 * 0.02.
  const Tensor gradient = tape.gradient(reals);
  EXPECT_THAT(gradient.data<float>(),
              testing::Pointwise(testing::FloatNear(1e-5F), {0.0F, -2.0F, 0.0F, 1.0F, 4.0F, 0.0F}));
}

TEST(FunctionOfCodes, GivesTheLowestCodeForWhatIsNoNumber) {
  const auto log = [](std::span<const double> x, std::span<double> y, std::span<double> derivative) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      y[i] = std::log(x[i]);
      if (!derivative.empty()) {
        derivative[i] = 1.0 / x[i];
      }
    }
  };
  const kernels::CodeTable table = quant::table_of(log, {0.1F, 128}, {0.05F, 100}, unsigned_codes(8));
  EXPECT_EQ(table[0], 0) << "NaN";
  EXPECT_EQ(table[128], 0) << "minus infinity";
  EXPECT_EQ(table[138], 100) << "log 1";
}

nn::Graph trained(nn::Graph net, const quant::QConfig& config) {
  net.initialize(3);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config));
  for (std::uint64_t step = 0; step < 3; ++step) {
    test::train_step(qat, test::random_images(net.input_shape(), 16, step, -1.0F, 1.0F),
                     test::random_labels(16, net.output_shape()[0], step), 0.05F, step);
  }
  quant::freeze_observers(qat);
  return qat;
}

void expect_ships(const nn::Graph& qat, const std::string& layer) {
  const quant::Converted converted = quant::convert(qat);
  const auto row = std::ranges::find(converted.ledger, layer, &quant::LedgerRow::name);
  ASSERT_NE(row, converted.ledger.end());
  EXPECT_EQ(row->precision, "int8");
  evaluation::Verifier verifier(qat, converted.model);
  verifier.feed(test::random_images(qat.input_shape(), 33, 77, -2.0F, 2.0F));
  const evaluation::VerifyReport report = verifier.report();
  EXPECT_GT(report.codes_compared, 0);
  EXPECT_EQ(report.codes_mismatched, 0) << evaluation::to_text(report);
}

TEST(OnCodes, EveryActivationShipsAsItTrained) {
  for (const auto& [name, function] : kernels::activation_names()) {
    for (const int bits : {8, 4}) {
      SCOPED_TRACE(std::string(name) + ", " + std::to_string(bits) + " bits");
      nn::Graph net;
      auto x = net.input({6, 6, 2});
      x = net.conv2d(x, {.out_channels = 5, .kernel = 3, .name = "conv"});
      x = net.max_pool(net.activation(x, function, "f"), {.kernel = 2});
      net.output(net.linear(net.flatten(x), {.out_features = 3, .name = "fc"}));
      quant::QConfig config;
      config.activation.grid.bits = bits;
      expect_ships(trained(std::move(net), config), function == kernels::Activation::Relu ? "conv" : "f");
    }
  }
}

TEST(OnCodes, ConcatShipsAsItTrained) {
  for (const char* const rule : {"moving-average", "percentile 99"}) {
    SCOPED_TRACE(rule);
    nn::Graph net;
    const auto x = net.input({6, 6, 2});
    const auto a = net.relu(net.conv2d(x, {.out_channels = 3, .kernel = 3, .padding = 1, .name = "a"}));
    const auto b = net.conv2d(x, {.out_channels = 4, .kernel = 1, .name = "b"});
    auto y = net.add(std::make_shared<nn::Concat>(nn::Concat::Options{.inputs = 3}), {a, b, x}, "concat");
    y = net.global_avg_pool(net.conv2d(y, {.out_channels = 4, .kernel = 3, .name = "c"}));
    net.output(net.linear(y, {.out_features = 3, .name = "fc"}));
    quant::QConfig config;
    config.activation = quant::parse_activation_quantizer(std::string("uint8 ") + rule);
    expect_ships(trained(std::move(net), config), "concat");
  }
}

}  // namespace
}  // namespace detent::functions_of_codes_test
