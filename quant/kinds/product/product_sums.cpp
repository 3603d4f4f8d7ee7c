#include "detent/quant/kinds/product/product_sums.h"

#include <algorithm>

#include "detent/quant/kinds/product/weight_groups.h"

namespace detent::quant {
namespace {

/// Sums of a part: with the codes and gradients beside them they stay in a core's second cache.
constexpr std::int64_t kPartBytes = 256 * 1024;

std::int64_t images_per_part(const kernels::ConvShape& shape) {
  const std::int64_t images =
      std::max<std::int64_t>(1, kPartBytes / (shape.output_row() * std::int64_t{sizeof(std::int32_t)}));
  return shape.output_row() % 8 == 0 ? images : (images + 7) / 8 * 8;
}

}  // namespace

ProductSums::ProductSums(const kernels::ConvShape& shape, Tensor x, const QuantizedWeight& weight, Arena* arena)
    : shape_(shape), x_(std::move(x)), codes_(weight.codes), unit_(weight.qparams) {
  if (weight.qparams.is_per_group()) {
    IntegerSums joined = joined_group_sums(shape_, x_, weight, arena);
    kept_ = std::move(joined.sums);
    unit_ = std::move(joined.unit);
  } else {
    packed_ = kernels::pack_integer(shape_, codes_.data<std::int8_t>().data(), codes_.owner(),
                                    product_codes(x_, unit_.codes));
  }
}

void ProductSums::visit(std::int64_t slice, const kernels::SumsConsumer& consume) const {
  const Range images = kernels::conv_slices(shape_)[slice];
  if (kept_.defined()) {
    consume(slice, images, kept_.data<std::int32_t>().data() + images.begin * shape_.output_row());
    return;
  }
  const std::int64_t most = images_per_part(shape_);
  for (std::int64_t begin = images.begin; begin < images.end; begin += most) {
    kernels::ConvShape part = shape_;
    part.n = std::min(most, images.end - begin);
    kernels::conv2d_integer(part, x_.data<std::uint8_t>().data() + begin * part.input_row(), input_map(x_).zero_point,
                            packed_, [&](std::int64_t, Range range, const std::int32_t* acc) {
                              consume(slice, {begin + range.begin, begin + range.end}, acc);
                            });
  }
}

void ProductSums::visit_all(const kernels::SumsConsumer& consume) const {
  parallel_slices(kernels::conv_slices(shape_).count, [&](std::int64_t slice) { visit(slice, consume); });
}

void ProductSums::requantize(const kernels::Requantization& requantization, Tensor& y, SliceMask* mask,
                             MinMax* seen) const {
  if (!kept_.defined()) {
    integer_product(shape_, x_, codes_, packed_, requantization, y, mask, seen);
    return;
  }
  SeenBySlice seen_by_slice(kernels::conv_slices(shape_).count, seen);
  visit_all([&](std::int64_t slice, Range images, const std::int32_t* acc) {
    kernels::requantize(acc, images.size() * shape_.out_h() * shape_.out_w(), requantization,
                        y.data<std::uint8_t>().data() + images.begin * shape_.output_row(),
                        mask ? mask->of(slice) : nullptr, seen_by_slice.of(slice));
  });
}

Tensor ProductSums::reals(const kernels::Requantization& requantization, Arena* arena) const {
  Tensor reals = Tensor::empty({shape_.n, shape_.out_h(), shape_.out_w(), shape_.o}, DType::F32, arena);
  visit_all([&](std::int64_t, Range images, const std::int32_t* acc) {
    kernels::real_values(acc, images.size() * shape_.out_h() * shape_.out_w(), requantization,
                         reals.data<float>().data() + images.begin * shape_.output_row());
  });
  return reals;
}

}  // namespace detent::quant
