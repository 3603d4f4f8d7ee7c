#include "kernels/elementwise.h"

#include <array>
#include <bit>
#include <vector>

#include "kernels/narrow.h"
#include "kernels/parallel.h"
#include "kernels/target.h"

namespace detent::kernels {
namespace {

constexpr std::int64_t kGrain = 64;
constexpr std::int64_t kGrainsPerSlice = 1024;

Slices element_slices(std::int64_t elements) { return slice_rows((elements + kGrain - 1) / kGrain, kGrainsPerSlice); }

Range elements_of(Range grains, std::int64_t elements) {
  return {grains.begin * kGrain, std::min(grains.end * kGrain, elements)};
}

/// What a T is computed in: f32 for the 16-bit floats.
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <typename T, typename Fn>
DETENT_VECTORIZED void combine(const T* a, const T* b, std::int64_t n, T* y, Fn fn) {
  DETENT_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) {
    narrow(fn(widen(a[i]), widen(b[i])), &y[i]);
  }
}

template <typename T, typename Fn>
void combine_slices(std::int64_t elements, const T* a, const T* b, T* y, Fn fn) {
  for_each_slice(elements,
                 [&](Range r) { combine(raw(a) + r.begin, raw(b) + r.begin, r.size(), raw(y) + r.begin, fn); });
}

template <typename X, typename Y>
DETENT_VECTORIZED void widen_all(const X* __restrict x, std::int64_t n, Y* __restrict y) {
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = widen(x[i]);
  }
}

template <typename Y>
DETENT_VECTORIZED void narrow_all(const float* __restrict x, std::int64_t n, Y* __restrict y) {
  for (std::int64_t i = 0; i < n; ++i) {
    narrow(x[i], &y[i]);
  }
}

/// Integers up to 256 have at most 8 significant bits: cutting f32 to bf16 is exact.
template <typename Q, typename Y>
DETENT_VECTORIZED void number_all(const Q* __restrict x, std::int64_t n, Y* __restrict y) {
  for (std::int64_t i = 0; i < n; ++i) {
    narrow(static_cast<float>(x[i]), &y[i]);
  }
}

template <typename X, typename Y>
DETENT_VECTORIZED void cast_all(const X* __restrict x, std::int64_t n, Y* __restrict y) {
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<Y>(x[i]);
  }
}

template <typename Half>
DETENT_VECTORIZED void narrow_in_place(float* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    Half half;
    narrow(x[i], &half);
    x[i] = widen(half);
  }
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

template <typename From, typename To>
void cast_slice(const std::byte* x, std::int64_t begin, std::int64_t n, std::byte* y) {
  const From* from = reinterpret_cast<const From*>(x) + begin;
  To* to = reinterpret_cast<To*>(y) + begin;
  if constexpr (std::is_same_v<From, To>) {
    std::copy_n(from, n, to);
  } else if constexpr (std::is_integral_v<From>) {
    number_all(from, n, raw(to));
  } else if constexpr (sizeof(From) >= 4 && sizeof(To) >= 4) {
    cast_all(from, n, to);
  } else if constexpr (std::is_same_v<From, float>) {
    narrow_all(from, n, raw(to));
  } else if constexpr (std::is_same_v<To, float>) {
    widen_all(raw(from), n, to);
  } else {
    // Between two types of which neither is f32: by way of f32, a block in cache at a time.
    std::array<float, 256> block;
    for (std::int64_t i = 0; i < n; i += 256) {
      const std::int64_t count = std::min<std::int64_t>(256, n - i);
      if constexpr (sizeof(From) >= 4) {
        cast_all(from + i, count, block.data());
      } else {
        widen_all(raw(from) + i, count, block.data());
      }
      if constexpr (sizeof(To) >= 4) {
        cast_all(block.data(), count, to + i);
      } else {
        narrow_all(block.data(), count, raw(to) + i);
      }
    }
  }
}

using CastSlice = void (*)(const std::byte*, std::int64_t, std::int64_t, std::byte*);

template <typename From>
CastSlice cast_from(DType to) {
  switch (to) {
    case DType::F32:
      return &cast_slice<From, float>;
    case DType::BF16:
      return &cast_slice<From, bfloat16>;
    case DType::F64:
      return std::is_integral_v<From> ? nullptr : &cast_slice<From, double>;
    case DType::F16:
      return std::is_integral_v<From> ? nullptr : &cast_slice<From, float16>;
    default:
      return nullptr;
  }
}

CastSlice cast_between(DType from, DType to) {
  switch (from) {
    case DType::F32:
      return cast_from<float>(to);
    case DType::F64:
      return cast_from<double>(to);
    case DType::BF16:
      return cast_from<bfloat16>(to);
    case DType::F16:
      return cast_from<float16>(to);
    case DType::U8:
      return cast_from<std::uint8_t>(to);
    case DType::S8:
      return cast_from<std::int8_t>(to);
    default:
      return nullptr;
  }
}

std::int64_t count_of(auto x) { return static_cast<std::int64_t>(x.size()); }

}  // namespace

void for_each_slice(std::int64_t elements, const std::function<void(Range)>& fn) {
  const Slices slices = element_slices(elements);
  parallel_slices(slices.count, [&](std::int64_t slice) { fn(elements_of(slices[slice], elements)); });
}

template <typename T>
void add(std::int64_t elements, const T* a, const T* b, T* y) {
  combine_slices(elements, a, b, y, [](auto p, auto q) { return p + q; });
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

void cast(DType from, DType to, std::int64_t elements, const std::byte* x, std::byte* y) {
  const CastSlice cast_one = cast_between(from, to);
  check(cast_one != nullptr, "cast: expected floating types, or codes to f32 or bf16, got ", from, " to ", to);
  for_each_slice(elements, [&](Range r) { cast_one(x, r.begin, r.size(), y); });
}

void convert(std::span<const float> x, bfloat16* y) { narrow_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const bfloat16> x, float* y) { widen_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const float> x, float16* y) { narrow_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const float16> x, float* y) { widen_all(raw(x.data()), count_of(x), raw(y)); }
void narrow_to_float16(std::span<float> x) { narrow_in_place<F16Bits>(x.data(), count_of(x)); }
void narrow_to_bfloat16(std::span<float> x) { narrow_in_place<Bf16Bits>(x.data(), count_of(x)); }
void convert(std::span<const std::uint8_t> x, bfloat16* y) { number_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const std::uint8_t> x, float* y) { number_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const std::int8_t> x, bfloat16* y) { number_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const std::int8_t> x, float* y) { number_all(raw(x.data()), count_of(x), raw(y)); }

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
