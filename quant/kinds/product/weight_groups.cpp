#include "detent/quant/kinds/product/weight_groups.h"

#include <algorithm>
#include <cmath>

#include "detent/kernels/product/group_product.h"
#include "detent/quant/quantizers/weight_codes.h"

namespace detent::quant {
namespace {

Tensor group_totals(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                    const kernels::Requantization& r, Arena* arena) {
  Tensor totals = Tensor::empty({shape.n, shape.out_h(), shape.out_w(), shape.o}, DType::F32, arena);
  const kernels::GroupProduct product(shape, weight.codes.data<std::int8_t>().data(), weight.qparams.group,
                                      product_codes(x, weight.qparams.codes));
  product.totals(shape, x.data<std::uint8_t>().data(), input_map(x).zero_point, r, totals.data<float>().data());
  return totals;
}

/// Calls body(slice, first, rows): of a slice the number, the first element of the result, and the rows of outputs.
template <typename Body>
void for_each_slice(const kernels::ConvShape& shape, Body&& body) {
  const Slices slices = kernels::conv_slices(shape);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    body(slice, slices[slice].begin * shape.output_row(), slices[slice].size() * shape.out_h() * shape.out_w());
  });
}

}  // namespace

bool has_groups(const Shape& weight, const QuantizerSpec& spec) {
  const auto* const group = std::get_if<PerGroup>(&spec.granularity);
  return group != nullptr && WeightGroups(weight, group->size).count() > 1;
}

QuantizedWeight quantize_groups(const Tensor& weight, std::span<const float> bias, float input_scale,
                                const QuantizerSpec& spec, Arena* arena, std::span<const float> given) {
  const std::int64_t size = std::get<PerGroup>(spec.granularity).size;
  const WeightGroups groups(weight.shape(), size);
  const std::int64_t outputs = weight.shape()[0];
  const auto row = static_cast<std::size_t>(weight.shape().row_elements());
  const auto count = static_cast<std::size_t>(outputs * groups.count());
  QuantizedWeight result{Tensor::empty(weight.shape(), DType::S8, arena), {}};
  result.qparams = {
      std::vector<float>(count), std::vector<std::int32_t>(count, 0), 0, spec.codes(), size, groups.count()};
  const Slices slices = slice_by_bytes(outputs, static_cast<std::int64_t>(row * sizeof(float)));
  const auto quantize_channel = [&](std::size_t o) {
    const std::span<const float> values = weight.data<float>().subspan(o * row, row);
    const std::span<std::int8_t> codes = result.codes.data<std::int8_t>().subspan(o * row, row);
    const std::span<float> scales =
        std::span(result.qparams.scale)
            .subspan(o * static_cast<std::size_t>(groups.count()), static_cast<std::size_t>(groups.count()));
    std::vector<float> of_group;
    std::vector<std::int8_t> codes_of_group(row);
    const auto take_group = [&](std::int64_t g) {
      of_group.clear();
      groups.for_each(g, [&](std::size_t k) { of_group.push_back(values[k]); });
    };
    std::vector<WeightCodes> made;
    for (std::int64_t g = 0; g < groups.count(); ++g) {
      if (given.empty()) {
        take_group(g);
        made.emplace_back(spec, of_group, "a group of channels");
      } else {
        made.emplace_back(spec, given[o * static_cast<std::size_t>(groups.count()) + static_cast<std::size_t>(g)]);
      }
    }
    if (!bias.empty()) {
      std::ranges::max_element(made, {}, &WeightCodes::scale)->fit(bias[o], input_scale);
    }
    std::ranges::transform(made, scales.begin(), &WeightCodes::scale);
    for (std::int64_t g = 0; g < groups.count(); ++g) {
      take_group(g);
      made[static_cast<std::size_t>(g)].quantize(of_group, codes_of_group.data());
      groups.for_each(g, [&, next = std::size_t{0}](std::size_t k) mutable { codes[k] = codes_of_group[next++]; });
    }
  };
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t o = slices[slice].begin; o < slices[slice].end; ++o) {
      quantize_channel(static_cast<std::size_t>(o));
    }
  });
  return result;
}

Tensor group_numbers(const QuantizedWeight& weight, Arena* arena) {
  const WeightGroups groups(weight.codes.shape(), weight.qparams.group);
  Tensor numbers = weight.codes.as(DType::F32, arena);
  const auto row = static_cast<std::size_t>(numbers.shape().row_elements());
  for (std::size_t o = 0; o < weight.qparams.channels(); ++o) {
    for (std::int64_t g = 0; g < groups.count(); ++g) {
      const float share = weight.qparams.scale_of(o, g) / weight.qparams.scale_of(o);
      groups.for_each(g, [&](std::size_t k) { numbers.data<float>()[o * row + k] *= share; });
    }
  }
  return numbers;
}

void group_product(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                   const kernels::Requantization& requantization, Tensor& y, SliceMask* mask, MinMax* seen) {
  const Tensor totals = group_totals(shape, x, weight, requantization, nullptr);
  SeenBySlice seen_by_slice(kernels::conv_slices(shape).count, seen);
  for_each_slice(shape, [&](std::int64_t slice, std::int64_t first, std::int64_t rows) {
    kernels::requantize_totals(totals.data<float>().data() + first, rows, requantization,
                               y.data<std::uint8_t>().data() + first, mask ? mask->of(slice) : nullptr,
                               seen_by_slice.of(slice));
  });
}

IntegerSums joined_group_sums(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                              Arena* arena) {
  constexpr int kMostFractionBits = 8;
  const kernels::ProductCodes codes = product_codes(x, weight.qparams.codes);
  int bits = 0;
  for (std::int64_t bound = std::int64_t{codes.x} * codes.weight * shape.depth();
       bits < kMostFractionBits && bound << (bits + 1) < kLargestBias;) {
    ++bits;
  }
  IntegerSums result{Tensor::empty({shape.n, shape.out_h(), shape.out_w(), shape.o}, DType::S32, arena), {}};
  result.unit.axis = 0;
  result.unit.codes = weight.qparams.codes;
  const auto outputs = static_cast<std::size_t>(shape.o);
  kernels::Requantization shares{
      .multiplier = {}, .bias = {}, .real_scale = {}, .output = {}, .codes = {}, .groups = weight.qparams.groups};
  shares.bias_multiplier.assign(outputs, 1.0F);
  for (std::int64_t g = 0; g < weight.qparams.groups; ++g) {
    for (std::size_t o = 0; o < outputs; ++o) {
      shares.multiplier.push_back(weight.qparams.scale_of(o, g) / weight.qparams.scale_of(o));
    }
  }
  for (std::size_t o = 0; o < outputs; ++o) {
    result.unit.scale.push_back(std::ldexp(weight.qparams.scale_of(o), -bits));
    result.unit.zero_point.push_back(0);
  }
  const Tensor totals = group_totals(shape, x, weight, shares, arena);
  for_each_slice(shape, [&](std::int64_t, std::int64_t first, std::int64_t rows) {
    kernels::round_totals(totals.data<float>().data() + first, rows * shape.o, std::ldexp(1.0F, bits),
                          result.sums.data<std::int32_t>().data() + first);
  });
  return result;
}

Tensor group_reals(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                   const kernels::Requantization& requantization, Arena* arena) {
  const Tensor totals = group_totals(shape, x, weight, requantization, arena);
  Tensor reals = Tensor::empty(totals.shape(), DType::F32, arena);
  for_each_slice(shape, [&](std::int64_t, std::int64_t first, std::int64_t rows) {
    kernels::real_values_of_totals(totals.data<float>().data() + first, rows, requantization,
                                   reals.data<float>().data() + first);
  });
  return reals;
}

}  // namespace detent::quant
