#include "detent/nn/init.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/nn/nets.h"

namespace detent::nn::init_test {
namespace {

struct Row {
  Init init;
  std::string name;
  double bound;      // of uniform; 0: normal
  double deviation;  // of all
  friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

// Weights 40 x 3 x 3 x 20: fan_in 180, fan_out 360.
class Initial : public testing::TestWithParam<Row> {};

TEST_P(Initial, HasItsDistribution) {
  const Row& row = GetParam();
  EXPECT_EQ(name_of(row.init), row.name);
  EXPECT_EQ(init_from_name(row.name), row.init);
  const Shape shape{40, 3, 3, 20};
  Tensor weight = Tensor::empty(shape, DType::F32);
  Tensor bias = Tensor::empty({4000}, DType::F32);
  RandomStream random(11, "init");
  init_weight(weight, row.init, random);
  init_bias(bias, shape, row.init, random);
  double sum = 0.0;
  double squares = 0.0;
  double largest = 0.0;
  for (const float x : weight.data<float>()) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
    largest = std::max(largest, std::abs(static_cast<double>(x)));
  }
  const auto n = static_cast<double>(weight.elements());
  EXPECT_NEAR(sum / n, 0.0, 5.0 * row.deviation / std::sqrt(n)) << row.name << ", seed 11";
  EXPECT_NEAR(std::sqrt(squares / n) / row.deviation, 1.0, 0.04) << row.name << ", seed 11";
  if (row.bound > 0.0) {
    EXPECT_LE(largest, row.bound * (1.0 + 1e-6)) << row.name;
    EXPECT_GE(largest, row.bound * 0.99) << row.name;
  }
  const auto biases = bias.data<float>();
  const auto [low, high] = std::ranges::minmax(biases);
  if (row.init == Init::Default) {
    EXPECT_NEAR(high, 1.0 / std::sqrt(180.0), 1e-3);
    EXPECT_NEAR(low, -1.0 / std::sqrt(180.0), 1e-3);
  } else {
    EXPECT_EQ(low, 0.0F);
    EXPECT_EQ(high, 0.0F);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Initial,
    testing::Values(Row{Init::Default, "default", 1.0 / std::sqrt(180.0), 1.0 / std::sqrt(540.0)},
                    Row{Init::KaimingUniform, "kaiming_uniform", std::sqrt(6.0 / 180.0), std::sqrt(2.0 / 180.0)},
                    Row{Init::KaimingNormal, "kaiming_normal", 0.0, std::sqrt(2.0 / 180.0)},
                    Row{Init::XavierUniform, "xavier_uniform", std::sqrt(6.0 / 540.0), std::sqrt(2.0 / 540.0)},
                    Row{Init::XavierNormal, "xavier_normal", 0.0, std::sqrt(2.0 / 540.0)}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(Init, CountsFansAsPyTorch) {
  EXPECT_EQ(fan_of({40, 3, 3, 20}).in, 180);
  EXPECT_EQ(fan_of({40, 3, 3, 20}).out, 360);
  EXPECT_EQ(fan_of({10, 784}).in, 784);
  EXPECT_EQ(fan_of({10, 784}).out, 10);
  EXPECT_THROW(fan_of({10}), Error);
  EXPECT_THROW(init_from_name("uniform"), Error);
}

TEST(Init, SameSeedSameWeights) {
  Graph first = residual_net();
  Graph second = residual_net();
  Graph other = residual_net();
  first.initialize(1);
  second.initialize(1);
  other.initialize(2);
  const auto a = first.parameters();
  const auto b = second.parameters();
  const auto c = other.parameters();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(difference(a[i].parameter->value, b[i].parameter->value), "") << a[i].name;
    if (!a[i].name.starts_with("batch_norm")) {
      EXPECT_NE(difference(a[i].parameter->value, c[i].parameter->value), "") << a[i].name;
    }
  }
}

// Adding a layer must not move the weights of those that were there.
TEST(Init, IsKeyedByNameNotByPlace) {
  Graph small;
  small.linear(small.input({4}), {.out_features = 4, .name = "fc"});
  Graph large;
  large.linear(large.linear(large.input({4}), {.out_features = 4, .name = "before"}),
               {.out_features = 4, .name = "fc"});
  small.initialize(1);
  large.initialize(1);
  EXPECT_EQ(difference(*small.node("fc").module->slots()[0].tensor, *large.node("fc").module->slots()[0].tensor), "");
}

}  // namespace
}  // namespace detent::nn::init_test
