#include <algorithm>

#include "detent/core/processor/vectorized.h"
#include "detent/kernels/product/conv_internal.h"
#include "detent/kernels/product/depthwise/depthwise.h"
#include "detent/kernels/product/int8/product.h"

namespace detent::kernels {
namespace {

using onednn::Product;

DETENT_VECTORIZED void subtract_row(std::int32_t* acc, const std::int32_t* row, std::int64_t count,
                                    std::int64_t columns) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t o = 0; o < columns; ++o) {
      acc[i * columns + o] -= row[o];
    }
  }
}

/// oneDNN's products, which need VNNI of 512 bits, are left to linear layers, whose weights they take unpacked, and to
/// groups, whose channels tiles would copy.
bool runs_on_tiles(const ConvShape& shape) { return !has_int8_units() || (!shape.is_linear() && shape.groups == 1); }

/// The sums of some images on tiles.
void tile_sums(const ConvShape& s, const std::uint8_t* x_q, std::int64_t images, std::int32_t zero_point,
               const Int8Product& product, const std::int32_t* start, std::int32_t* acc) {
  const Int8Results results{.kernels = &Int8Unit::sums, .start = start, .bytes = sizeof(std::int32_t)};
  auto* const y = reinterpret_cast<std::uint8_t*>(acc);
  if (s.is_linear()) {
    product.run_rows(x_q, images, {0, product.blocks()}, results, y);
    return;
  }
  for (std::int64_t i = 0; i < images; ++i) {
    product.run_image(x_q + i * s.input_row(), static_cast<std::uint8_t>(zero_point), {0, s.out_h()}, results,
                      y + i * s.output_row() * results.bytes);
  }
}

onednn::GemmOptions linear_options(const ConvShape& shape, std::int64_t rows, WeightLayout layout) {
  return {.m = rows,
          .k = shape.c,
          .n = shape.o,
          .transpose_b = true,
          .lda = shape.c,
          .ldb = shape.c,
          .ldy = shape.o,
          .packed_b = layout == WeightLayout::Blocked,
          .dtype = DType::U8,
          .out = DType::S32};
}

onednn::PlanPointer integer_plan(const ConvShape& shape, std::int64_t images, WeightLayout layout) {
  if (shape.is_linear()) {
    return onednn::gemm_plan(linear_options(shape, images, layout));
  }
  ConvShape slice = shape;
  slice.n = images;
  return onednn::conv_plan(slice, {.product = Product::Integer, .dtype = DType::U8, .out = DType::S32});
}

DETENT_VECTORIZED std::int32_t sum_of(const std::int8_t* codes, std::int64_t count) {
  std::int32_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    sum += codes[i];
  }
  return sum;
}

std::vector<std::int32_t> output_sums(const ConvShape& shape, const std::int8_t* weight) {
  std::vector<std::int32_t> sums(static_cast<std::size_t>(shape.o));
  const Slices slices = slice_by_bytes(shape.o, shape.depth());
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t o = slices[slice].begin; o < slices[slice].end; ++o) {
      sums[static_cast<std::size_t>(o)] = sum_of(weight + o * shape.depth(), shape.depth());
    }
  });
  return sums;
}

}  // namespace

void ProductCodes::check_depth(std::int64_t depth) const {
  check(depth <= largest_depth(), "a sum of ", depth, " products of codes up to ", x, " and ", weight,
        " may pass 2^31; expected at most ", largest_depth(),
        ": give the layer fewer inputs, or weights or activations fewer bits, or keep it in float");
}

PackedWeight pack_integer(const ConvShape& shape, const std::int8_t* weight, std::shared_ptr<const void> owner,
                          ProductCodes codes) {
  shape.validate();
  codes.check_depth(shape.depth());
  auto impl = std::make_shared<PackedWeight::Impl>();
  impl->shape = shape;
  impl->shape.n = 1;
  impl->dtype = DType::S8;
  impl->product = Product::Integer;
  if (depthwise::serves(shape)) {
    depthwise::Codes packed = depthwise::pack_codes(shape, weight);
    impl->bytes = packed.bytes;
    impl->layout = WeightLayout::Depthwise;
    impl->data = std::move(packed.data);
    impl->sums = std::move(packed.sums);
    return PackedWeight(std::move(impl));
  }
  if (runs_on_tiles(shape)) {
    impl->tiles = std::make_shared<Int8Product>(shape, weight);
    impl->bytes = impl->tiles->weight_bytes();
    impl->layout = WeightLayout::Tiles;
    impl->data = impl->tiles->weight();
    return PackedWeight(std::move(impl));
  }
  if (shape.is_linear()) {
    impl->sums = output_sums(shape, weight);
  }
  if (shape.is_linear() && owner) {
    impl->layout = WeightLayout::Plain;
    impl->bytes = static_cast<std::size_t>(shape.weight_elements());
    impl->data = {std::move(owner), reinterpret_cast<const std::byte*>(weight)};
  } else {
    const onednn::PlanPointer plan = integer_plan(shape, images_per_slice(shape), WeightLayout::Blocked);
    impl->bytes = onednn::weight_bytes(*plan);
    const auto data = allocate_aligned(impl->bytes);
    onednn::pack_weight(*plan, weight, data.get());
    impl->layout = WeightLayout::Blocked;
    impl->data = data;
  }
  return PackedWeight(std::move(impl));
}

void conv2d_integer(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point,
                    const PackedWeight& weight, const SumsConsumer& consume, std::int32_t* sums) {
  conv2d_integer(shape, conv_slices(shape), x_q, x_zero_point, weight, consume, sums);
}

void conv2d_integer(const ConvShape& shape, const Slices& slices, const std::uint8_t* x_q, std::int32_t x_zero_point,
                    const PackedWeight& weight, const SumsConsumer& consume, std::int32_t* sums) {
  shape.validate();
  check(x_zero_point >= 0 && x_zero_point <= 255, "conv2d_integer: expected a zero point in [0, 255], got ",
        x_zero_point);
  const PackedWeight::Impl& packed = packed_for("conv2d_integer", weight, Product::Integer, shape, DType::S8);
  const std::size_t most_sums = static_cast<std::size_t>((slices.rows / slices.count + 1) * shape.output_row());
  const auto memory_of = [&](Range images) {
    return sums != nullptr ? sums + images.begin * shape.output_row()
                           : thread_scratch_of<std::int32_t>(most_sums, Scratch::ProductSums);
  };
  if (packed.layout == WeightLayout::Tiles) {
    const std::vector<std::int32_t> start = packed.tiles->start(x_zero_point);
    parallel_slices(slices.count, [&](std::int64_t slice) {
      const Range images = slices[slice];
      std::int32_t* const acc = memory_of(images);
      tile_sums(shape, x_q + images.begin * shape.input_row(), images.size(), x_zero_point, *packed.tiles, start.data(),
                acc);
      consume(slice, images, acc);
    });
    return;
  }
  if (packed.layout == WeightLayout::Depthwise) {
    parallel_slices(slices.count, [&](std::int64_t index) {
      const Range images = slices[index];
      ConvShape slice = shape;
      slice.n = images.size();
      std::int32_t* const acc = memory_of(images);
      depthwise::integer_sums(slice, x_q + images.begin * shape.input_row(), x_zero_point, packed.data.get(),
                              packed.sums, acc);
      consume(index, images, acc);
    });
    return;
  }
  const SlicePlans plans(
      slices, [&](std::int64_t images) -> onednn::PlanPointer { return integer_plan(shape, images, packed.layout); });
  // What the zero point adds to every sum of a linear layer; convolutions have it subtracted by oneDNN.
  std::vector<std::int32_t> correction = packed.sums;
  for (std::int32_t& sum : correction) {
    sum *= x_zero_point;
  }
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range images = slices[slice];
    std::int32_t* const acc = memory_of(images);
    onednn::run(
        plans[images],
        {.a = x_q + images.begin * shape.input_row(), .b = packed.data.get(), .y = acc, .zero_point = x_zero_point});
    if (!correction.empty() && x_zero_point != 0) {
      subtract_row(acc, correction.data(), images.size(), shape.o);
    }
    consume(slice, images, acc);
  });
}

}  // namespace detent::kernels
