#include "detent/quant/kinds/product/product_sums.h"

#include <algorithm>

#include "detent/autograd/pooled_gradient.h"
#include "detent/core/memory.h"
#include "detent/core/processor/units.h"
#include "detent/kernels/codes/layer_step_sums.h"
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

/// Sums of a whole tensor up to here are written to the last cache and read back in less time than even a product of
/// few codes takes; measured with depths of 9 to 576.
constexpr std::int64_t kCachedBytes = 32 * 1024 * 1024;

/// Products of codes in the time in which one s32 sum is written to memory and read back.
std::int64_t products_of_memory() {
  const ProcessorUnits& units = processor_units();
  return units.avx512_vnni ? 320 : units.avx2_vnni ? 160 : 64;
}

}  // namespace

NarrowSums::NarrowSums(const kernels::ConvShape& shape, std::span<const kernels::SumMoments> moments, Arena* arena)
    : codes(Tensor::empty({shape.n, shape.out_h(), shape.out_w(), shape.o}, DType::S8, arena)) {
  for (const kernels::SumMoments& m : moments) {
    center.push_back(static_cast<float>((static_cast<double>(m.smallest) + m.largest) / 2.0));
    step.push_back(static_cast<float>((static_cast<double>(m.largest) - m.smallest) / 254.0));
  }
}

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

void ProductSums::visit(std::int64_t slice, const kernels::SumsConsumer& consume, std::int32_t* sums) const {
  const Range images = kernels::conv_slices(shape_)[slice];
  const std::int64_t most = images_per_part(shape_);
  for (std::int64_t begin = images.begin; begin < images.end; begin += most) {
    kernels::ConvShape part = shape_;
    part.n = std::min(most, images.end - begin);
    if (kept_.defined()) {
      consume(slice, {begin, begin + part.n}, kept_.data<std::int32_t>().data() + begin * part.output_row());
      continue;
    }
    kernels::conv2d_integer(
        part, {part.n, 1}, x_.data<std::uint8_t>().data() + begin * part.input_row(), input_map(x_).zero_point, packed_,
        [&](std::int64_t, Range range, const std::int32_t* acc) {
          consume(slice, {begin + range.begin, begin + range.end}, acc);
        },
        sums == nullptr ? nullptr : sums + begin * part.output_row());
  }
}

void ProductSums::visit(std::int64_t slice, const kernels::SumsConsumer& consume) const {
  visit(slice, consume, nullptr);
}

void ProductSums::visit_all(const kernels::SumsConsumer& consume) const {
  parallel_slices(kernels::conv_slices(shape_).count, [&](std::int64_t slice) { visit(slice, consume); });
}

void ProductSums::visit_first(const kernels::SumsConsumer& consume, Arena* arena) {
  const std::int64_t bytes = shape_.n * shape_.output_row() * std::int64_t{sizeof(std::int32_t)};
  if (kept_.defined() || (bytes > kCachedBytes && shape_.depth() < products_of_memory())) {
    visit_all(consume);
    return;
  }
  Tensor sums = Tensor::empty({shape_.n, shape_.out_h(), shape_.out_w(), shape_.o}, DType::S32, arena);
  parallel_slices(kernels::conv_slices(shape_).count,
                  [&](std::int64_t slice) { visit(slice, consume, sums.data<std::int32_t>().data()); });
  kept_ = std::move(sums);
}

void ProductSums::requantize(const kernels::Requantization& requantization, Tensor& y, SliceMask& mask,
                             NarrowSums* narrow) const {
  if (!kept_.defined() && narrow == nullptr) {
    integer_product(shape_, x_, codes_, packed_, requantization, y, &mask, nullptr);
    return;
  }
  std::vector<float> inverse_step;
  for (std::size_t o = 0; narrow != nullptr && o < narrow->step.size(); ++o) {
    inverse_step.push_back(narrow->step[o] > 0.0F ? 1.0F / narrow->step[o] : 0.0F);
  }
  const Slices slices = kernels::conv_slices(shape_);
  visit_all([&](std::int64_t slice, Range images, const std::int32_t* acc) {
    const std::int64_t first = images.begin * shape_.output_row();
    const std::int64_t rows = images.size() * shape_.out_h() * shape_.out_w();
    std::uint8_t* const y_q = y.data<std::uint8_t>().data() + first;
    std::uint8_t* const bits = mask.of(slice) + (first - slices[slice].begin * shape_.output_row()) / 8;
    if (narrow != nullptr) {
      kernels::requantize_and_narrow(acc, rows, requantization, narrow->center.data(), inverse_step.data(), y_q, bits,
                                     narrow->codes.data<std::int8_t>().data() + first);
    } else {
      kernels::requantize(acc, rows, requantization, y_q, bits);
    }
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

namespace {

/// Of some images, from the gradient of all.
template <typename G>
kernels::StepSums sums_of_images(const Tensor& dy, std::int64_t row, Range images, const std::int32_t* acc,
                                 const kernels::Requantization& requantization) {
  const auto outputs = static_cast<std::int64_t>(requantization.multiplier.size());
  return kernels::step_sums(dy.data<G>().data() + images.begin * row, acc, images.size() * row / outputs,
                            requantization);
}

/// A quarter of what rounding moves t by in the mean.
constexpr float kNarrowError = 1.0F / 16.0F;

template <typename G>
kernels::StepSums sums_of_narrow(const Tensor& dy, std::int64_t row, Range images, const NarrowSums& narrow,
                                 const kernels::Requantization& requantization) {
  const auto outputs = static_cast<std::int64_t>(requantization.multiplier.size());
  const std::int64_t first = images.begin * row;
  return kernels::step_sums(dy.data<G>().data() + first, narrow.codes.data<std::int8_t>().data() + first,
                            images.size() * row / outputs, requantization, narrow.center.data(), narrow.step.data());
}

kernels::StepSums total_of(std::span<const kernels::StepSums> by_slice) {
  kernels::StepSums total;
  for (const kernels::StepSums& of_slice : by_slice) {
    total.include(of_slice);
  }
  return total;
}

}  // namespace

kernels::StepSums ProductSums::step_sums(const kernels::Requantization& requantization,
                                         const autograd::Backward& backward, const NarrowSums* narrow) const {
  const auto* const pooled = backward.lazy_dy<autograd::PooledGradient>();
  const Tensor dy = pooled != nullptr ? pooled->dy : backward.dy();
  const std::int64_t row = pooled != nullptr ? pooled->shape.output_row() : shape_.output_row();
  std::vector<kernels::StepSums> by_slice(static_cast<std::size_t>(kernels::conv_slices(shape_).count));
  if (narrow != nullptr && pooled == nullptr && kernels::narrow_error(requantization, narrow->step) <= kNarrowError) {
    const Slices slices = kernels::conv_slices(shape_);
    parallel_slices(slices.count, [&](std::int64_t slice) {
      by_slice[static_cast<std::size_t>(slice)] =
          dy.dtype() == DType::BF16 ? sums_of_narrow<bfloat16>(dy, row, slices[slice], *narrow, requantization)
                                    : sums_of_narrow<float>(dy, row, slices[slice], *narrow, requantization);
    });
    return total_of(by_slice);
  }
  visit_all([&](std::int64_t slice, Range images, const std::int32_t* acc) {
    if (pooled != nullptr) {
      kernels::PoolShape pool = pooled->shape;
      pool.n = images.size();
      auto* const won =
          thread_scratch_of<std::int32_t>(static_cast<std::size_t>(images.size() * row), Scratch::PoolSums);
      kernels::take_winners(pool, acc, pooled->argmax.data<std::uint8_t>().data() + images.begin * row, won);
      acc = won;
    }
    by_slice[static_cast<std::size_t>(slice)].include(
        dy.dtype() == DType::BF16 ? sums_of_images<bfloat16>(dy, row, images, acc, requantization)
                                  : sums_of_images<float>(dy, row, images, acc, requantization));
  });
  return total_of(by_slice);
}

}  // namespace detent::quant
