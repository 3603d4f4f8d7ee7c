#include "detent/quant/kinds/ops/quantized_ops.h"
#include "detent/kernels/codes/quantize.h"

#include <algorithm>
#include <memory>

#include "detent/core/conversion.h"
#include "detent/core/threads/parallel.h"
#include "detent/kernels/layers/dropout.h"
#include "detent/quant/kinds/ops/masked_gradient.h"

namespace detent::quant {
namespace {

using autograd::Backward;

/// Runs body(elements, seen) over slices; `seen`, if wanted, gets the union of what the slices saw.
template <typename Body>
void for_slices(std::int64_t elements, MinMax* seen, Body&& body) {
  const Slices slices = element_slices(elements);  // borders are whole bytes of a mask
  std::vector<MinMax> by_slice(static_cast<std::size_t>(slices.count));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    body(elements_of(slices[slice], elements), seen ? &by_slice[static_cast<std::size_t>(slice)] : nullptr);
  });
  for (std::size_t slice = 0; seen && slice < by_slice.size(); ++slice) {
    seen->include(by_slice[slice]);
  }
}

template <typename T>
std::span<T> part(std::span<T> all, Range range) {
  return all.subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size()));
}

Tensor make_mask(const Tensor& y, Arena* arena) {
  return Tensor::empty({kernels::mask_bytes(y.elements())}, DType::U8, arena);
}

std::uint8_t* bits(Tensor& mask, Range range) {
  return mask.defined() ? mask.data<std::uint8_t>().data() + range.begin / 8 : nullptr;
}

/// Of dy's type, f32 or bf16.
Tensor masked(const Tensor& dy, const Tensor& mask, Arena* arena) {
  Tensor dx = Tensor::empty(dy.shape(), dy.dtype(), arena);
  const auto apply = [&]<typename T>(T) {
    for_slices(dy.elements(), nullptr, [&](Range range, MinMax*) {
      kernels::apply_mask(part(dy.data<T>(), range), mask.data<std::uint8_t>().data() + range.begin / 8,
                          part(dx.data<T>(), range).data());
    });
  };
  dy.dtype() == DType::BF16 ? apply(bfloat16()) : apply(float());
  return dx;
}

}  // namespace

Tensor MaskedGradient::dense(Arena* arena) const { return masked(dy, mask, arena); }

ScaleZero map_of(const Tensor& codes, std::string_view what) {
  check(codes.qparams() != nullptr, what, ": expected codes, got plain ", codes.dtype(), " numbers");
  return codes.qparams()->tensor();
}

Variable quantize_op(const Variable& x, const std::shared_ptr<const QParams>& map, MinMax* seen) {
  check(x.dtype() == DType::F32, "quantize: expected f32 numbers, got ", x.dtype());
  Arena* const arena = x.tape().arena();
  Tensor y = Tensor::empty(x.shape(), DType::U8, arena);
  Tensor mask = x.needs_grad() ? make_mask(y, arena) : Tensor();
  for_slices(y.elements(), seen, [&](Range range, MinMax* slice_seen) {
    const std::span<const float> values = part(x.value().data<float>(), range);
    if (slice_seen) {
      *slice_seen = kernels::min_max(values);
    }
    kernels::quantize(values, map->tensor(), map->codes, part(y.data<std::uint8_t>(), range).data(), bits(mask, range));
  });
  return x.tape().record("quantize", y.with_qparams(map), {x}, [mask](Backward& backward) {
    backward.grad(0, [&] { return masked(backward.dy(), mask, backward.arena()); });
  });
}

Variable dequantize_op(const Variable& x) {
  const ScaleZero map = map_of(x.value(), "dequantize");
  Tensor y = x.tape().empty(x.shape());
  for_slices(y.elements(), nullptr, [&](Range range, MinMax*) {
    kernels::dequantize(part(x.value().data<std::uint8_t>(), range), map, part(y.data<float>(), range).data());
  });
  return x.tape().record("dequantize", std::move(y), {x},
                         [](Backward& backward) { backward.grad(0, [&] { return backward.dy(); }); });
}

Variable relu_codes(const Variable& x) {
  const std::int32_t zero = map_of(x.value(), "relu").zero_point;
  Arena* const arena = x.tape().arena();
  Tensor y = Tensor::empty(x.shape(), DType::U8, arena);
  for_slices(y.elements(), nullptr, [&](Range range, MinMax*) {
    const auto floor = static_cast<std::uint8_t>(zero);
    std::ranges::transform(part(x.value().data<std::uint8_t>(), range), part(y.data<std::uint8_t>(), range).begin(),
                           [floor](std::uint8_t q) { return std::max(q, floor); });
  });
  return x.tape().record("relu", y.with_qparams(x.value().qparams()), {x}, [y, zero](Backward& backward) {
    backward.grad(0, [&] {
      const Tensor dy = backward.dy().as(DType::F32, backward.arena());
      Tensor dx = Tensor::empty(dy.shape(), DType::F32, backward.arena());
      for_slices(dy.elements(), nullptr, [&](Range range, MinMax*) {
        std::ranges::transform(part(dy.data<float>(), range), part(y.data<std::uint8_t>(), range),
                               part(dx.data<float>(), range).begin(),
                               [zero](float g, std::uint8_t q) { return q > zero ? g : 0.0F; });
      });
      return dx;
    });
  });
}

Variable dropout_codes(const Variable& x, double p, const RandomStream& random) {
  const ScaleZero map = map_of(x.value(), "dropout");
  Arena* const arena = x.tape().arena();
  Tensor ones = Tensor::empty(x.shape(), DType::F32, arena);
  std::ranges::fill(ones.data<float>(), 1.0F);
  Tensor y = Tensor::empty(x.shape(), DType::U8, arena);
  Tensor mask = make_mask(y, arena);
  kernels::dropout_forward(y.elements(), ones.data<float>().data(), p, random, mask.data<std::uint8_t>().data(),
                           ones.data<float>().data());
  for_slices(y.elements(), nullptr, [&](Range range, MinMax*) {
    std::ranges::transform(part(x.value().data<std::uint8_t>(), range), part(ones.data<float>(), range),
                           part(y.data<std::uint8_t>(), range).begin(), [&](std::uint8_t q, float kept) {
                             return kept > 0.0F ? q : static_cast<std::uint8_t>(map.zero_point);
                           });
  });
  QParams scaled = *x.value().qparams();
  scaled.scale[0] = static_cast<float>(static_cast<double>(map.scale) / (1.0 - p));
  return x.tape().record("dropout", y.with_qparams(std::make_shared<const QParams>(std::move(scaled))), {x},
                         [mask, p](Backward& backward) {
                           backward.grad(0, [&] {
                             const Tensor dy = backward.dy().as(DType::F32, backward.arena());
                             Tensor dx = Tensor::empty(dy.shape(), DType::F32, backward.arena());
                             kernels::dropout_backward(dy.elements(), dy.data<float>().data(), p,
                                                       mask.data<std::uint8_t>().data(), dx.data<float>().data());
                             return dx;
                           });
                         });
}

Variable add_codes(const Variable& a, const Variable& b, const std::shared_ptr<const QParams>& map, bool relu,
                   MinMax* seen) {
  check(a.shape() == b.shape(), "add: expected two inputs of one shape, got ", a.shape(), " and ", b.shape());
  const ScaleZero a_map = map_of(a.value(), "add");
  const ScaleZero b_map = map_of(b.value(), "add");
  Arena* const arena = a.tape().arena();
  Tensor y = Tensor::empty(a.shape(), DType::U8, arena);
  Tensor mask = a.needs_grad() || b.needs_grad() ? make_mask(y, arena) : Tensor();
  for_slices(y.elements(), seen, [&](Range range, MinMax* slice_seen) {
    kernels::requantize_add(part(a.value().data<std::uint8_t>(), range), a_map,
                            part(b.value().data<std::uint8_t>(), range), b_map, map->tensor(), map->codes, relu,
                            part(y.data<std::uint8_t>(), range).data(), bits(mask, range), slice_seen);
  });
  return a.tape().record("add", y.with_qparams(map), {a, b}, [mask](Backward& backward) {
    backward.grad(0, [&] { return std::make_unique<MaskedGradient>(backward.dy(), mask); });
    backward.grad(1, [&] { return std::make_unique<MaskedGradient>(backward.dy(), mask); });
  });
}

Variable average_codes(const Variable& x, const kernels::PoolShape& shape, const Shape& result,
                       const std::shared_ptr<const QParams>& map, MinMax* seen) {
  const ScaleZero input = map_of(x.value(), "average pool");
  Arena* const arena = x.tape().arena();
  Tensor y = Tensor::empty(result.batched(shape.n), DType::U8, arena);
  Tensor mask = x.needs_grad() ? make_mask(y, arena) : Tensor();
  const kernels::Requantization requantization =
      kernels::make_average_requantization(input, shape.window(), shape.c, map->tensor(), map->codes);
  kernels::avg_pool_codes(shape, x.value().data<std::uint8_t>().data(), input.zero_point, requantization,
                          y.data<std::uint8_t>().data(), mask.defined() ? mask.data<std::uint8_t>().data() : nullptr,
                          seen);
  return x.tape().record(
      "average pool", y.with_qparams(map), {x}, [mask, shape, input_shape = x.shape()](Backward& backward) {
        backward.grad(0, [&] {
          const Tensor g = masked(backward.dy(), mask, backward.arena());
          Tensor dx = Tensor::empty(input_shape, g.dtype(), backward.arena());
          g.dtype() == DType::BF16
              ? kernels::avg_pool_backward(shape, g.data<bfloat16>().data(), dx.data<bfloat16>().data())
              : kernels::avg_pool_backward(shape, g.data<float>().data(), dx.data<float>().data());
          return dx;
        });
      });
}

kernels::StepSums step_sums_of_average(const Tensor& x, const kernels::PoolShape& shape, const QParams& map,
                                       const Tensor& dy) {
  const ScaleZero input = map_of(x, "average pool");
  const kernels::Requantization requantization =
      kernels::make_average_requantization(input, shape.window(), shape.c, map.tensor(), map.codes);
  std::vector<kernels::StepSums> by_slice(static_cast<std::size_t>(kernels::avg_pool_slices(shape)));
  kernels::avg_pool_sums(shape, x.data<std::uint8_t>().data(), input.zero_point,
                         [&](std::int64_t slice, Range images, const std::int32_t* acc) {
                           const std::int64_t first = images.begin * shape.output_row();
                           const std::int64_t rows = images.size() * shape.out_h() * shape.out_w();
                           by_slice[static_cast<std::size_t>(slice)] =
                               dy.dtype() == DType::BF16
                                   ? kernels::step_sums(dy.data<bfloat16>().data() + first, acc, rows, requantization)
                                   : kernels::step_sums(dy.data<float>().data() + first, acc, rows, requantization);
                         });
  kernels::StepSums total;
  for (const kernels::StepSums& of_slice : by_slice) {
    total.include(of_slice);
  }
  return total;
}

}  // namespace detent::quant
