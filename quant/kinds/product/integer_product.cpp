#include "detent/quant/kinds/product/integer_product.h"
#include "detent/kernels/codes/quantize.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <functional>
#include <variant>

#include "detent/core/memory.h"
#include "detent/kernels/product/int8_conv.h"
#include "detent/quant/kinds/product/product_sums.h"
#include "detent/quant/kinds/product/weight_groups.h"
#include "detent/quant/quantizers/weight_codes.h"

namespace detent::quant {
namespace {

/// Hands one slice's sums to requantize.
struct Epilogue {
  const kernels::ConvShape& shape;
  const kernels::Requantization& requantization;
  std::uint8_t* y;
  SliceMask* mask;
  SeenBySlice seen;

  void operator()(std::int64_t slice, Range images, const std::int32_t* acc) {
    const std::int64_t rows = images.size() * shape.out_h() * shape.out_w();
    kernels::requantize(acc, rows, requantization, y + images.begin * shape.output_row(),
                        mask ? mask->of(slice) : nullptr, seen.of(slice));
  }
};

}  // namespace

QuantizedWeight quantize_weight(const Tensor& weight, std::span<const float> bias, float input_scale,
                                const QuantizerSpec& spec, Arena* arena, std::span<const float> scales,
                                std::span<const float> factor) {
  const std::int64_t outputs = weight.shape()[0];
  const auto row = static_cast<std::size_t>(weight.shape().row_elements());
  const CodeRange codes = spec.codes();
  check(codes.is_signed() && spec.scheme == Scheme::Symmetric, "weights: expected signed symmetric codes, got ",
        to_text(spec));
  check(factor.empty() || std::holds_alternative<PerChannel>(spec.granularity),
        "weights: expected factors with one scale for each channel alone, got ", to_text(spec));
  if (has_groups(weight.shape(), spec)) {
    return quantize_groups(weight, bias, input_scale, spec, arena, scales);
  }
  const std::span<const float> values = weight.data<float>();
  const auto row_of = [row](auto span, std::int64_t o) { return span.subspan(static_cast<std::size_t>(o) * row, row); };
  // Number `index` of what shares a scale, with these values, and of the channels whose biases these are.
  const auto codes_of = [&](std::size_t index, std::span<const float> of_channels, std::span<const float> biases) {
    WeightCodes made = scales.empty() ? WeightCodes(spec, of_channels, "a channel") : WeightCodes(spec, scales[index]);
    for (const float b : biases) {
      made.fit(b, input_scale);
    }
    return made;
  };
  QuantizedWeight result{Tensor::empty(weight.shape(), DType::S8, arena), {}};
  const std::span<std::int8_t> q = result.codes.data<std::int8_t>();
  const Slices slices = slice_by_bytes(outputs, static_cast<std::int64_t>(row * sizeof(float)));
  const auto for_each_output = [&](auto&& fn) {
    parallel_slices(slices.count, [&](std::int64_t slice) {
      for (std::int64_t o = slices[slice].begin; o < slices[slice].end; ++o) {
        fn(o);
      }
    });
  };

  if (spec.is_per_tensor()) {
    const WeightCodes made = codes_of(0, values, bias);
    for_each_output([&](std::int64_t o) { made.quantize(row_of(values, o), row_of(q, o).data()); });
    result.qparams = QParams::per_tensor({made.scale(), 0}, codes);
    return result;
  }
  result.qparams = {std::vector<float>(static_cast<std::size_t>(outputs)),
                    std::vector<std::int32_t>(static_cast<std::size_t>(outputs), 0), 0, codes};
  // A channel's range is taken and its codes are made while it is in cache.
  for_each_output([&](std::int64_t o) {
    const auto output = static_cast<std::size_t>(o);
    std::span<const float> of_channel = row_of(values, o);
    if (!factor.empty()) {
      auto* const scaled = thread_scratch_of<float>(row);
      std::ranges::transform(of_channel, scaled, [f = factor[output]](float w) { return w * f; });
      of_channel = {scaled, row};
    }
    const std::size_t has_bias = bias.empty() ? 0 : 1;
    const WeightCodes made = codes_of(output, of_channel, bias.subspan(output * has_bias, has_bias));
    result.qparams.scale[output] = made.scale();
    made.quantize(of_channel, row_of(q, o).data());
  });
  return result;
}

SliceMask::SliceMask(const kernels::ConvShape& shape, Arena* arena) {
  const Slices slices = kernels::conv_slices(shape);
  std::int64_t images = 0;
  for (std::int64_t slice = 0; slice < slices.count; ++slice) {
    images = std::max(images, slices[slice].size());
  }
  slice_bytes_ = kernels::mask_bytes(images * shape.output_row());
  bits_ = Tensor::empty({slices.count * slice_bytes_}, DType::U8, arena);
}

SliceMask SliceMask::joined(const kernels::ConvShape& shape, const Tensor& bits, Arena* arena) const {
  const Slices slices = kernels::conv_slices(shape);
  const std::int64_t row = shape.output_row() / 8;
  SliceMask result;
  result.slice_bytes_ = slice_bytes_;
  result.bits_ = Tensor::empty(bits_.shape(), DType::U8, arena);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range images = slices[slice];
    std::transform(of(slice), of(slice) + images.size() * row, bits.data<std::uint8_t>().data() + images.begin * row,
                   result.of(slice), std::bit_and<std::uint8_t>());
  });
  return result;
}

void integer_product(const kernels::ConvShape& shape, const Tensor& x, const kernels::PackedWeight& weight,
                     const kernels::Requantization& requantization, Tensor& y, SliceMask* mask, MinMax* seen) {
  Epilogue epilogue{shape, requantization, y.data<std::uint8_t>().data(), mask,
                    SeenBySlice(kernels::conv_slices(shape).count, seen)};
  kernels::conv2d_integer(shape, x.data<std::uint8_t>().data(), input_map(x).zero_point, weight, std::ref(epilogue));
}

ScaleZero input_map(const Tensor& x) {
  check(x.qparams() != nullptr, "integer product: expected codes with their scale, got plain numbers of type ",
        x.dtype());
  return x.qparams()->tensor();
}

kernels::ProductCodes product_codes(const Tensor& x, CodeRange weight) {
  return {.x = x.qparams()->codes.qmax, .weight = weight.qmax};
}

namespace {

/// By Int8Conv, where it serves; says whether it did.
bool product_in_registers(const kernels::ConvShape& shape, const Tensor& x, const Tensor& weight,
                          const kernels::Requantization& requantization, Tensor& y, SliceMask* mask, MinMax* seen) {
  const kernels::Int8Conv layer = kernels::Int8Conv::make_observed(shape, weight.data<std::int8_t>().data(),
                                                                   input_map(x).zero_point, requantization);
  if (!layer.defined()) {
    return false;
  }
  const Slices slices = kernels::conv_slices(shape);
  SeenBySlice seen_by_slice(slices.count, seen);
  std::uint8_t* const y_q = y.data<std::uint8_t>().data();
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range images = slices[slice];
    layer.observe(x.data<std::uint8_t>().data() + images.begin * shape.input_row(), images.size(),
                  y_q + images.begin * shape.output_row(), mask ? mask->of(slice) : nullptr, seen_by_slice.of(slice));
  });
  return true;
}

}  // namespace

void integer_product(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                     const kernels::Requantization& requantization, Tensor& y, SliceMask* mask, MinMax* seen) {
  if (weight.qparams.is_per_group()) {
    group_product(shape, x, weight, requantization, y, mask, seen);
  } else if (!product_in_registers(shape, x, weight.codes, requantization, y, mask, seen)) {
    const kernels::PackedWeight packed = kernels::pack_integer(
        shape, weight.codes.data<std::int8_t>().data(), weight.codes.owner(), product_codes(x, weight.qparams.codes));
    integer_product(shape, x, packed, requantization, y, mask, seen);
  }
}

void integer_product(const kernels::ConvShape& shape, const Tensor& x, const Tensor& weight,
                     const kernels::PackedWeight& packed, const kernels::Requantization& requantization, Tensor& y,
                     SliceMask* mask, MinMax* seen) {
  if (!product_in_registers(shape, x, weight, requantization, y, mask, seen)) {
    integer_product(shape, x, packed, requantization, y, mask, seen);
  }
}

Tensor numbers_of(const QuantizedWeight& weight, DType dtype, Arena* arena) {
  return (weight.qparams.is_per_group() ? group_numbers(weight, arena) : weight.codes).as(dtype, arena);
}

Tensor real_results(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                    const kernels::Requantization& requantization, Arena* arena) {
  return weight.qparams.is_per_group() ? group_reals(shape, x, weight, requantization, arena)
                                       : ProductSums(shape, x, weight, arena).reals(requantization, arena);
}

int SumRange::bits() const {
  // -2^(b - 1) to 2^(b - 1) - 1
  return 1 + static_cast<int>(std::bit_width(static_cast<std::uint64_t>(std::max(highest, -(lowest + 1)))));
}

SumRange sum_range(const Tensor& weight_codes, const QParams& input, std::span<const std::int32_t> bias) {
  const std::int64_t below = input.codes.qmin - input.tensor().zero_point;
  const std::int64_t above = input.codes.qmax - input.tensor().zero_point;
  const std::int64_t row = weight_codes.shape().row_elements();
  const std::span<const std::int8_t> codes = weight_codes.data<std::int8_t>();
  SumRange range;
  for (std::int64_t o = 0; o < weight_codes.shape()[0]; ++o) {
    std::int64_t positive = 0;
    std::int64_t negative = 0;
    for (const std::int8_t code : codes.subspan(static_cast<std::size_t>(o * row), static_cast<std::size_t>(row))) {
      (code > 0 ? positive : negative) += code;
    }
    const std::int64_t offset = bias.empty() ? 0 : bias[static_cast<std::size_t>(o)];
    range.lowest = std::min(range.lowest, positive * below + negative * above + offset);
    range.highest = std::max(range.highest, positive * above + negative * below + offset);
  }
  return range;
}

}  // namespace detent::quant
