#include "detent/kernels/codes/softmax_codes.h"

#include <cmath>
#include <numbers>
#include <span>

#include "detent/kernels/codes/quantize.h"

namespace detent::kernels {
namespace {

/// exp(-x), x >= 0: 2^-k * exp(-r) with r below ln 2, of which the series is taken as far as double sees it.
double exp_of_minus(double x) {
  constexpr double kNothing = 64.0;  // in units of 2^-30
  if (x > kNothing) {
    return 0.0;
  }
  const double k = std::floor(x * std::numbers::log2e);
  const double r = x - k * std::numbers::ln2;
  double series = 1.0;
  for (int n = 20; n >= 1; --n) {
    series = 1.0 - r * series / n;
  }
  return std::ldexp(series, -static_cast<int>(k));
}

constexpr std::int64_t kBlock = 64;

/// The probabilities of one row.
class Row {
 public:
  Row(const SoftmaxCodes& softmax, const std::uint8_t* x, std::int64_t channels) : table_(softmax.table), x_(x) {
    for (std::int64_t c = 0; c < channels; ++c) {
      largest_ = x[c] > largest_ ? x[c] : largest_;
    }
    std::int64_t sum = 0;
    for (std::int64_t c = 0; c < channels; ++c) {
      sum += power(c);
    }
    sum_ = static_cast<float>(sum);
  }
  float operator[](std::int64_t c) const { return static_cast<float>(power(c)) / sum_; }

 private:
  std::int32_t power(std::int64_t c) const { return table_[largest_ - x_[c]]; }

  const std::int32_t* table_;
  const std::uint8_t* x_;
  std::int32_t largest_ = 0;
  float sum_ = 0;
};

/// Calls fn(begin, p) for each block of a row's probabilities.
template <typename Fn>
void for_each_block(const Row& row, std::int64_t channels, Fn fn) {
  std::array<float, kBlock> p{};
  for (std::int64_t begin = 0; begin < channels; begin += kBlock) {
    const std::int64_t count = std::min(channels - begin, kBlock);
    for (std::int64_t i = 0; i < count; ++i) {
      p[static_cast<std::size_t>(i)] = row[begin + i];
    }
    fn(begin, std::span<const float>(p.data(), static_cast<std::size_t>(count)));
  }
}

}  // namespace

SoftmaxTable softmax_table(float scale) {
  SoftmaxTable table{};
  for (std::size_t d = 0; d < table.size(); ++d) {
    const double power = exp_of_minus(double{scale} * static_cast<double>(d));
    table[d] = static_cast<std::int32_t>(std::nearbyint(power * kSoftmaxOne));
  }
  return table;
}

void softmax_codes(const SoftmaxCodes& softmax, const std::uint8_t* x, std::int64_t rows, std::int64_t channels,
                   std::uint8_t* y) {
  for (std::int64_t r = 0; r < rows; ++r, x += channels, y += channels) {
    for_each_block(Row(softmax, x, channels), channels, [&](std::int64_t begin, std::span<const float> p) {
      quantize(p, softmax.output, softmax.codes, y + begin);
    });
  }
}

void softmax_codes_backward(const SoftmaxCodes& softmax, const std::uint8_t* x, const float* dy, std::int64_t rows,
                            std::int64_t channels, float* dx) {
  for (std::int64_t r = 0; r < rows; ++r, x += channels, dy += channels, dx += channels) {
    const Row row(softmax, x, channels);
    const auto for_each_gradient = [&](auto fn) {
      for_each_block(row, channels, [&](std::int64_t begin, std::span<const float> p) {
        std::array<std::uint8_t, kBlock> made{};
        std::array<std::uint8_t, kBlock / 8> passes{};
        quantize(p, softmax.output, softmax.codes, made.data(), passes.data());
        for (std::size_t i = 0; i < p.size(); ++i) {
          const std::int64_t c = begin + static_cast<std::int64_t>(i);
          const bool is_open = (passes[i / 8] >> (i % 8) & 1U) != 0;
          fn(c, double{p[i]}, is_open ? double{dy[c]} : 0.0);
        }
      });
    };
    double dot = 0.0;
    for_each_gradient([&](std::int64_t, double p, double g) { dot += g * p; });
    for_each_gradient([&](std::int64_t c, double p, double g) { dx[c] = static_cast<float>(p * (g - dot)); });
  }
}

}  // namespace detent::kernels
