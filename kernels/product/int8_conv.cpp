#include "detent/kernels/product/int8_conv.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "detent/kernels/product/bits/bit_product.h"
#include "detent/kernels/product/depthwise/depthwise.h"
#include "detent/kernels/product/int8/grouped_layer.h"
#include "detent/kernels/product/int8/half_product.h"
#include "detent/kernels/product/int8/product.h"
#include "detent/kernels/product/int8/sum_bounds.h"

namespace detent::kernels {
namespace {

constexpr double kLargestCode = 1 << 30;

/// On tiles of codes (Int8Product), with weights of half a byte (HalfProduct), or of bits (BitProduct).
template <typename Product>
class TileLayer final : public Int8Conv::Layer {
 public:
  /// Null where constants do not fit.
  static std::shared_ptr<const Layer> make(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                                           const Requantization& r, bool pool, bool is_observed, const Int8Sum* sum,
                                           Product product);
  TileLayer(const ConvShape& shape, bool pool, bool is_observed, Product product)
      : shape_(shape), pool_(pool), is_observed_(is_observed), product_(std::move(product)) {}

  std::int64_t parts() const override;
  void run(const std::uint8_t* x_q, std::int64_t images, Range parts, std::uint8_t* y_q,
           const std::uint8_t* other_q) const override;
  void observe(const std::uint8_t* x_q, std::int64_t images, std::uint8_t* y_q, std::uint8_t* mask,
               MinMax* seen) const override;
  std::size_t bytes() const override {
    return product_.weight_bytes() + start_.size() * (sizeof(std::int32_t) + 2 * sizeof(float));
  }
  std::vector<std::span<std::byte>> packed_memory_for_tests() const override;

 private:
  bool set_constants(const std::int8_t* plain, const Requantization& r);
  bool set_sum(const Requantization& r, const Int8Sum& sum);
  Int8Results results() const;

  ConvShape shape_;
  bool pool_;
  bool is_observed_;
  Product product_;
  bool is_linear_ = false;
  bool has_bias_ = false;
  CodeRange codes_;
  float positive_ = 0;
  std::vector<std::int32_t> start_;
  std::vector<float> bias_, multiplier_, real_scale_;
  float zero_point_ = 0;
  std::uint8_t x_zero_point_ = 0, lower_ = 0, upper_ = 0;
  std::optional<TileAddition> addition_ = std::nullopt;
};

/// False if codes before clamping might not fit.
template <typename Product>
bool TileLayer<Product>::set_constants(const std::int8_t* plain, const Requantization& r) {
  const SumBounds bounds = bounds_of_sums(shape_, plain, x_zero_point_, r);
  const auto lanes = static_cast<std::size_t>(product_.lanes());
  start_ = product_.start(x_zero_point_);
  bias_.assign(lanes, 0.0F);
  multiplier_.assign(lanes, 0.0F);
  std::ranges::copy(r.bias, bias_.begin());
  std::ranges::copy(r.multiplier, multiplier_.begin());
  has_bias_ = is_observed_ || !bounds.is_bias_exact;
  for (std::size_t lane = 0; !has_bias_ && lane < r.bias.size(); ++lane) {
    start_[lane] += static_cast<std::int32_t>(r.bias[lane]);
  }
  zero_point_ = static_cast<float>(r.output.zero_point);
  lower_ = static_cast<std::uint8_t>(r.relu ? std::max(r.codes.qmin, r.output.zero_point) : r.codes.qmin);
  upper_ = static_cast<std::uint8_t>(r.codes.qmax);
  if (is_observed_) {
    real_scale_ = r.real_scale;
  }
  return bounds.codes_fit;
}

/// False if codes of the sum before clamping might not fit.
template <typename Product>
bool TileLayer<Product>::set_sum(const Requantization& r, const Int8Sum& sum) {
  addition_ = {.lower = static_cast<float>(lower_),
               .upper = static_cast<float>(upper_),
               .maps = Addition(r.output, sum.other, sum.output)};
  lower_ = static_cast<std::uint8_t>(sum.relu ? std::max(sum.codes.qmin, sum.output.zero_point) : sum.codes.qmin);
  upper_ = static_cast<std::uint8_t>(sum.codes.qmax);
  return 255.0 * (double{addition_->maps.a_multiplier} + double{addition_->maps.b_multiplier}) < kLargestCode;
}

template <typename Product>
std::shared_ptr<const Int8Conv::Layer> TileLayer<Product>::make(const ConvShape& shape, const std::int8_t* weight,
                                                                std::int32_t x_zero_point, const Requantization& r,
                                                                bool pool, bool is_observed, const Int8Sum* sum,
                                                                Product product) {
  auto layer = std::make_shared<TileLayer>(shape, pool, is_observed, std::move(product));
  layer->is_linear_ = shape.is_linear() && !pool;
  layer->codes_ = r.codes;
  layer->positive_ = r.relu ? 0.0F : -std::numeric_limits<float>::infinity();
  layer->x_zero_point_ = static_cast<std::uint8_t>(x_zero_point);
  return layer->set_constants(weight, r) && (sum == nullptr || layer->set_sum(r, *sum)) ? layer : nullptr;
}

template <typename Product>
Int8Results TileLayer<Product>::results() const {
  return {.kernels = is_observed_ ? &Int8Unit::observed
                     : pool_      ? (has_bias_ ? &Int8Unit::biased_pooled : &Int8Unit::pooled)
                     : addition_  ? (has_bias_ ? &Int8Unit::biased_added : &Int8Unit::added)
                                  : (has_bias_ ? &Int8Unit::biased_codes : &Int8Unit::codes),
          .start = start_.data(),
          .requantization = {.bias = bias_.data(),
                             .multiplier = multiplier_.data(),
                             .zero_point = zero_point_,
                             .lower = lower_,
                             .upper = upper_},
          .addition = addition_.value_or(TileAddition())};
}

template <typename Product>
void TileLayer<Product>::observe(const std::uint8_t* x_q, std::int64_t images, std::uint8_t* y_q, std::uint8_t* mask,
                                 MinMax* seen) const {
  SeenByLane lanes;
  std::uint8_t unwanted[8];
  TileObservation observation{.real_scale = real_scale_.data(),
                              .positive = positive_,
                              .inside = Inside(codes_.qmin, codes_.qmax),
                              .seen = lanes.lanes,
                              .mask = mask == nullptr ? unwanted : mask,
                              .mask_stride = mask == nullptr ? 0 : shape_.o / 8};
  for (std::int64_t image = 0; image < images; ++image) {
    if constexpr (std::is_same_v<Product, Int8Product>) {  // make_observed makes no other
      product_.run_image(x_q + image * shape_.input_row(), x_zero_point_, {0, shape_.out_h()}, results(),
                         y_q + image * shape_.output_row(), nullptr, &observation);
    }
    observation.mask += shape_.out_h() * shape_.out_w() * observation.mask_stride;
  }
  if (seen != nullptr) {
    lanes.include_in(*seen);
  }
}

template <typename Product>
std::int64_t TileLayer<Product>::parts() const {
  return is_linear_ ? product_.blocks() : pool_ ? shape_.out_h() / 2 : shape_.out_h();
}

template <typename Product>
void TileLayer<Product>::run(const std::uint8_t* x_q, std::int64_t images, Range parts, std::uint8_t* y_q,
                             const std::uint8_t* other_q) const {
  const Int8Results to = results();
  if (is_linear_) {
    product_.run_rows(x_q, images, parts, to, y_q, other_q);
    return;
  }
  if constexpr (!std::is_same_v<Product, HalfProduct>) {  // which has linear layers alone
    const std::int64_t row = pool_ ? (shape_.out_h() / 2) * (shape_.out_w() / 2) * shape_.o : shape_.output_row();
    for (std::int64_t image = 0; image < images; ++image) {
      product_.run_image(x_q + image * shape_.input_row(), x_zero_point_, parts, to, y_q + image * row,
                         other_q == nullptr ? nullptr : other_q + image * row);
    }
  }
}

template <typename Product>
std::vector<std::span<std::byte>> TileLayer<Product>::packed_memory_for_tests() const {
  auto& self = const_cast<TileLayer&>(*this);
  return {{self.product_.weight().get(), self.product_.weight_bytes()},
          std::as_writable_bytes(std::span(self.multiplier_)),
          std::as_writable_bytes(std::span(self.bias_)),
          std::as_writable_bytes(std::span(self.start_))};
}

/// What a layer is made from beside its constants.
struct Wanted {
  bool pool = false;
  std::int32_t x_qmax = 255;
  const Int8Sum* sum = nullptr;
  bool is_observed = false;
};

bool tiles_serve(const ConvShape& shape, std::int32_t x_zero_point, const Requantization& r, bool pool) {
  shape.validate();
  check(x_zero_point >= 0 && x_zero_point <= 255, "int8 layer: expected a zero point in [0, 255], got ", x_zero_point);
  const bool has_windows = !pool || (shape.out_h() >= 2 && shape.out_w() >= 2);
  const bool is_dilated = shape.dilation_w > 1 && shape.kw > 1;
  const bool fits = shape.depth() <= ProductCodes().largest_depth();
  return shape.groups == 1 && !is_dilated && has_windows && fits && !r.codes.is_signed();
}

std::shared_ptr<const Int8Conv::Layer> bit_layer(const ConvShape& shape, const std::int8_t* weight,
                                                 std::int32_t x_zero_point, const Requantization& r,
                                                 const Wanted& wanted) {
  return TileLayer<BitProduct>::make(shape, weight, x_zero_point, r, wanted.pool, false, wanted.sum,
                                     BitProduct(shape, weight, wanted.x_qmax, wanted.pool));
}

/// A layer on the tiles of the faster kind; null where tiles will not do: see Int8Conv::make.
std::shared_ptr<const Int8Conv::Layer> tile_layer(const ConvShape& shape, const std::int8_t* weight,
                                                  std::int32_t x_zero_point, const Requantization& r,
                                                  const Wanted& wanted) {
  if (!tiles_serve(shape, x_zero_point, r, wanted.pool)) {
    return nullptr;
  }
  if (!wanted.is_observed && BitProduct::serves(shape, weight, wanted.x_qmax) &&
      BitProduct::is_faster(shape, weight, wanted.x_qmax)) {
    return bit_layer(shape, weight, x_zero_point, r, wanted);
  }
  if (!wanted.is_observed && !wanted.pool && HalfProduct::serves(shape, weight)) {
    return TileLayer<HalfProduct>::make(shape, weight, x_zero_point, r, false, false, wanted.sum,
                                        HalfProduct(shape, weight));
  }
  return TileLayer<Int8Product>::make(shape, weight, x_zero_point, r, wanted.pool, wanted.is_observed, wanted.sum,
                                      Int8Product(shape, weight, wanted.pool));
}

/// Channels of a group from which on counts of its bits, with the copies that they need, were measured to be faster.
constexpr std::int64_t kGroupChannels = 32;

/// A convolution with groups, by counts of bits of each; null where they do not serve, or, unless `is_forced`, are not
/// faster.
std::shared_ptr<const Int8Conv::Layer> layer_of_groups(const ConvShape& shape, const std::int8_t* weight,
                                                       std::int32_t x_zero_point, const Requantization& r,
                                                       std::int32_t x_qmax, bool is_forced) {
  const ConvShape part = shape_of_group(shape);
  if ((part.c < kGroupChannels && !is_forced) || !tiles_serve(part, x_zero_point, r, false)) {
    return nullptr;
  }
  std::vector<std::shared_ptr<const Int8Conv::Layer>> layers;
  for (std::int64_t group = 0; group < shape.groups; ++group) {
    const std::int8_t* const own = weight + group * part.weight_elements();
    if (!BitProduct::serves(part, own, x_qmax) || !(is_forced || BitProduct::is_faster(part, own, x_qmax))) {
      return nullptr;
    }
    layers.push_back(bit_layer(part, own, x_zero_point, requantization_of_group(shape, r, group), {.x_qmax = x_qmax}));
    if (layers.back() == nullptr) {
      return nullptr;
    }
  }
  return make_grouped_layer(shape, std::move(layers));
}

}  // namespace

Int8Conv Int8Conv::make(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                        const Requantization& r, bool pool, std::int32_t x_qmax) {
  Int8Conv result;
  if (!pool && depthwise::serves(shape) && !r.codes.is_signed()) {
    result.layer_ = depthwise::make_int8_layer(shape, weight, x_zero_point, r, false);
  } else if (!pool && shape.groups > 1) {
    result.layer_ = layer_of_groups(shape, weight, x_zero_point, r, x_qmax, false);
  } else {
    result.layer_ = tile_layer(shape, weight, x_zero_point, r, {.pool = pool, .x_qmax = x_qmax});
  }
  return result;
}

Int8Conv Int8Conv::make_added(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                              const Requantization& r, const Int8Sum& sum, std::int32_t x_qmax) {
  Int8Conv result;
  result.layer_ =
      sum.codes.is_signed() ? nullptr : tile_layer(shape, weight, x_zero_point, r, {.x_qmax = x_qmax, .sum = &sum});
  return result;
}

Int8Conv Int8Conv::make_of_bits_for_tests(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                                          const Requantization& r, bool pool, std::int32_t x_qmax, const Int8Sum* sum) {
  Int8Conv result;
  if (!pool && sum == nullptr && shape.groups > 1) {
    result.layer_ = layer_of_groups(shape, weight, x_zero_point, r, x_qmax, true);
  } else if (tiles_serve(shape, x_zero_point, r, pool) && BitProduct::serves(shape, weight, x_qmax)) {
    result.layer_ = bit_layer(shape, weight, x_zero_point, r, {.pool = pool, .x_qmax = x_qmax, .sum = sum});
  }
  return result;
}

Int8Conv Int8Conv::make_observed(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                                 const Requantization& r) {
  // A sum and its bias stay below 2^32.
  const bool are_finite = std::ranges::all_of(r.real_scale, [](float scale) { return scale < 1e28F; });
  Int8Conv result;
  if (are_finite && shape.o % kSeenLanes == 0 && depthwise::serves(shape) && !r.codes.is_signed()) {
    result.layer_ = depthwise::make_int8_layer(shape, weight, x_zero_point, r, true);
  } else if (are_finite && shape.o % int8_unit().lanes == 0 && !shape.is_linear()) {
    result.layer_ = tile_layer(shape, weight, x_zero_point, r, {.is_observed = true});
  }
  return result;
}

}  // namespace detent::kernels
