#include "detent/kernels/product/int8_conv.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "detent/kernels/product/conv_internal.h"
#include "detent/kernels/product/depthwise/depthwise.h"
#include "detent/kernels/product/int8/product.h"

namespace detent::kernels {
namespace {

/// Sums below this are exact in f32, and so are sums with their bias.
constexpr double kExactInF32 = 1 << 24;
constexpr double kLargestCode = 1 << 30;

}  // namespace

struct Int8Conv::Impl {
  ConvShape shape;
  bool pool;
  bool is_observed;
  Int8Product product;
  bool is_linear = false;
  bool has_bias = false;
  CodeRange codes;
  float positive = 0;
  std::vector<std::int32_t> start;
  std::vector<float> bias, multiplier, real_scale;
  float zero_point = 0;
  std::uint8_t x_zero_point = 0, lower = 0, upper = 0;

  Impl(const ConvShape& shape_, const std::int8_t* weight, bool pool_, bool is_observed_)
      : shape(shape_), pool(pool_), is_observed(is_observed_), product(shape_, weight, pool_) {}
  bool set_constants(const std::int8_t* plain, const Requantization& r);
  Int8Results results() const;
  static std::shared_ptr<Impl> make(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                                    const Requantization& r, bool pool, bool is_observed);
};

/// False if codes before clamping might not fit.
bool Int8Conv::Impl::set_constants(const std::int8_t* plain, const Requantization& r) {
  const std::int64_t depth = shape.depth();
  const auto lanes = static_cast<std::size_t>(product.lanes());
  start = product.start(x_zero_point);
  bias.assign(lanes, 0.0F);
  multiplier.assign(lanes, 0.0F);
  const std::int64_t reach = std::max<std::int64_t>(x_zero_point, 255 - x_zero_point);
  for (std::int64_t o = 0; o < shape.o; ++o) {
    const auto lane = static_cast<std::size_t>(o);
    std::int64_t magnitude = 0;
    for (std::int64_t k = 0; k < depth; ++k) {
      magnitude += std::abs(int{plain[o * depth + k]});
    }
    const double output_bias = r.bias.empty() ? 0.0 : double{r.bias[lane]};
    const double bound = static_cast<double>(magnitude * reach) + std::abs(output_bias);
    has_bias = has_bias || is_observed || (output_bias != 0.0 && bound >= kExactInF32);
    bias[lane] = static_cast<float>(output_bias);
    multiplier[lane] = r.multiplier[lane];
    if (!(bound * static_cast<double>(r.multiplier[lane]) < kLargestCode)) {
      return false;
    }
  }
  for (std::size_t lane = 0; !has_bias && lane < r.bias.size(); ++lane) {
    start[lane] += static_cast<std::int32_t>(r.bias[lane]);
  }
  zero_point = static_cast<float>(r.output.zero_point);
  lower = static_cast<std::uint8_t>(r.relu ? std::max(r.codes.qmin, r.output.zero_point) : r.codes.qmin);
  upper = static_cast<std::uint8_t>(r.codes.qmax);
  return true;
}

std::shared_ptr<Int8Conv::Impl> Int8Conv::Impl::make(const ConvShape& shape, const std::int8_t* weight,
                                                     std::int32_t x_zero_point, const Requantization& r, bool pool,
                                                     bool is_observed) {
  shape.validate();
  check(x_zero_point >= 0 && x_zero_point <= 255, "int8 layer: expected a zero point in [0, 255], got ", x_zero_point);
  const bool has_windows = !pool || (shape.out_h() >= 2 && shape.out_w() >= 2);
  const bool is_dilated = shape.dilation_w > 1 && shape.kw > 1;
  const bool fits = shape.depth() <= ProductCodes().largest_depth();
  if (shape.groups > 1 || is_dilated || !has_windows || !fits || r.codes.is_signed()) {
    return nullptr;
  }
  auto impl = std::make_shared<Impl>(shape, weight, pool, is_observed);
  impl->is_linear = kernels::is_linear(shape) && !pool;
  impl->codes = r.codes;
  impl->positive = r.relu ? 0.0F : -std::numeric_limits<float>::infinity();
  impl->x_zero_point = static_cast<std::uint8_t>(x_zero_point);
  return impl->set_constants(weight, r) ? impl : nullptr;
}

Int8Conv Int8Conv::make(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                        const Requantization& r, bool pool) {
  Int8Conv result;
  if (!pool && depthwise::serves(shape) && !r.codes.is_signed()) {
    result.depthwise_ = depthwise::make_int8_layer(shape, weight, x_zero_point, r);
    return result;
  }
  result.impl_ = Impl::make(shape, weight, x_zero_point, r, pool, false);
  return result;
}

Int8Conv Int8Conv::make_observed(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                                 const Requantization& r) {
  // A sum and its bias stay below 2^32.
  const bool are_finite = std::ranges::all_of(r.real_scale, [](float scale) { return scale < 1e28F; });
  Int8Conv result;
  if (are_finite && shape.o % kSeenLanes == 0 && depthwise::serves(shape) && !r.codes.is_signed()) {
    result.depthwise_ = depthwise::make_int8_layer(shape, weight, x_zero_point, r);
  } else if (are_finite && shape.o % int8_unit().lanes == 0 && !kernels::is_linear(shape)) {
    const std::shared_ptr<Impl> impl = Impl::make(shape, weight, x_zero_point, r, false, true);
    if (impl) {
      impl->real_scale = r.real_scale;
    }
    result.impl_ = impl;
  }
  return result;
}

Int8Results Int8Conv::Impl::results() const {
  const Int8Unit& unit = int8_unit();
  return {.kernels = is_observed ? &unit.observed
                     : pool      ? (has_bias ? &unit.biased_pooled : &unit.pooled)
                                 : (has_bias ? &unit.biased_codes : &unit.codes),
          .start = start.data(),
          .requantization = {.bias = bias.data(),
                             .multiplier = multiplier.data(),
                             .zero_point = zero_point,
                             .lower = lower,
                             .upper = upper}};
}

void Int8Conv::observe(const std::uint8_t* x_q, std::int64_t images, std::uint8_t* y_q, std::uint8_t* mask,
                       MinMax* seen) const {
  if (depthwise_) {
    depthwise_->observe(x_q, images, y_q, mask, seen);
    return;
  }
  const Impl& impl = *impl_;
  const ConvShape& shape = impl.shape;
  float lanes[2 * kSeenLanes];
  std::fill_n(lanes, kSeenLanes, MinMax{}.min);
  std::fill_n(lanes + kSeenLanes, kSeenLanes, MinMax{}.max);
  std::uint8_t unwanted[8];
  TileObservation observation{.real_scale = impl.real_scale.data(),
                              .positive = impl.positive,
                              .inside = Inside(impl.codes.qmin, impl.codes.qmax),
                              .seen = lanes,
                              .mask = mask == nullptr ? unwanted : mask,
                              .mask_stride = mask == nullptr ? 0 : shape.o / 8};
  for (std::int64_t image = 0; image < images; ++image) {
    impl.product.run_image(x_q + image * shape.input_row(), impl.x_zero_point, {0, shape.out_h()}, impl.results(),
                           y_q + image * shape.output_row(), &observation);
    observation.mask += shape.out_h() * shape.out_w() * observation.mask_stride;
  }
  for (std::int64_t lane = 0; seen != nullptr && lane < int8_unit().lanes; ++lane) {
    seen->include({lanes[lane] + 0.0F, lanes[kSeenLanes + lane] + 0.0F});  // -0 to 0, as requantize does
  }
}

std::int64_t Int8Conv::parts() const {
  if (depthwise_) {
    return depthwise_->parts();
  }
  const ConvShape& shape = impl_->shape;
  return impl_->is_linear ? impl_->product.blocks() : impl_->pool ? shape.out_h() / 2 : shape.out_h();
}

void Int8Conv::run(const std::uint8_t* x_q, std::int64_t images, Range parts, std::uint8_t* y_q) const {
  if (depthwise_) {
    depthwise_->run(x_q, images, parts, y_q);
    return;
  }
  const Impl& impl = *impl_;
  const Int8Results results = impl.results();
  if (impl.is_linear) {
    impl.product.run_rows(x_q, images, parts, results, y_q);
    return;
  }
  const ConvShape& shape = impl.shape;
  const std::int64_t row = impl.pool ? (shape.out_h() / 2) * (shape.out_w() / 2) * shape.o : shape.output_row();
  for (std::int64_t image = 0; image < images; ++image) {
    impl.product.run_image(x_q + image * shape.input_row(), impl.x_zero_point, parts, results, y_q + image * row);
  }
}

std::size_t Int8Conv::bytes() const {
  if (depthwise_) {
    return depthwise_->bytes();
  }
  return impl_->product.weight_bytes() + impl_->start.size() * (sizeof(std::int32_t) + 2 * sizeof(float));
}

std::vector<std::span<std::byte>> Int8Conv::packed_memory_for_tests() const {
  if (depthwise_) {
    return depthwise_->packed_memory_for_tests();
  }
  auto& impl = const_cast<Impl&>(*impl_);
  return {{impl.product.weight().get(), impl.product.weight_bytes()},
          std::as_writable_bytes(std::span(impl.multiplier)),
          std::as_writable_bytes(std::span(impl.bias)),
          std::as_writable_bytes(std::span(impl.start))};
}

}  // namespace detent::kernels
