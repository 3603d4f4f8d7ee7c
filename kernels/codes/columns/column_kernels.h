#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

#include "detent/core/float16.h"
#include "detent/core/memory.h"
#include "detent/core/processor/units.h"
#include "detent/kernels/codes/rounding.h"

/// The loops of quantized layers over rows of outputs, by vectors: what straight_through.cpp and batch_sums.cpp call
/// where a processor has the units. Private to this folder.
///
/// Rows of outputs are taken together until they fill vectors: a long row of `columns` elements, a multiple of 64,
/// whose constants are tables as long. So every vector is whole, and its bits of a mask are whole bytes.
namespace detent::kernels {

/// Elements of a block of those rows that vectors leave.
inline constexpr std::int64_t kColumnBlock = 512;
/// Terms that are added up in f32 before they go to a double.
inline constexpr std::int64_t kRowsInF32 = 32;

struct Columns {
  std::int64_t rows = 0;  ///< long ones
  std::int64_t columns = 64;
};

/// How `rows` rows of `outputs` are taken: the long rows, and the rows behind the last of them.
struct LongRows {
  /// Tables of more would not stay in the first cache beside the rows.
  static constexpr std::int64_t kMostColumns = 2048;
  Columns size;
  std::int64_t taken = 0;  ///< rows of the caller in all long rows; 0 also where there are no units

  LongRows(std::int64_t rows, std::int64_t outputs) {
    const std::int64_t together = 64 / std::gcd(outputs, std::int64_t{64});
    size.columns = together * outputs;
    size.rows = processor_units().avx2 && size.columns <= kMostColumns ? rows / together : 0;
    taken = size.rows * together;
  }
};

template <std::size_t N>
using ColumnTables = std::array<const float*, N>;

/// Tables [columns] of what moments of sums were so far.
struct ColumnMoments {
  double *sum, *squares;
  std::int32_t *smallest, *largest;
};

/// Tables [columns], and constants: see requantize and narrow_sums.
struct RequantizedColumns {
  const float *bias, *multiplier, *center, *inverse_step;
  float zero_point, lower, upper, positive;
  Inside inside;
};

/// What requantize_add computes codes, mask and range with.
struct AddConstants {
  Addition maps;
  float a_scale, b_scale, lower, upper, positive;
  Inside inside;
};

#if defined(__x86_64__) && defined(__GNUC__)
#define DETENT_HAS_COLUMN_KERNELS 1

/// What the functions of straight_through.h and batch_sums.h do, of long rows. `add` is requantize_add of a multiple of
/// 64 elements; 8 of them put their mask `mask_step` bytes further, and `seen` is as in TileObservation.
#define DETENT_DECLARE_COLUMN_KERNELS(Kernels)                                                                      \
  struct Kernels {                                                                                                  \
    template <typename G, typename T>                                                                               \
    static void scale(const G* dy, const std::uint8_t* mask, Columns size, const float* factor, T* dst);            \
    template <typename G, typename S, typename T>                                                                   \
    static void affine(const G* dy, const std::uint8_t* mask, const S* acc, Columns size,                           \
                       const ColumnTables<3>& tables, T* dst);                                                      \
    template <typename G, typename S>                                                                               \
    static void sums(const G* dy, const std::uint8_t* mask, const S* acc, Columns size, double* sum_g,              \
                     double* sum_g_acc);                                                                            \
    static void moments(const std::int32_t* acc, Columns size, const ColumnMoments& moments);                       \
    static void requantize(const std::int32_t* acc, Columns size, const RequantizedColumns& r, std::uint8_t* y,     \
                           std::uint8_t* mask, std::int8_t* narrow);                                                \
    static void add(const std::uint8_t* a_q, const std::uint8_t* b_q, std::int64_t elements, const AddConstants& t, \
                    std::uint8_t* y, std::uint8_t* mask, std::int64_t mask_step, float* seen);                      \
  };
DETENT_DECLARE_COLUMN_KERNELS(ColumnsAvx2)
DETENT_DECLARE_COLUMN_KERNELS(ColumnsAvx512)
#undef DETENT_DECLARE_COLUMN_KERNELS
#endif

/// fn(the kernels of this processor's vectors). REQUIRES: LongRows took rows.
template <typename Fn>
void by_vectors([[maybe_unused]] Fn&& fn) {
#if defined(DETENT_HAS_COLUMN_KERNELS)
  processor_units().avx512 ? fn(ColumnsAvx512()) : fn(ColumnsAvx2());
#endif
}

/// Tables of whole rows, about a block long and a multiple of 8, so that blocks start at whole bytes of the mask.
inline std::int64_t period_of(std::int64_t outputs) {
  const std::int64_t unit = outputs * (8 / std::gcd(outputs, std::int64_t{8}));
  return unit * std::max<std::int64_t>(1, kColumnBlock / unit);
}

/// Tables of `period` elements, filled with the constants over and over.
template <std::size_t N>
ColumnTables<N> make_tables(const ColumnTables<N>& constants, std::int64_t outputs, std::int64_t period) {
  float* table = thread_scratch_of<float>(N * static_cast<std::size_t>(period), Scratch::StraightThroughTables);
  ColumnTables<N> tables;
  for (std::size_t i = 0; i < N; ++i, table += period) {
    tables[i] = table;
    for (std::int64_t column = 0; column < period; column += outputs) {
      std::copy_n(constants[i], outputs, table + column);
    }
  }
  return tables;
}

}  // namespace detent::kernels
