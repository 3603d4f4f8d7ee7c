#include <algorithm>

#include "detent/core/vectorized.h"
#include "detent/kernels/product/conv_internal.h"
#include "detent/kernels/product/depthwise/depthwise.h"

namespace detent::kernels {
namespace {

using onednn::Product;

/// f32 sums of this many products of codes stay below 2^24, so they are exact: 512 * 255 * 127 = 16,581,120.
constexpr std::int64_t kExactDepth = 512;
/// Elements of the matrix of input patches that the exact path makes at a time.
constexpr std::int64_t kPatchElements = 128 * 1024;

DETENT_VECTORIZED void subtract_row(std::int32_t* acc, const std::int32_t* row, std::int64_t count,
                                    std::int64_t columns) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t o = 0; o < columns; ++o) {
      acc[i * columns + o] -= row[o];
    }
  }
}

DETENT_VECTORIZED void add_exact_sums(const float* sums, std::int64_t count, std::int32_t* acc) {
  for (std::int64_t o = 0; o < count; ++o) {
    acc[o] += static_cast<std::int32_t>(sums[o]);
  }
}

/// The codes that output pixel `pixel` of `image` sees in group `group`, less their zero point: [KH, KW, C / groups].
void gather_patch(const ConvShape& s, const std::uint8_t* image, std::int32_t zero_point, std::int64_t pixel,
                  std::int64_t group, float* patch) {
  const std::int64_t channels = s.c / s.groups;
  const std::int64_t top = pixel / s.out_w() * s.stride_h - s.padding.top;
  const std::int64_t left = pixel % s.out_w() * s.stride_w - s.padding.left;
  for (std::int64_t i = 0; i < s.kh; ++i) {
    const std::int64_t row = top + i * s.dilation_h;
    for (std::int64_t j = 0; j < s.kw; ++j, patch += channels) {
      const std::int64_t column = left + j * s.dilation_w;
      if (row < 0 || row >= s.h || column < 0 || column >= s.w) {
        std::fill_n(patch, channels, 0.0F);
        continue;
      }
      const std::uint8_t* codes = image + (row * s.w + column) * s.c + group * channels;
      for (std::int64_t c = 0; c < channels; ++c) {
        patch[c] = static_cast<float>(codes[c] - zero_point);
      }
    }
  }
}

/// One slice without VNNI: patches times weights in f32, in chunks whose sums are exact, added up in s32.
void exact_sums(const ConvShape& s, Range images, const std::uint8_t* x_q, std::int32_t zero_point, const float* weight,
                std::int32_t* acc) {
  const std::int64_t depth = s.depth();
  const std::int64_t outputs = s.o / s.groups;
  const std::int64_t image_pixels = s.out_h() * s.out_w();
  const std::int64_t pixels = images.size() * image_pixels;
  const std::int64_t block = std::clamp<std::int64_t>(kPatchElements / depth, 1, pixels);
  float* patches = thread_scratch_of<float>(static_cast<std::size_t>(block * depth), Scratch::ProductInput);
  float* sums = thread_scratch_of<float>(static_cast<std::size_t>(block * outputs), Scratch::ProductConversion);
  std::fill_n(acc, pixels * s.o, 0);
  for (std::int64_t group = 0; group < s.groups; ++group) {
    for (std::int64_t first = 0; first < pixels; first += block) {
      const std::int64_t count = std::min(block, pixels - first);
      for (std::int64_t p = 0; p < count; ++p) {
        const std::int64_t image = images.begin + (first + p) / image_pixels;
        gather_patch(s, x_q + image * s.input_row(), zero_point, (first + p) % image_pixels, group,
                     patches + p * depth);
      }
      for (std::int64_t k = 0; k < depth; k += kExactDepth) {
        onednn::sgemm_nt(count, std::min(kExactDepth, depth - k), outputs, patches + k, depth,
                         weight + group * outputs * depth + k, depth, sums, outputs);
        for (std::int64_t p = 0; p < count; ++p) {
          add_exact_sums(sums + p * outputs, outputs, acc + (first + p) * s.o + group * outputs);
        }
      }
    }
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
  if (is_linear(shape)) {
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
  if (!has_int8_units()) {
    impl->bytes = static_cast<std::size_t>(shape.weight_elements()) * sizeof(float);
    const auto data = allocate_aligned(impl->bytes);
    std::copy_n(weight, shape.weight_elements(), reinterpret_cast<float*>(data.get()));
    impl->layout = WeightLayout::Exact;
    impl->data = data;
    return PackedWeight(std::move(impl));
  }
  if (is_linear(shape)) {
    impl->sums = output_sums(shape, weight);
  }
  if (is_linear(shape) && owner) {
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
                    const PackedWeight& weight, const SumsConsumer& consume) {
  shape.validate();
  check(x_zero_point >= 0 && x_zero_point <= 255, "conv2d_integer: expected a zero point in [0, 255], got ",
        x_zero_point);
  const PackedWeight::Impl& packed = packed_for("conv2d_integer", weight, Product::Integer, shape, DType::S8);
  const Slices slices = conv_slices(shape);
  const std::size_t most_sums = static_cast<std::size_t>((slices.rows / slices.count + 1) * shape.output_row());
  if (packed.layout == WeightLayout::Exact) {
    parallel_slices(slices.count, [&](std::int64_t slice) {
      auto* acc = thread_scratch_of<std::int32_t>(most_sums, Scratch::ProductSums);
      exact_sums(shape, slices[slice], x_q, x_zero_point, reinterpret_cast<const float*>(packed.data.get()), acc);
      consume(slice, slices[slice], acc);
    });
    return;
  }
  if (packed.layout == WeightLayout::Depthwise) {
    parallel_slices(slices.count, [&](std::int64_t index) {
      const Range images = slices[index];
      ConvShape slice = shape;
      slice.n = images.size();
      auto* acc = thread_scratch_of<std::int32_t>(most_sums, Scratch::ProductSums);
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
    auto* acc = thread_scratch_of<std::int32_t>(most_sums, Scratch::ProductSums);
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
