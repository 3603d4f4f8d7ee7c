// Fake quantization and observers against PyTorch's: tests/golden/README.md. Where the rules are the same the numbers
// are; where they are not, the difference is pinned.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "detent/kernels/codes/targets/rounding_target.h"
#include "detent/quant/kinds/product/integer_product.h"
#include "detent/quant/quantizers/fake_quant.h"
#include "tests/optim/golden.h"

namespace detent::golden_test {
namespace {

using quant::FakeQuant;

std::vector<std::vector<double>> lines_of(const std::string& file, const std::string& key) {
  return optim::read_golden(file).at(key);
}

/// Takes numbers of a line one after the other.
class Line {
 public:
  explicit Line(const std::vector<double>& numbers) : numbers_(numbers) {}
  double number() { return numbers_.at(next_++); }
  float real() { return static_cast<float>(number()); }
  std::int32_t whole() { return static_cast<std::int32_t>(number()); }
  std::vector<float> reals(std::size_t count) {
    std::vector<float> all;
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back(real());
    }
    return all;
  }

 private:
  const std::vector<double>& numbers_;
  std::size_t next_ = 0;
};

bool is_power_of_two(float scale) {
  int exponent = 0;
  return std::frexp(scale, &exponent) == 0.5F;
}

// PyTorch multiplies by the reciprocal of the scale and Detent divides by the scale: where the scale is a power of two
// all is the same; else some values that lie within a rounding error of a tie go to the other side.
TEST(Golden, FakeQuantizesATensorAsTorchDoes) {
  std::size_t different = 0;
  for (const std::vector<double>& numbers : lines_of("fake_quantize", "tensor")) {
    Line line(numbers);
    const float scale = line.real();
    const ScaleZero map{scale, line.whole()};
    const std::int32_t qmin = line.whole();
    const CodeRange codes{qmin, line.whole()};
    const auto count = static_cast<std::size_t>(line.whole());
    const std::vector<float> xs = line.reals(count);
    const std::vector<float> ys = line.reals(count);
    const std::vector<float> passes = line.reals(count);
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(kernels::mask_bytes(static_cast<std::int64_t>(count))));
    std::vector<std::int8_t> signed_codes(count);
    std::vector<std::uint8_t> unsigned_codes(count);
    codes.is_signed() ? kernels::quantize<std::int8_t>(xs, map, codes, signed_codes.data(), mask.data())
                      : kernels::quantize<std::uint8_t>(xs, map, codes, unsigned_codes.data(), mask.data());
    for (std::size_t i = 0; i < count; ++i) {
      SCOPED_TRACE(testing::Message() << "scale " << scale << ", zero point " << map.zero_point << ", x " << xs[i]);
      EXPECT_EQ(dequantize(kernels::quantize(kernels::RoundingTarget::Torch, xs[i], map, codes), map), ys[i]);
      const float own = dequantize(codes.is_signed() ? signed_codes[i] : unsigned_codes[i], map);
      const double step = double{xs[i]} / double{scale};
      const bool is_near_tie = std::abs(std::abs(step - std::trunc(step)) - 0.5) < 1e-4;
      if (is_power_of_two(scale) || !is_near_tie) {
        EXPECT_EQ(own, ys[i]);
        EXPECT_EQ((mask[i / 8] >> (i % 8) & 1) != 0, passes[i] != 0.0F) << "the gradient";
      }
      different += own != ys[i] ? 1 : 0;
    }
  }
  EXPECT_GT(different, 0U) << "the values have no tie that the two rules break otherwise";
}

// Symmetric codes -q ... q, a scale a channel, max |w| / q. A channel of zeros has PyTorch's smallest scale, 2^-23, and
// Detent's, 2^-60: both give zeros.
TEST(Golden, FakeQuantizesChannelsAsTorchDoes) {
  for (const std::vector<double>& numbers : lines_of("fake_quantize", "channels")) {
    Line line(numbers);
    quant::QuantizerSpec spec = quant::int8_weights();
    spec.grid.bits = line.whole();
    SCOPED_TRACE(testing::Message() << spec.grid.bits << " bits");
    const auto channels = static_cast<std::size_t>(line.whole());
    const auto row = static_cast<std::size_t>(line.whole());
    const std::vector<float> weights = line.reals(channels * row);
    const std::vector<float> scales = line.reals(channels);
    const std::vector<float> expected = line.reals(channels * row);
    const Tensor weight = Tensor::from(weights, {static_cast<std::int64_t>(channels), static_cast<std::int64_t>(row)});
    const quant::QuantizedWeight quantized = quant::quantize_weight(weight, {}, 1.0F, spec, nullptr);
    for (std::size_t o = 0; o < channels; ++o) {
      const bool is_zero = o == channels - 1;
      EXPECT_EQ(quantized.qparams.scale_of(o), is_zero ? 0x1p-60F : scales[o]) << "channel " << o;
      EXPECT_TRUE(!is_zero || scales[o] == 0x1p-23F) << scales[o];
      for (std::size_t k = 0; k < row; ++k) {
        const std::size_t i = o * row + k;
        const float step = weights[i] / scales[o];
        const bool is_near_tie = std::abs(std::abs(step - std::trunc(step)) - 0.5F) < 1e-4F;
        EXPECT_TRUE(is_near_tie ||
                    quantized.qparams.scale_of(o) * static_cast<float>(quantized.codes.data<std::int8_t>()[i]) ==
                        expected[i])
            << "channel " << o << ", weight " << weights[i];
      }
    }
  }
}

// PyTorch's batches are windows of their own; so are Detent's of 32 examples or more. Maps are chosen alike.
TEST(Golden, AveragesRangesAsTorchDoes) {
  std::map<double, FakeQuant> outputs;
  for (const std::vector<double>& numbers : lines_of("observers", "moving-average")) {
    Line line(numbers);
    const double constant = line.number();
    FakeQuant& output = outputs
                            .try_emplace(constant, quant::QuantizerSpec{.range = {"moving-average", {constant}}},
                                         FakeQuant::State::Observing)
                            .first->second;
    const float low = line.real();
    output.observe(MinMax{low, line.real()}, 32);
    const float expected_min = line.real();
    const float expected_max = line.real();
    EXPECT_FLOAT_EQ(output.range().min, expected_min);
    EXPECT_FLOAT_EQ(output.range().max, expected_max);
    EXPECT_FLOAT_EQ(output.map().scale, line.real());
    EXPECT_EQ(output.map().zero_point, line.whole());
  }
  EXPECT_EQ(outputs.size(), 2U);
}

// What make_fake_quantize.py draws.
Tensor histogram_values(const std::string& kind, std::int64_t batch) {
  constexpr std::int64_t kCount = 20000;
  Tensor values = Tensor::empty({kCount}, DType::F32);
  for (std::int64_t i = 0; i < kCount; ++i) {
    const auto part = [&](std::int64_t factor) {
      return static_cast<float>((i + kCount * batch) * factor % 8191 - 4095) / 4096.0F;
    };
    float x = part(7919);
    if (kind != "even") {
      x = ((x + part(104729)) + part(1299709)) + part(15485863);
      x *= kind == "outliers" && i % 2000 == 0 ? 4.0F : 1.0F;
    }
    values.data<float>()[static_cast<std::size_t>(i)] = x;
  }
  return values;
}

double squared_error(const std::vector<Tensor>& batches, const MinMax& range) {
  const CodeRange codes = unsigned_codes(8);
  const ScaleZero map = choose_qparams(range.min, range.max, codes, Scheme::Affine);
  double sum = 0.0;
  for (const Tensor& values : batches) {
    for (const float x : values.data<float>()) {
      sum += std::pow(double{x} - double{dequantize(quantize(x, map, codes), map)}, 2);
    }
  }
  return sum;
}

// Both move the ends of a histogram of 2048 bins in while an L2 error falls. PyTorch stops where it first rises, and
// spreads later batches over bins of new widths; Detent goes to the end, doubles its range, and keeps whole counts. So
// the range is not the same to the bit, and is no worse.
TEST(Golden, FindsHistogramRangesNoWorseThanTorch) {
  for (const std::string kind : {"even", "bell", "outliers"}) {
    FakeQuant output({.range = {"histogram", {}}}, FakeQuant::State::Observing);
    std::vector<Tensor> batches;
    for (const std::vector<double>& numbers : lines_of("observers", kind)) {
      Line line(numbers);
      const std::int64_t batch = line.whole();
      SCOPED_TRACE(kind + ", batch " + std::to_string(batch));
      batches.push_back(histogram_values(kind, batch));
      output.observe(batches.back(), 20000);
      const float low = line.real();
      const MinMax theirs{low, line.real()};
      EXPECT_LE(squared_error(batches, output.range()), 1.01 * squared_error(batches, theirs))
          << "[" << output.range().min << ", " << output.range().max << "] against [" << theirs.min << ", "
          << theirs.max << "]";
      if (kind == "even") {
        const float width = (theirs.max - theirs.min) / 256.0F;
        EXPECT_NEAR(output.range().min, theirs.min, width);
        EXPECT_NEAR(output.range().max, theirs.max, width);
      }
    }
    EXPECT_EQ(batches.size(), 2U);
  }
}

}  // namespace
}  // namespace detent::golden_test
