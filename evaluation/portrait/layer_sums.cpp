#include "detent/evaluation/portrait/layer_sums.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "detent/kernels/codes/quantize.h"

namespace detent::evaluation {
namespace {

std::int64_t count_saturated(const Tensor& values) {
  if (!values.qparams()) {
    return 0;
  }
  const CodeRange codes = values.qparams()->codes;
  const std::int32_t zero = values.qparams()->tensor().zero_point;
  return std::ranges::count_if(values.data<std::uint8_t>(), [&](std::uint8_t code) {
    return (code == codes.qmin || code == codes.qmax) && code != zero;
  });
}

}  // namespace

std::vector<float> reals_of(const Tensor& values) {
  std::vector<float> reals(static_cast<std::size_t>(values.elements()));
  if (values.qparams()) {
    kernels::dequantize(values.data<std::uint8_t>(), values.qparams()->tensor(), reals.data());
  } else {
    const Tensor f32 = values.as(DType::F32, nullptr);
    std::ranges::copy(f32.data<float>(), reals.begin());
  }
  return reals;
}

void LayerSums::add(const Tensor& a, const Tensor& b, LayerDifference& layer) {
  const std::vector<float> reals_a = reals_of(a);
  const std::vector<float> reals_b = reals_of(b);
  for (std::size_t i = 0; i < reals_a.size(); ++i) {
    const double x = double{reals_a[i]};
    const double y = double{reals_b[i]};
    const double difference = std::abs(x - y);
    absolute_ += difference;
    layer.largest = std::max(layer.largest, difference);
    squared_error_ += difference * difference;
    squared_a_ += x * x;
    squared_b_ += y * y;
    product_ += x * y;
  }
  layer.range_a.include(kernels::min_max(reals_a));
  layer.range_b.include(kernels::min_max(reals_b));
  layer.values += a.elements();
  layer.type_a = std::string(name_of(a.dtype()));
  layer.type_b = std::string(name_of(b.dtype()));
  saturated_ += count_saturated(b);
  codes_b_ += b.qparams() ? b.elements() : 0;
}

void LayerSums::close(LayerDifference& layer) const {
  layer.mean = absolute_ / static_cast<double>(layer.values);
  layer.cosine = squared_a_ == 0.0 && squared_b_ == 0.0 ? 1.0
                 : squared_a_ == 0.0 || squared_b_ == 0.0
                     ? 0.0
                     : std::clamp(product_ / std::sqrt(squared_a_) / std::sqrt(squared_b_), -1.0, 1.0);
  layer.snr =
      squared_error_ == 0.0 ? std::numeric_limits<double>::infinity() : 10.0 * std::log10(squared_a_ / squared_error_);
  layer.saturated = codes_b_ == 0 ? 0.0 : static_cast<double>(saturated_) / static_cast<double>(codes_b_);
}

}  // namespace detent::evaluation
