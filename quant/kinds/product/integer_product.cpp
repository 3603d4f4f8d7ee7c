#include "detent/quant/kinds/product/integer_product.h"
#include "detent/kernels/codes/quantize.h"

#include <algorithm>
#include <cstdlib>

#include "detent/kernels/product/int8_conv.h"

namespace detent::quant {
namespace {

/// Runs `body(slice, seen)` for all slices and includes what they saw in `seen`, if that is wanted.
class SeenBySlice {
 public:
  SeenBySlice(std::int64_t slices, MinMax* total)
      : by_slice_(total ? static_cast<std::size_t>(slices) : 0), total_(total) {}
  ~SeenBySlice() {
    for (const MinMax& seen : by_slice_) {
      total_->include(seen);
    }
  }
  SeenBySlice(const SeenBySlice&) = delete;
  SeenBySlice& operator=(const SeenBySlice&) = delete;
  MinMax* of(std::int64_t slice) { return total_ ? &by_slice_[static_cast<std::size_t>(slice)] : nullptr; }

 private:
  std::vector<MinMax> by_slice_;
  MinMax* total_;
};

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

const std::uint8_t* codes_of(const Tensor& x) { return x.data<std::uint8_t>().data(); }

ScaleZero map_of(const Tensor& x) {
  check(x.qparams() != nullptr, "integer product: expected codes with their scale, got plain numbers of type ",
        x.dtype());
  return x.qparams()->tensor();
}

}  // namespace

QuantizedWeight quantize_weight(const Tensor& weight, std::span<const float> bias, float input_scale,
                                const WeightQuantizer& config, Arena* arena) {
  const std::int64_t outputs = weight.shape()[0];
  const auto row = static_cast<std::size_t>(weight.shape().row_elements());
  const CodeRange range = signed_codes(config.bits);
  const std::span<const float> values = weight.data<float>();
  const auto row_of = [row](auto span, std::int64_t o) { return span.subspan(static_cast<std::size_t>(o) * row, row); };
  // Of the channels whose biases these are.
  const auto map_of_range = [&](const MinMax& r, std::span<const float> biases) {
    check(!r.empty(), "weights: no finite value in a channel; training has diverged");
    ScaleZero map = choose_qparams(r.min, r.max, range, config.scheme);
    for (const float b : biases) {
      map.scale = scale_for_bias(map.scale, b, input_scale);
    }
    return map;
  };
  Tensor codes = Tensor::empty(weight.shape(), DType::S8, arena);
  const std::span<std::int8_t> q = codes.data<std::int8_t>();
  const Slices slices = slice_by_bytes(outputs, static_cast<std::int64_t>(row * sizeof(float)));
  const auto for_each_output = [&](auto&& fn) {
    parallel_slices(slices.count, [&](std::int64_t slice) {
      for (std::int64_t o = slices[slice].begin; o < slices[slice].end; ++o) {
        fn(o);
      }
    });
  };

  std::vector<ScaleZero> maps(static_cast<std::size_t>(outputs));
  if (config.granularity == Granularity::PerChannel) {
    // A channel's range is taken and its codes are made while it is in cache.
    for_each_output([&](std::int64_t o) {
      ScaleZero& map = maps[static_cast<std::size_t>(o)];
      const std::size_t has_bias = bias.empty() ? 0 : 1;
      map = map_of_range(kernels::min_max(row_of(values, o)),
                         bias.subspan(static_cast<std::size_t>(o) * has_bias, has_bias));
      kernels::quantize(row_of(values, o), map, range, row_of(q, o).data());
    });
  } else {
    std::vector<MinMax> ranges(maps.size());
    for_each_output([&](std::int64_t o) { ranges[static_cast<std::size_t>(o)] = kernels::min_max(row_of(values, o)); });
    MinMax whole;
    for (const MinMax& r : ranges) {
      whole.include(r);
    }
    maps.assign(1, map_of_range(whole, bias));
    for_each_output([&](std::int64_t o) { kernels::quantize(row_of(values, o), maps[0], range, row_of(q, o).data()); });
  }
  QParams qparams;
  qparams.codes = range;
  qparams.axis = config.granularity == Granularity::PerChannel ? 0 : -1;
  for (const ScaleZero& map : maps) {
    qparams.scale.push_back(map.scale);
    qparams.zero_point.push_back(map.zero_point);
  }
  return {codes, std::move(qparams)};
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

void integer_product(const kernels::ConvShape& shape, const Tensor& x, const kernels::PackedWeight& weight,
                     const kernels::Requantization& requantization, Tensor& y, SliceMask* mask, MinMax* seen) {
  Epilogue epilogue{shape, requantization, y.data<std::uint8_t>().data(), mask,
                    SeenBySlice(kernels::conv_slices(shape).count, seen)};
  kernels::conv2d_integer(shape, codes_of(x), map_of(x).zero_point, weight, std::ref(epilogue));
}

kernels::ProductCodes product_codes(const Tensor& x, CodeRange weight) {
  return {.x = x.qparams()->codes.qmax, .weight = weight.qmax};
}

void integer_product(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                     const kernels::Requantization& requantization, Tensor& y, SliceMask* mask, MinMax* seen) {
  const std::int8_t* const codes = weight.codes.data<std::int8_t>().data();
  const kernels::Int8Conv layer = kernels::Int8Conv::make_observed(shape, codes, map_of(x).zero_point, requantization);
  if (!layer.defined()) {
    const kernels::PackedWeight packed =
        kernels::pack_integer(shape, codes, weight.codes.owner(), product_codes(x, weight.qparams.codes));
    integer_product(shape, x, packed, requantization, y, mask, seen);
    return;
  }
  const Slices slices = kernels::conv_slices(shape);
  SeenBySlice seen_by_slice(slices.count, seen);
  std::uint8_t* const y_q = y.data<std::uint8_t>().data();
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range images = slices[slice];
    layer.observe(codes_of(x) + images.begin * shape.input_row(), images.size(),
                  y_q + images.begin * shape.output_row(), mask ? mask->of(slice) : nullptr, seen_by_slice.of(slice));
  });
}

Tensor integer_sums(const kernels::ConvShape& shape, const Tensor& x, const kernels::PackedWeight& weight,
                    Arena* arena) {
  Tensor sums = Tensor::empty({shape.n, shape.out_h(), shape.out_w(), shape.o}, DType::S32, arena);
  std::int32_t* const memory = sums.data<std::int32_t>().data();
  kernels::conv2d_integer(
      shape, codes_of(x), map_of(x).zero_point, weight, [&](std::int64_t, Range images, const std::int32_t* acc) {
        std::copy_n(acc, images.size() * shape.output_row(), memory + images.begin * shape.output_row());
      });
  return sums;
}

void requantize_sums(const kernels::ConvShape& shape, const Tensor& sums, const kernels::Requantization& requantization,
                     Tensor& y, SliceMask* mask, MinMax* seen) {
  const Slices slices = kernels::conv_slices(shape);
  Epilogue epilogue{shape, requantization, y.data<std::uint8_t>().data(), mask, SeenBySlice(slices.count, seen)};
  const std::int32_t* const memory = sums.data<std::int32_t>().data();
  parallel_slices(slices.count, [&](std::int64_t slice) {
    epilogue(slice, slices[slice], memory + slices[slice].begin * shape.output_row());
  });
}

std::int64_t sum_bound(const Tensor& weight_codes, ScaleZero input, std::span<const std::int32_t> bias) {
  const std::int64_t reach = std::max(input.zero_point, 255 - input.zero_point);
  const std::int64_t row = weight_codes.shape().row_elements();
  const std::span<const std::int8_t> codes = weight_codes.data<std::int8_t>();
  std::int64_t bound = 0;
  for (std::int64_t o = 0; o < weight_codes.shape()[0]; ++o) {
    std::int64_t sum = bias.empty() ? 0 : std::abs(std::int64_t{bias[static_cast<std::size_t>(o)]});
    for (std::int64_t k = 0; k < row; ++k) {
      sum += reach * std::abs(static_cast<int>(codes[static_cast<std::size_t>(o * row + k)]));
    }
    bound = std::max(bound, sum);
  }
  return bound;
}

}  // namespace detent::quant
