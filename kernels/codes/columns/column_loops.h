#pragma once

#include <algorithm>
#include <cstdint>

#include "detent/core/float16.h"
#include "detent/kernels/codes/columns/column_kernels.h"
#include "detent/kernels/codes/requantize_tile.h"

// The loops of column_kernels.h as templates over a vector unit. A source that makes them for a unit defines
// DETENT_COLUMNS, the attributes of functions for that unit (which cannot depend on a template's parameter), and
// includes this file after it. A unit has
//   Vector, Mask   f32 of its lanes, and which of them pass
//   kLanes         of a vector; four vectors are a part of a row
//   load           of f32, bf16, s8, s32 as f32;  mask of bits;  passed: a vector where the mask is set, else 0
//   load_code of u8 less a zero point
//   add, subtract, multiply, multiply_add (rounded once), smaller, larger, clamp, is_between, store of f32 and bf16,
//   store_codes of rounded numbers Moments        of kMomentVectors vectors of s32
namespace detent::kernels {
namespace {

template <typename Unit, typename G, typename T>
DETENT_COLUMNS void scale_columns(const G* dy, const std::uint8_t* mask, Columns size, const float* factor, T* dst) {
  for (std::int64_t row = 0; row < size.rows; ++row) {
    for (std::int64_t c = 0; c < size.columns; c += Unit::kLanes, dy += Unit::kLanes, dst += Unit::kLanes) {
      Unit::store(Unit::multiply(Unit::passed(Unit::mask(mask), Unit::load(dy)), Unit::load(factor + c)), dst);
      mask += Unit::kLanes / 8;
    }
  }
}

template <typename Unit, typename G, typename S, typename T>
DETENT_COLUMNS void affine_columns(const G* dy, const std::uint8_t* mask, const S* acc, Columns size,
                                   const ColumnTables<3>& tables, T* dst) {
  const auto [a, b, c] = tables;
  for (std::int64_t row = 0; row < size.rows; ++row) {
    for (std::int64_t i = 0; i < size.columns; i += Unit::kLanes) {
      const auto g = Unit::passed(Unit::mask(mask), Unit::load(dy));
      const auto sum =
          Unit::add(Unit::multiply(Unit::load(a + i), g), Unit::multiply(Unit::load(b + i), Unit::load(acc)));
      Unit::store(Unit::add(sum, Unit::load(c + i)), dst);
      dy += Unit::kLanes;
      acc += Unit::kLanes;
      dst += Unit::kLanes;
      mask += Unit::kLanes / 8;
    }
  }
}

/// Sums of a few dozen rows stay in registers, a part of a row at a time.
template <typename Unit, typename G, typename S>
DETENT_COLUMNS void sum_columns(const G* dy, const std::uint8_t* mask, const S* acc, Columns size, double* sum_g,
                                double* sum_g_acc) {
  constexpr int kVectors = 4, kPart = kVectors * Unit::kLanes;
  float terms[2][kPart];
  for (std::int64_t first = 0; first < size.rows; first += kRowsInF32) {
    const std::int64_t last = std::min(size.rows, first + kRowsInF32);
    for (std::int64_t c = 0; c < size.columns; c += kPart) {
      typename Unit::Vector g[kVectors], g_acc[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        g[v] = g_acc[v] = Unit::zero();
      }
      for (std::int64_t i = first * size.columns + c; i < last * size.columns; i += size.columns) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const std::int64_t at = i + v * Unit::kLanes;
          const auto passed = Unit::passed(Unit::mask(mask + at / 8), Unit::load(dy + at));
          g[v] = Unit::add(g[v], passed);
          g_acc[v] = Unit::multiply_add(passed, Unit::load(acc + at), g_acc[v]);
        }
      }
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        Unit::store(g[v], terms[0] + v * Unit::kLanes);
        Unit::store(g_acc[v], terms[1] + v * Unit::kLanes);
      }
      for (int i = 0; i < kPart; ++i) {
        sum_g[c + i] += static_cast<double>(terms[0][i]);
        sum_g_acc[c + i] += static_cast<double>(terms[1][i]);
      }
    }
  }
}

template <typename Unit>
DETENT_COLUMNS void moments_of_columns(const std::int32_t* acc, Columns size, const ColumnMoments& moments) {
  constexpr int kVectors = Unit::kMomentVectors, kPart = kVectors * Unit::kLanes;
  for (std::int64_t c = 0; c < size.columns; c += kPart) {
    typename Unit::Moments of[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      of[v].load(moments, c + v * Unit::kLanes);
    }
    for (std::int64_t i = c; i < size.rows * size.columns; i += size.columns) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        of[v].include(acc + i + v * Unit::kLanes);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      of[v].store(moments, c + v * Unit::kLanes);
    }
  }
}

template <typename Unit>
DETENT_COLUMNS void requantize_columns(const std::int32_t* acc, Columns size, const RequantizedColumns& r,
                                       std::uint8_t* y, std::uint8_t* mask, std::int8_t* narrow) {
  const auto zero_point = Unit::broadcast(r.zero_point), positive = Unit::broadcast(r.positive);
  const auto low = Unit::broadcast(r.inside.low), high = Unit::broadcast(r.inside.high);
  const auto lower = Unit::broadcast(r.lower), upper = Unit::broadcast(r.upper);
  const auto least = Unit::broadcast(-127.0F), most = Unit::broadcast(127.0F);
  for (std::int64_t row = 0; row < size.rows; ++row) {
    for (std::int64_t c = 0; c < size.columns; c += Unit::kLanes) {
      const auto sum = Unit::load(acc);
      const auto value = Unit::add(sum, Unit::load(r.bias + c));
      const auto code = Unit::add(Unit::multiply(value, Unit::load(r.multiplier + c)), zero_point);
      Unit::store_mask(Unit::is_between(code, low, high, value, positive), mask);
      Unit::store_codes(Unit::clamp(code, lower, upper), y);
      const auto distance = Unit::subtract(sum, Unit::load(r.center + c));
      const auto steps = Unit::multiply(distance, Unit::load(r.inverse_step + c));
      Unit::store_codes(Unit::clamp(steps, least, most), narrow);
      acc += Unit::kLanes;
      y += Unit::kLanes;
      narrow += Unit::kLanes;
      mask += Unit::kLanes / 8;
    }
  }
}

template <typename Unit>
DETENT_COLUMNS void add_elements(const std::uint8_t* a_q, const std::uint8_t* b_q, std::int64_t elements,
                                 const AddConstants& t, std::uint8_t* y, std::uint8_t* mask, std::int64_t mask_step,
                                 float* seen) {
  const auto a_multiplier = Unit::broadcast(t.maps.a_multiplier), b_multiplier = Unit::broadcast(t.maps.b_multiplier);
  const auto a_scale = Unit::broadcast(t.a_scale), b_scale = Unit::broadcast(t.b_scale);
  const auto zero_point = Unit::broadcast(t.maps.zero_point), positive = Unit::broadcast(t.positive);
  const auto low = Unit::broadcast(t.inside.low), high = Unit::broadcast(t.inside.high);
  const auto lower = Unit::broadcast(t.lower), upper = Unit::broadcast(t.upper);
  auto smallest = Unit::load(seen), largest = Unit::load(seen + kSeenLanes);
  for (std::int64_t i = 0; i < elements; i += Unit::kLanes, mask += mask_step * (Unit::kLanes / 8)) {
    const auto a = Unit::load_code(a_q + i, t.maps.a_zero), b = Unit::load_code(b_q + i, t.maps.b_zero);
    const auto sum = Unit::add(Unit::multiply(a, a_multiplier), Unit::multiply(b, b_multiplier));
    const auto code = Unit::add(sum, zero_point);
    Unit::store_codes(Unit::clamp(code, lower, upper), y + i);
    Unit::store_mask(Unit::is_between(code, low, high, sum, positive), mask);
    const auto real = Unit::larger(Unit::add(Unit::multiply(a, a_scale), Unit::multiply(b, b_scale)), positive);
    smallest = Unit::smaller(smallest, real);
    largest = Unit::larger(largest, real);
  }
  Unit::store(smallest, seen);
  Unit::store(largest, seen + kSeenLanes);
}

}  // namespace

#define DETENT_COLUMN_SCALE(Kernels, G, T) \
  template void Kernels::scale(const G*, const std::uint8_t*, Columns, const float*, T*);
#define DETENT_COLUMN_AFFINE(Kernels, G, S, T) \
  template void Kernels::affine(const G*, const std::uint8_t*, const S*, Columns, const ColumnTables<3>&, T*);
#define DETENT_COLUMN_SUMS(Kernels, G, S) \
  template void Kernels::sums(const G*, const std::uint8_t*, const S*, Columns, double*, double*);
#define DETENT_COLUMN_GRADIENT(Kernels, G)                 \
  DETENT_COLUMN_SCALE(Kernels, G, float)                   \
  DETENT_COLUMN_SCALE(Kernels, G, Bf16Bits)                \
  DETENT_COLUMN_AFFINE(Kernels, G, std::int8_t, float)     \
  DETENT_COLUMN_AFFINE(Kernels, G, std::int8_t, Bf16Bits)  \
  DETENT_COLUMN_AFFINE(Kernels, G, std::int32_t, float)    \
  DETENT_COLUMN_AFFINE(Kernels, G, std::int32_t, Bf16Bits) \
  DETENT_COLUMN_SUMS(Kernels, G, std::int8_t)              \
  DETENT_COLUMN_SUMS(Kernels, G, std::int32_t)

/// Defines the functions of `Kernels` (see column_kernels.h) as the loops over `Unit`; within detent::kernels.
#define DETENT_COLUMN_KERNELS(Kernels, Unit)                                                                        \
  template <typename G, typename T>                                                                                 \
  void Kernels::scale(const G* dy, const std::uint8_t* mask, Columns size, const float* factor, T* dst) {           \
    scale_columns<Unit>(dy, mask, size, factor, dst);                                                               \
  }                                                                                                                 \
  template <typename G, typename S, typename T>                                                                     \
  void Kernels::affine(const G* dy, const std::uint8_t* mask, const S* acc, Columns size,                           \
                       const ColumnTables<3>& tables, T* dst) {                                                     \
    affine_columns<Unit>(dy, mask, acc, size, tables, dst);                                                         \
  }                                                                                                                 \
  template <typename G, typename S>                                                                                 \
  void Kernels::sums(const G* dy, const std::uint8_t* mask, const S* acc, Columns size, double* sum_g,              \
                     double* sum_g_acc) {                                                                           \
    sum_columns<Unit>(dy, mask, acc, size, sum_g, sum_g_acc);                                                       \
  }                                                                                                                 \
  void Kernels::moments(const std::int32_t* acc, Columns size, const ColumnMoments& moments) {                      \
    moments_of_columns<Unit>(acc, size, moments);                                                                   \
  }                                                                                                                 \
  void Kernels::requantize(const std::int32_t* acc, Columns size, const RequantizedColumns& r, std::uint8_t* y,     \
                           std::uint8_t* mask, std::int8_t* narrow) {                                               \
    requantize_columns<Unit>(acc, size, r, y, mask, narrow);                                                        \
  }                                                                                                                 \
  void Kernels::add(const std::uint8_t* a_q, const std::uint8_t* b_q, std::int64_t elements, const AddConstants& t, \
                    std::uint8_t* y, std::uint8_t* mask, std::int64_t mask_step, float* seen) {                     \
    add_elements<Unit>(a_q, b_q, elements, t, y, mask, mask_step, seen);                                            \
  }                                                                                                                 \
  DETENT_COLUMN_GRADIENT(Kernels, float)                                                                            \
  DETENT_COLUMN_GRADIENT(Kernels, Bf16Bits)

}  // namespace detent::kernels
