#include "detent/kernels/codes/straight_through.h"

#include <algorithm>
#include <array>
#include <bit>

#include "detent/core/float16.h"
#include "detent/core/memory.h"
#include "detent/core/processor/intrinsics.h"
#include "detent/core/processor/units.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/codes/columns/column_kernels.h"

namespace detent::kernels {
namespace {

// What vectors leave is worked on in blocks of whole rows, or of parts of a long row: the bits of a block become bytes
// and the constants of the outputs a table as long as the block, so that the arithmetic is plain loops.
using Open = std::array<std::uint8_t, kColumnBlock + 64>;  // not 0 where the gradient passes

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx512f,avx512bw"))) void open_by_512(const std::uint8_t* bits, std::int64_t count,
                                                             std::uint8_t* open) {
  for (std::int64_t i = 0; i < count; i += 64) {
    __mmask64 mask = 0;
    __builtin_memcpy(&mask, bits + i / 8, static_cast<std::size_t>(std::min<std::int64_t>(8, (count - i + 7) / 8)));
    _mm512_storeu_si512(open + i, _mm512_movm_epi8(mask));
  }
}

__attribute__((target("avx2"))) void open_by_256(const std::uint8_t* bits, std::int64_t count, std::uint8_t* open) {
  const __m256i byte_of_lane = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit_of_lane = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
  for (std::int64_t i = 0; i < count; i += 32) {
    std::int32_t mask = 0;
    __builtin_memcpy(&mask, bits + i / 8, static_cast<std::size_t>(std::min<std::int64_t>(4, (count - i + 7) / 8)));
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(mask), byte_of_lane);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(open + i),
                        _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit_of_lane), bit_of_lane));
  }
}

using OpenByVectors = void (*)(const std::uint8_t*, std::int64_t, std::uint8_t*);
OpenByVectors open_by_vectors() {
  return processor_units().avx512 ? &open_by_512 : processor_units().avx2 ? &open_by_256 : nullptr;
}
#else
using OpenByVectors = void (*)(const std::uint8_t*, std::int64_t, std::uint8_t*);
OpenByVectors open_by_vectors() { return nullptr; }
#endif

void open_block(const std::uint8_t* mask, std::int64_t first, std::int64_t count, Open& open) {
  static const OpenByVectors by_vectors = open_by_vectors();
  if (by_vectors != nullptr && first % 8 == 0) {
    by_vectors(mask + first / 8, count, open.data());
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t bit = first + i;
    open[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(mask[bit / 8] >> (bit % 8) & 1);
  }
}

template <typename G, typename T>
DETENT_VECTORIZED void scale_block(const G* __restrict dy, const std::uint8_t* __restrict open,
                                   const float* __restrict factor, std::int64_t count, T* __restrict dst) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = promote(dy[i]);
    demote((open[i] != 0 ? g : 0.0F) * factor[i], &dst[i]);
  }
}

DETENT_VECTORIZED void pass_winners(const std::uint8_t* __restrict argmax, std::uint8_t place,
                                    const std::uint8_t* __restrict open, std::int64_t count,
                                    std::uint8_t* __restrict passes) {
  for (std::int64_t i = 0; i < count; ++i) {
    passes[i] = argmax[i] == place ? open[i] : passes[i];
  }
}

template <typename G, typename S, typename T>
DETENT_VECTORIZED void affine_block(const G* __restrict dy, const std::uint8_t* __restrict open,
                                    const S* __restrict acc, const float* __restrict a, const float* __restrict b,
                                    const float* __restrict c, std::int64_t count, T* __restrict dst) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = promote(dy[i]);
    demote((a[i] * (open[i] != 0 ? g : 0.0F) + b[i] * static_cast<float>(acc[i])) + c[i], &dst[i]);
  }
}

template <typename G, typename S>
DETENT_VECTORIZED void sums_block(const G* __restrict dy, const std::uint8_t* __restrict open, const S* __restrict acc,
                                  std::int64_t count, float* __restrict sum_g, float* __restrict sum_g_acc) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = promote(dy[i]);
    const float passed = open[i] != 0 ? g : 0.0F;
    sum_g[i] += passed;
    sum_g_acc[i] += passed * static_cast<float>(acc[i]);
  }
}

[[gnu::always_inline]] inline void store_small(std::int32_t x, float* to) { *to = static_cast<float>(x); }
/// Of numbers that bf16 has: the lower half of their f32 is 0.
[[gnu::always_inline]] inline void store_small(std::int32_t x, Bf16Bits* to) {
  *to = static_cast<Bf16Bits>(std::bit_cast<std::uint32_t>(static_cast<float>(x)) >> 16);
}

template <typename T>
DETENT_VECTORIZED void center(const std::uint8_t* __restrict codes, std::int64_t elements, std::int32_t zero_point,
                              T* __restrict x) {
  for (std::int64_t i = 0; i < elements; ++i) {
    store_small(static_cast<std::int32_t>(codes[i]) - zero_point, &x[i]);
  }
}

/// Calls fn(element, column, count, open) for blocks that cover all rows. `period` is the length of the tables.
template <typename Fn>
void for_each_block(const std::uint8_t* mask, std::int64_t rows, std::int64_t outputs, std::int64_t period, Fn&& fn) {
  Open open;
  const std::int64_t elements = rows * outputs;
  for (std::int64_t begin = 0; begin < elements; begin += period) {
    const std::int64_t end = std::min(begin + period, elements);
    for (std::int64_t i = begin; i < end; i += kColumnBlock) {
      const std::int64_t count = std::min(kColumnBlock, end - i);
      open_block(mask, i, count, open);
      fn(i, i - begin, count, open.data());
    }
  }
}

/// Moves on to the rows behind `taken` ones, a multiple of 8 elements.
template <typename... T>
void skip(std::int64_t taken, std::int64_t outputs, std::int64_t& rows, const std::uint8_t*& mask, T*&... elements) {
  rows -= taken;
  mask += taken * outputs / 8;
  ((elements += taken * outputs), ...);
}

void add_to_doubles(const float* terms, std::int64_t count, double* sums) {
  for (std::int64_t o = 0; o < count; ++o) {
    sums[o] += static_cast<double>(terms[o]);
  }
}

}  // namespace

template <typename G, typename T>
void masked_scale(const G* dy, const std::uint8_t* mask, std::int64_t rows, std::int64_t outputs, const float* factor,
                  T* dst) {
  const LongRows vectors(rows, outputs);
  if (vectors.taken > 0) {
    const auto tables = make_tables<1>({factor}, outputs, vectors.size.columns);
    by_vectors([&](auto kernels) { kernels.scale(raw(dy), mask, vectors.size, tables[0], raw(dst)); });
    skip(vectors.taken, outputs, rows, mask, dy, dst);
  }
  const std::int64_t period = period_of(outputs);
  const float* table = make_tables<1>({factor}, outputs, period)[0];
  for_each_block(mask, rows, outputs, period,
                 [&](std::int64_t i, std::int64_t column, std::int64_t count, const std::uint8_t* open) {
                   scale_block(raw(dy) + i, open, table + column, count, raw(dst) + i);
                 });
}

template <typename G>
void masked_scale_of_winners(const PoolShape& pool, const G* dy, const std::uint8_t* argmax, const std::uint8_t* mask,
                             std::int64_t first, const float* factor, float* dst) {
  Open open, passes;
  const std::int64_t row = pool.output_row();
  for (std::int64_t i = 0; i < row; i += std::min(kColumnBlock, pool.c - i % pool.c)) {
    const std::int64_t o = i % pool.c;
    const std::int64_t count = std::min(kColumnBlock, pool.c - o);
    const std::int64_t ph = i / pool.c / pool.out_w(), pw = i / pool.c % pool.out_w();
    std::fill_n(passes.data(), count, std::uint8_t{0});
    for (std::int64_t k = 0; k < pool.window(); ++k) {
      const std::int64_t h = ph * pool.stride_h - pool.padding.top + k / pool.kw;
      const std::int64_t w = pw * pool.stride_w - pool.padding.left + k % pool.kw;
      if (h >= 0 && h < pool.h && w >= 0 && w < pool.w) {
        open_block(mask, first + (h * pool.w + w) * pool.c + o, count, open);
        pass_winners(argmax + i, static_cast<std::uint8_t>(k), open.data(), count, passes.data());
      }
    }
    scale_block(raw(dy) + i, passes.data(), factor + o, count, dst + i);
  }
}

template <typename G, typename S, typename T>
void masked_affine(const G* dy, const std::uint8_t* mask, const S* acc, std::int64_t rows, std::int64_t outputs,
                   const float* a, const float* b, const float* c, T* dst) {
  const LongRows vectors(rows, outputs);
  if (vectors.taken > 0) {
    const auto tables = make_tables<3>({a, b, c}, outputs, vectors.size.columns);
    by_vectors([&](auto kernels) { kernels.affine(raw(dy), mask, acc, vectors.size, tables, raw(dst)); });
    skip(vectors.taken, outputs, rows, mask, dy, acc, dst);
  }
  const std::int64_t period = period_of(outputs);
  const auto tables = make_tables<3>({a, b, c}, outputs, period);
  for_each_block(mask, rows, outputs, period,
                 [&](std::int64_t i, std::int64_t column, std::int64_t count, const std::uint8_t* open) {
                   affine_block(raw(dy) + i, open, acc + i, tables[0] + column, tables[1] + column, tables[2] + column,
                                count, raw(dst) + i);
                 });
}

template <typename G, typename S>
void masked_sums(const G* dy, const std::uint8_t* mask, const S* acc, std::int64_t rows, std::int64_t outputs,
                 double* sum_g, double* sum_g_acc) {
  const LongRows vectors(rows, outputs);
  if (vectors.taken > 0) {
    const auto columns = static_cast<std::size_t>(vectors.size.columns);
    auto* const by_column = thread_scratch_of<double>(2 * columns, Scratch::StraightThroughTables);
    std::fill_n(by_column, 2 * columns, 0.0);
    by_vectors([&](auto kernels) { kernels.sums(raw(dy), mask, acc, vectors.size, by_column, by_column + columns); });
    for (std::size_t i = 0; i < columns; ++i) {
      sum_g[i % static_cast<std::size_t>(outputs)] += by_column[i];
      sum_g_acc[i % static_cast<std::size_t>(outputs)] += by_column[columns + i];
    }
    skip(vectors.taken, outputs, rows, mask, dy, acc);
  }
  // Each place of a period has sums of its own, so that no addition waits for the one before it.
  const std::int64_t period = period_of(outputs);
  float* const g = thread_scratch_of<float>(2 * static_cast<std::size_t>(period), Scratch::StraightThroughTables);
  float* const g_acc = g + period;
  const std::int64_t most_rows = kRowsInF32 * (period / outputs);
  for (std::int64_t row = 0; row < rows; row += most_rows) {
    const std::int64_t first = row * outputs;
    std::fill_n(g, 2 * period, 0.0F);
    for_each_block(mask + first / 8, std::min(most_rows, rows - row), outputs, period,
                   [&](std::int64_t i, std::int64_t column, std::int64_t count, const std::uint8_t* open) {
                     sums_block(raw(dy) + first + i, open, acc + first + i, count, g + column, g_acc + column);
                   });
    for (std::int64_t column = 0; column < period; column += outputs) {
      add_to_doubles(g + column, outputs, sum_g);
      add_to_doubles(g_acc + column, outputs, sum_g_acc);
    }
  }
}

template <typename T>
void centered(const std::uint8_t* codes, std::int64_t elements, std::int32_t zero_point, T* x) {
  center(codes, elements, zero_point, raw(x));
}

#define DETENT_THROUGH_SUMS(G, S, T)                                                                             \
  template void masked_affine(const G*, const std::uint8_t*, const S*, std::int64_t, std::int64_t, const float*, \
                              const float*, const float*, T*);
#define DETENT_STRAIGHT_THROUGH(G, T)                                                                      \
  template void masked_scale(const G*, const std::uint8_t*, std::int64_t, std::int64_t, const float*, T*); \
  DETENT_THROUGH_SUMS(G, std::int32_t, T)                                                                  \
  DETENT_THROUGH_SUMS(G, std::int8_t, T)
DETENT_STRAIGHT_THROUGH(float, float)
DETENT_STRAIGHT_THROUGH(float, bfloat16)
DETENT_STRAIGHT_THROUGH(bfloat16, float)
DETENT_STRAIGHT_THROUGH(bfloat16, bfloat16)
#undef DETENT_STRAIGHT_THROUGH
#undef DETENT_THROUGH_SUMS
#define DETENT_BY_GRADIENT(G)                                                                                        \
  template void masked_scale_of_winners(const PoolShape&, const G*, const std::uint8_t*, const std::uint8_t*,        \
                                        std::int64_t, const float*, float*);                                         \
  template void masked_sums(const G*, const std::uint8_t*, const std::int32_t*, std::int64_t, std::int64_t, double*, \
                            double*);                                                                                \
  template void masked_sums(const G*, const std::uint8_t*, const std::int8_t*, std::int64_t, std::int64_t, double*,  \
                            double*);
DETENT_BY_GRADIENT(float)
DETENT_BY_GRADIENT(bfloat16)
#undef DETENT_BY_GRADIENT
template void centered(const std::uint8_t*, std::int64_t, std::int32_t, float*);
template void centered(const std::uint8_t*, std::int64_t, std::int32_t, bfloat16*);

}  // namespace detent::kernels
