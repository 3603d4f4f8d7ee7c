#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "detent/core/float16.h"
#include "detent/core/processor/units.h"

/// Loops over vectors of a number of lanes that the processor decides, written once: GCC's and Clang's vectors, which
/// take the operators of numbers, in functions that are compiled for each width. Private to kernels.
///
/// Vectors are passed by reference: by value they would pass through memory that differs from target to target.
namespace detent {

template <typename T, int kLanes>
struct LanesOf {
  typedef T Type __attribute__((vector_size(kLanes * sizeof(T))));
};
/// Of bf16 numbers there are none: they are loaded into those of f32.
template <int kLanes>
struct LanesOf<Bf16Bits, kLanes> {};
template <typename T, int kLanes>
using Lanes = typename LanesOf<T, kLanes>::Type;

/// v = x[0, kLanes), a bf16 number in f32.
template <int kLanes, typename T>
[[gnu::always_inline]] inline void load_lanes(const T* x, Lanes<T, kLanes>& v) {
  __builtin_memcpy(&v, x, sizeof v);
}
/// Of bf16 a vector of twice as many halves, each behind a zero: a shuffle, as GCC converts in several steps.
template <std::size_t... kIndex>
[[gnu::always_inline]] inline void load_halves(const Bf16Bits* x, Lanes<float, sizeof...(kIndex) / 2>& v,
                                               std::index_sequence<kIndex...>) {
  constexpr int kLanes = sizeof...(kIndex) / 2;
  Lanes<std::uint16_t, kLanes> bits;
  __builtin_memcpy(&bits, x, sizeof bits);
  const Lanes<std::uint16_t, kLanes> zero{};
  const auto halves = __builtin_shufflevector(bits, zero, (kIndex % 2 == 0 ? kLanes : kIndex / 2)...);
  __builtin_memcpy(&v, &halves, sizeof v);
}
template <int kLanes>
[[gnu::always_inline]] inline void load_lanes(const Bf16Bits* x, Lanes<float, kLanes>& v) {
  load_halves(x, v, std::make_index_sequence<static_cast<std::size_t>(2 * kLanes)>());
}

/// y[0, kLanes) = v, to bf16 as `demote` does.
template <int kLanes, typename T>
[[gnu::always_inline]] inline void store_lanes(const Lanes<T, kLanes>& v, T* y) {
  __builtin_memcpy(y, &v, sizeof v);
}
template <std::size_t... kIndex>
[[gnu::always_inline]] inline void store_halves(const Lanes<std::uint32_t, sizeof...(kIndex)>& words, Bf16Bits* y,
                                                std::index_sequence<kIndex...>) {
  const auto halves = reinterpret_cast<Lanes<std::uint16_t, 2 * sizeof...(kIndex)>>(words);
  const auto upper = __builtin_shufflevector(halves, halves, (2 * kIndex + 1)...);
  __builtin_memcpy(y, &upper, sizeof upper);
}
template <int kLanes>
[[gnu::always_inline]] inline void store_lanes(const Lanes<float, kLanes>& v, Bf16Bits* y) {
  using Words = Lanes<std::uint32_t, kLanes>;
  const Words bits = reinterpret_cast<Words>(v);
  const Words rounded = bits + 0x7fffU + (bits >> 16 & 1U);
  const Words chosen = v == v ? rounded : bits | 0x400000U;
  store_halves(chosen, y, std::make_index_sequence<static_cast<std::size_t>(kLanes)>());
}

/// Calls work.template columns<kLanes>(c) for blocks of columns that lie side by side and make up [0, columns): the
/// widest first.
template <int kLanes, typename Work>
[[gnu::always_inline]] inline void over_columns(const Work& work, std::int64_t columns) {
  std::int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    work.template columns<kLanes>(c);
  }
  for (; c + 4 <= columns; c += 4) {
    work.template columns<4>(c);
  }
  for (; c < columns; ++c) {
    work.template columns<1>(c);
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
template <typename Work>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) void over_columns_512(const Work& work,
                                                                                    std::int64_t columns) {
  over_columns<64 / sizeof(typename Work::Number)>(work, columns);
}
template <typename Work>
__attribute__((target("avx2"))) void over_columns_256(const Work& work, std::int64_t columns) {
  over_columns<32 / sizeof(typename Work::Number)>(work, columns);
}
#endif

/// over_columns with the widest vectors of Work::Number that may be used. REQUIRES: Work::columns is always_inline.
/// What it computes does not depend on the width as long as lanes stay apart.
template <typename Work>
void over_columns_of_processor(const Work& work, std::int64_t columns) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (processor_units().avx512) {
    return over_columns_512(work, columns);
  }
  if (processor_units().avx2) {
    return over_columns_256(work, columns);
  }
#endif
  over_columns<4>(work, columns);
}

}  // namespace detent
