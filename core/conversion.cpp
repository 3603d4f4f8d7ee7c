#include "detent/core/conversion.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "detent/core/float16.h"
#include "detent/core/processor/vectorized.h"

namespace detent {
namespace {

constexpr std::int64_t kGrain = 64;
constexpr std::int64_t kGrainsPerSlice = 1024;

template <typename X, typename Y>
DETENT_VECTORIZED void promote_all(const X* __restrict x, std::int64_t n, Y* __restrict y) {
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = promote(x[i]);
  }
}

template <typename Y>
DETENT_VECTORIZED void demote_all(const float* __restrict x, std::int64_t n, Y* __restrict y) {
  for (std::int64_t i = 0; i < n; ++i) {
    demote(x[i], &y[i]);
  }
}

/// Integers up to 256 have at most 8 significant bits: cutting f32 to bf16 is exact.
template <typename Q, typename Y>
DETENT_VECTORIZED void number_all(const Q* __restrict x, std::int64_t n, Y* __restrict y) {
  for (std::int64_t i = 0; i < n; ++i) {
    demote(static_cast<float>(x[i]), &y[i]);
  }
}

template <typename X, typename Y>
DETENT_VECTORIZED void cast_all(const X* __restrict x, std::int64_t n, Y* __restrict y) {
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<Y>(x[i]);
  }
}

template <typename Half>
DETENT_VECTORIZED void demote_in_place(float* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    Half half;
    demote(x[i], &half);
    x[i] = promote(half);
  }
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
    demote_all(from, n, raw(to));
  } else if constexpr (std::is_same_v<To, float>) {
    promote_all(raw(from), n, to);
  } else {
    // Between two types of which neither is f32: by way of f32, a block in cache at a time.
    std::array<float, 256> block;
    for (std::int64_t i = 0; i < n; i += 256) {
      const std::int64_t count = std::min<std::int64_t>(256, n - i);
      if constexpr (sizeof(From) >= 4) {
        cast_all(from + i, count, block.data());
      } else {
        promote_all(raw(from) + i, count, block.data());
      }
      if constexpr (sizeof(To) >= 4) {
        cast_all(block.data(), count, to + i);
      } else {
        demote_all(block.data(), count, raw(to) + i);
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

Slices element_slices(std::int64_t elements) { return slice_rows((elements + kGrain - 1) / kGrain, kGrainsPerSlice); }

Range elements_of(Range grains, std::int64_t elements) {
  return {grains.begin * kGrain, std::min(grains.end * kGrain, elements)};
}

void for_each_slice(std::int64_t elements, const std::function<void(Range)>& fn) {
  const Slices slices = element_slices(elements);
  parallel_slices(slices.count, [&](std::int64_t slice) { fn(elements_of(slices[slice], elements)); });
}

void cast(DType from, DType to, std::int64_t elements, const std::byte* x, std::byte* y) {
  const CastSlice cast_one = cast_between(from, to);
  check(cast_one != nullptr, "cast: expected floating types, or codes to f32 or bf16, got ", from, " to ", to);
  for_each_slice(elements, [&](Range r) { cast_one(x, r.begin, r.size(), y); });
}

void convert(std::span<const float> x, bfloat16* y) { demote_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const bfloat16> x, float* y) { promote_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const float> x, float16* y) { demote_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const float16> x, float* y) { promote_all(raw(x.data()), count_of(x), raw(y)); }
void round_to_float16(std::span<float> x) { demote_in_place<F16Bits>(x.data(), count_of(x)); }
void round_to_bfloat16(std::span<float> x) { demote_in_place<Bf16Bits>(x.data(), count_of(x)); }
void convert(std::span<const std::uint8_t> x, bfloat16* y) { number_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const std::uint8_t> x, float* y) { number_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const std::int8_t> x, bfloat16* y) { number_all(raw(x.data()), count_of(x), raw(y)); }
void convert(std::span<const std::int8_t> x, float* y) { number_all(raw(x.data()), count_of(x), raw(y)); }

double round_to_nearest(double x) {
  const double floor = std::floor(x);
  const double rest = x - floor;
  return rest > 0.5 || (rest == 0.5 && std::fmod(floor, 2.0) != 0.0) ? floor + 1.0 : floor;
}

std::int32_t nearest_integer(double x, std::int32_t low, std::int32_t high) {
  return std::isnan(x) ? 0 : static_cast<std::int32_t>(std::clamp<double>(round_to_nearest(x), low, high));
}

}  // namespace detent
