#include "detent/kernels/layers/elementwise.h"

#include <array>
#include <bit>
#include <vector>

#include "detent/core/conversion.h"
#include "detent/core/float16.h"
#include "detent/core/processor/vectorized.h"
#include "detent/core/threads/parallel.h"

namespace detent::kernels {
namespace {

/// What a T is computed in: f32 for the 16-bit floats.
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <typename T, typename Fn>
DETENT_VECTORIZED void combine(const T* a, const T* b, std::int64_t n, T* y, Fn fn) {
  DETENT_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) {
    demote(fn(promote(a[i]), promote(b[i])), &y[i]);
  }
}

template <typename T, typename Fn>
void combine_slices(std::int64_t elements, const T* a, const T* b, T* y, Fn fn) {
  for_each_slice(elements,
                 [&](Range r) { combine(raw(a) + r.begin, raw(b) + r.begin, r.size(), raw(y) + r.begin, fn); });
}

DETENT_VECTORIZED std::uint32_t count_non_finite(const float* x, std::int64_t n) {
  std::uint32_t count = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    count += (std::bit_cast<std::uint32_t>(x[i]) & 0x7f800000U) == 0x7f800000U ? 1U : 0U;
  }
  return count;
}

template <typename T>
DETENT_VECTORIZED void add_row(const T* __restrict x, std::int64_t columns, double* __restrict sums) {
  for (std::int64_t c = 0; c < columns; ++c) {
    sums[c] += static_cast<double>(x[c]);
  }
}

/// Eight sums, whose number is the same on every processor.
template <typename T>
DETENT_VECTORIZED double sum_slice(const T* x, std::int64_t n) {
  std::array<double, 8> sums{};
  const std::int64_t whole = n - n % 8;
  for (std::int64_t i = 0; i < whole; i += 8) {
    for (std::int64_t lane = 0; lane < 8; ++lane) {
      sums[static_cast<std::size_t>(lane)] += static_cast<double>(x[i + lane]);
    }
  }
  for (std::int64_t i = whole; i < n; ++i) {
    sums[0] += static_cast<double>(x[i]);
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

std::int64_t count_of(auto x) { return static_cast<std::int64_t>(x.size()); }

}  // namespace

template <typename T>
void add(std::int64_t elements, const T* a, const T* b, T* y) {
  combine_slices(elements, a, b, y, [](auto p, auto q) { return p + q; });
}

template <typename T>
void add_relu(std::int64_t elements, const T* a, const T* b, T* y) {
  combine_slices(elements, a, b, y, [](auto p, auto q) {
    const auto sum = p + q;
    return sum < 0 ? decltype(sum){0} : sum;
  });
}

template <typename T>
void multiply(std::int64_t elements, const T* a, const T* b, T* y) {
  combine_slices(elements, a, b, y, [](auto p, auto q) { return p * q; });
}

template <typename T>
void scale(std::int64_t elements, double factor, const T* x, T* y) {
  combine_slices(elements, x, x, y, [f = static_cast<Wide<T>>(factor)](auto p, auto) { return f * p; });
}

template <typename T>
void axpy(std::int64_t elements, double factor, const T* x, T* y) {
  combine_slices(elements, x, y, y, [f = static_cast<Wide<T>>(factor)](auto p, auto q) { return q + f * p; });
}

void add_in_place(DType dtype, std::int64_t elements, const std::byte* x, std::byte* sum) {
  const auto add_as = [&]<typename T>(T) {
    add(elements, reinterpret_cast<const T*>(sum), reinterpret_cast<const T*>(x), reinterpret_cast<T*>(sum));
  };
  switch (dtype) {
    case DType::F32:
      return add_as(float{});
    case DType::F64:
      return add_as(double{});
    case DType::BF16:
      return add_as(bfloat16{});
    case DType::F16:
      return add_as(float16{});
    default:
      fail("add: expected f32, f64, bf16 or f16, got ", dtype);
  }
}

template <typename T>
double sum(std::int64_t elements, const T* x) {
  const Slices slices = element_slices(elements);
  std::vector<double> partial(static_cast<std::size_t>(slices.count));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range r = elements_of(slices[slice], elements);
    partial[static_cast<std::size_t>(slice)] = sum_slice(x + r.begin, r.size());
  });
  double total = 0;
  for (const double part : partial) {
    total += part;
  }
  return total;
}

bool has_non_finite(std::span<const float> x) {
  constexpr std::int64_t kBlock = 1 << 14;
  for (std::int64_t i = 0; i < count_of(x); i += kBlock) {
    if (count_non_finite(x.data() + i, std::min(kBlock, count_of(x) - i)) != 0) {
      return true;
    }
  }
  return false;
}

template <typename T>
void sum_rows(const T* x, std::int64_t rows, std::int64_t columns, T* y) {
  const Slices slices = slice_by_bytes(rows, columns * static_cast<std::int64_t>(sizeof(T)));
  std::vector<double> partial(static_cast<std::size_t>(std::max<std::int64_t>(slices.count, 1) * columns));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range range = slices[slice];
    double* sums = partial.data() + slice * columns;
    for (std::int64_t r = range.begin; r < range.end; ++r) {
      add_row(x + r * columns, columns, sums);
    }
  });
  for (std::int64_t slice = 1; slice < slices.count; ++slice) {
    add_row(partial.data() + slice * columns, columns, partial.data());
  }
  for (std::int64_t c = 0; c < columns; ++c) {
    y[c] = static_cast<T>(partial[static_cast<std::size_t>(c)]);
  }
}

template void sum_rows(const float*, std::int64_t, std::int64_t, float*);
template void sum_rows(const double*, std::int64_t, std::int64_t, double*);
template double sum(std::int64_t, const float*);
template double sum(std::int64_t, const double*);
template void add(std::int64_t, const float*, const float*, float*);
template void add(std::int64_t, const double*, const double*, double*);
template void add(std::int64_t, const bfloat16*, const bfloat16*, bfloat16*);
template void add(std::int64_t, const float16*, const float16*, float16*);
template void add_relu(std::int64_t, const float*, const float*, float*);
template void add_relu(std::int64_t, const double*, const double*, double*);
template void add_relu(std::int64_t, const bfloat16*, const bfloat16*, bfloat16*);
template void multiply(std::int64_t, const float*, const float*, float*);
template void multiply(std::int64_t, const double*, const double*, double*);
template void multiply(std::int64_t, const bfloat16*, const bfloat16*, bfloat16*);
template void multiply(std::int64_t, const float16*, const float16*, float16*);
template void scale(std::int64_t, double, const float*, float*);
template void scale(std::int64_t, double, const double*, double*);
template void scale(std::int64_t, double, const bfloat16*, bfloat16*);
template void scale(std::int64_t, double, const float16*, float16*);
template void axpy(std::int64_t, double, const float*, float*);
template void axpy(std::int64_t, double, const double*, double*);
template void axpy(std::int64_t, double, const bfloat16*, bfloat16*);
template void axpy(std::int64_t, double, const float16*, float16*);

}  // namespace detent::kernels
