#include "detent/quant/kinds/ops/function_of_codes.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <vector>

#include "detent/core/conversion.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/quant/kinds/ops/quantized_ops.h"

namespace detent::quant {
namespace {

using kernels::CodeReals;

/// The function at what each code means.
struct Values {
  CodeReals y = {}, derivative = {};
};

Values values_of(const FunctionOfOne& function, ScaleZero from, bool with_derivative) {
  const CodeReals x = kernels::reals_of_codes(from);
  Values values;
  function(x, values.y, with_derivative ? std::span<double>(values.derivative) : std::span<double>());
  return values;
}

/// The range of what the codes that stand in `x` become.
MinMax range_of(const CodeReals& y, std::span<const std::uint8_t> x) {
  const auto elements = static_cast<std::int64_t>(x.size());
  const Slices slices = element_slices(elements);
  std::vector<std::bitset<256>> by_slice(static_cast<std::size_t>(slices.count));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range range = elements_of(slices[slice], elements);
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      by_slice[static_cast<std::size_t>(slice)].set(x[static_cast<std::size_t>(i)]);
    }
  });
  std::bitset<256> is_there;
  for (const std::bitset<256>& of_slice : by_slice) {
    is_there |= of_slice;
  }
  MinMax range;
  for (std::size_t q = 0; q < y.size(); ++q) {
    const auto value = static_cast<float>(y[q]);
    if (is_there[q] && std::isfinite(value)) {
      range.include({value, value});
    }
  }
  return range;
}

/// What a code's gradient is multiplied with: the derivative, or 0 where the code before clamping lies outside.
std::array<float, 256> factors_of(const Values& values, ScaleZero to, CodeRange codes) {
  std::array<float, 256> reals{};
  std::ranges::transform(values.y, reals.begin(), [](double value) { return static_cast<float>(value); });
  std::array<std::uint8_t, 256> made{};
  std::array<std::uint8_t, 32> passes{};
  kernels::quantize(std::span<const float>(reals), to, codes, made.data(), passes.data());
  std::array<float, 256> factors{};
  for (std::size_t q = 0; q < factors.size(); ++q) {
    const bool is_open = (passes[q / 8] >> (q % 8) & 1U) != 0;
    factors[q] = is_open && std::isfinite(values.derivative[q]) ? static_cast<float>(values.derivative[q]) : 0.0F;
  }
  return factors;
}

}  // namespace

kernels::CodeTable table_of(const FunctionOfOne& function, ScaleZero from, ScaleZero to, CodeRange codes) {
  return kernels::make_code_table(values_of(function, from, false).y, to, codes);
}

runtime::Lookup lookup_of(const kernels::CodeTable& table) {
  return {.table = Tensor::from(std::vector<std::uint8_t>(table.begin(), table.end()), {256})};
}

Variable function_of_codes(std::string_view name, const Variable& x, const FunctionOfOne& function,
                           const std::shared_ptr<const QParams>& map, MinMax* seen) {
  const ScaleZero from = map_of(x.value(), name);
  const Values values = values_of(function, from, x.needs_grad());
  const std::span<const std::uint8_t> x_q = x.value().data<std::uint8_t>();
  if (seen != nullptr) {
    seen->include(range_of(values.y, x_q));
  }
  const kernels::CodeTable table = kernels::make_code_table(values.y, map->tensor(), map->codes);
  Tensor y = Tensor::empty(x.shape(), DType::U8, x.tape().arena());
  std::uint8_t* const y_q = y.data<std::uint8_t>().data();
  for_each_slice(y.elements(), [&](Range slice) {
    kernels::lookup(table.data(), x_q.data() + slice.begin, 1, slice.size(), y_q + slice.begin, slice.size());
  });
  if (!x.needs_grad()) {
    return x.tape().constant(y.with_qparams(map));
  }
  // dx = dy * f'(x), which is a number a code
  return x.tape().record(
      name, y.with_qparams(map), {x},
      [codes = x.value(), factors = factors_of(values, map->tensor(), map->codes)](autograd::Backward& backward) {
        backward.grad(0, [&] {
          const Tensor dy = backward.dy().as(DType::F32, backward.arena());
          Tensor dx = Tensor::empty(dy.shape(), DType::F32, backward.arena());
          const float* const g = dy.data<float>().data();
          const std::uint8_t* const q = codes.data<std::uint8_t>().data();
          float* const out = dx.data<float>().data();
          for_each_slice(dy.elements(), [&](Range slice) {
            for (std::int64_t i = slice.begin; i < slice.end; ++i) {
              out[i] = g[i] * factors[q[i]];
            }
          });
          return dx;
        });
      });
}

}  // namespace detent::quant
