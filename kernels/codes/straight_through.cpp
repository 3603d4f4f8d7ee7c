#include "detent/kernels/codes/straight_through.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "detent/core/float16.h"
#include "detent/core/intrinsics.h"
#include "detent/core/memory.h"
#include "detent/core/vectorized.h"

namespace detent::kernels {
namespace {

// Elements are worked on in blocks of whole rows, or of parts of a long row: the bits of a block become bytes and the
// constants of the outputs a table as long as the block, so that the arithmetic is plain vector loops.
constexpr std::int64_t kBlock = 512;
using Open = std::array<std::uint8_t, kBlock + 64>;  // not 0 where the gradient passes

#ifdef __x86_64__
__attribute__((target("avx512bw"))) void open_by_vectors(const std::uint8_t* bits, std::int64_t count,
                                                         std::uint8_t* open) {
  for (std::int64_t i = 0; i < count; i += 64) {
    __mmask64 mask = 0;
    __builtin_memcpy(&mask, bits + i / 8, static_cast<std::size_t>(std::min<std::int64_t>(8, (count - i + 7) / 8)));
    _mm512_storeu_si512(open + i, _mm512_movm_epi8(mask));
  }
}
bool has_mask_vectors() { return __builtin_cpu_supports("avx512bw") != 0; }
#else
void open_by_vectors(const std::uint8_t*, std::int64_t, std::uint8_t*) {}
bool has_mask_vectors() { return false; }
#endif

void open_block(const std::uint8_t* mask, std::int64_t first, std::int64_t count, Open& open) {
  static const bool by_vectors = has_mask_vectors();
  if (by_vectors && first % 8 == 0) {
    open_by_vectors(mask + first / 8, count, open.data());
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

template <typename G, typename T>
DETENT_VECTORIZED void affine_block(const G* __restrict dy, const std::uint8_t* __restrict open,
                                    const std::int32_t* __restrict acc, const float* __restrict a,
                                    const float* __restrict b, const float* __restrict c, std::int64_t count,
                                    T* __restrict dst) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = promote(dy[i]);
    demote((a[i] * (open[i] != 0 ? g : 0.0F) + b[i] * static_cast<float>(acc[i])) + c[i], &dst[i]);
  }
}

template <typename G>
DETENT_VECTORIZED void sums_row(const G* __restrict dy, const std::uint8_t* __restrict open,
                                const std::int32_t* __restrict acc, std::int64_t count, double* __restrict sum_g,
                                double* __restrict sum_g_acc) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = promote(dy[i]);
    const double passed = open[i] != 0 ? static_cast<double>(g) : 0.0;
    sum_g[i] += passed;
    sum_g_acc[i] += passed * static_cast<double>(acc[i]);
  }
}

DETENT_VECTORIZED
void moments_row(const std::int32_t* __restrict acc, std::int64_t count, double* __restrict sum,
                 double* __restrict sum_squares) {
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = static_cast<double>(acc[i]);
    sum[i] += value;
    sum_squares[i] += value * value;
  }
}

template <typename T>
DETENT_VECTORIZED void center(const std::uint8_t* __restrict codes, std::int64_t elements, std::int32_t zero_point,
                              T* __restrict x) {
  for (std::int64_t i = 0; i < elements; ++i) {
    demote(static_cast<float>(static_cast<std::int32_t>(codes[i]) - zero_point), &x[i]);
  }
}

/// Calls fn(element, column, count, open) for blocks that cover all rows. `period` is the length of the tables.
template <typename Fn>
void for_each_block(const std::uint8_t* mask, std::int64_t rows, std::int64_t outputs, std::int64_t period, Fn&& fn) {
  Open open;
  const std::int64_t elements = rows * outputs;
  for (std::int64_t begin = 0; begin < elements; begin += period) {
    const std::int64_t end = std::min(begin + period, elements);
    for (std::int64_t i = begin; i < end; i += kBlock) {
      const std::int64_t count = std::min(kBlock, end - i);
      open_block(mask, i, count, open);
      fn(i, i - begin, count, open.data());
    }
  }
}

/// Tables of whole rows, about a block long and a multiple of 8, so that blocks start at whole bytes of the mask.
std::int64_t period_of(std::int64_t outputs) {
  const std::int64_t unit = outputs * (8 / std::gcd(outputs, std::int64_t{8}));
  return unit * std::max<std::int64_t>(1, kBlock / unit);
}

/// `count` tables of one period each, filled with the constants over and over.
template <std::size_t N>
std::array<const float*, N> make_tables(const std::array<const float*, N>& constants, std::int64_t outputs,
                                        std::int64_t period) {
  float* table = thread_scratch_of<float>(N * static_cast<std::size_t>(period), Scratch::StraightThroughTables);
  std::array<const float*, N> tables;
  for (std::size_t i = 0; i < N; ++i, table += period) {
    tables[i] = table;
    for (std::int64_t column = 0; column < period; column += outputs) {
      std::copy_n(constants[i], outputs, table + column);
    }
  }
  return tables;
}

}  // namespace

template <typename G, typename T>
void masked_scale(const G* dy, const std::uint8_t* mask, std::int64_t rows, std::int64_t outputs, const float* factor,
                  T* dst) {
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
  for (std::int64_t i = 0; i < row; i += std::min(kBlock, pool.c - i % pool.c)) {
    const std::int64_t o = i % pool.c;
    const std::int64_t count = std::min(kBlock, pool.c - o);
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

template <typename G, typename T>
void masked_affine(const G* dy, const std::uint8_t* mask, const std::int32_t* acc, std::int64_t rows,
                   std::int64_t outputs, const float* a, const float* b, const float* c, T* dst) {
  const std::int64_t period = period_of(outputs);
  const auto tables = make_tables<3>({a, b, c}, outputs, period);
  for_each_block(mask, rows, outputs, period,
                 [&](std::int64_t i, std::int64_t column, std::int64_t count, const std::uint8_t* open) {
                   affine_block(raw(dy) + i, open, acc + i, tables[0] + column, tables[1] + column, tables[2] + column,
                                count, raw(dst) + i);
                 });
}

template <typename G>
void masked_sums(const G* dy, const std::uint8_t* mask, const std::int32_t* acc, std::int64_t rows,
                 std::int64_t outputs, double* sum_g, double* sum_g_acc) {
  Open open;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t o = 0; o < outputs; o += kBlock) {
      const std::int64_t i = r * outputs + o;
      const std::int64_t count = std::min(kBlock, outputs - o);
      open_block(mask, i, count, open);
      sums_row(raw(dy) + i, open.data(), acc + i, count, sum_g + o, sum_g_acc + o);
    }
  }
}

void moments(const std::int32_t* acc, std::int64_t rows, std::int64_t outputs, double* sum, double* sum_squares) {
  for (std::int64_t r = 0; r < rows; ++r) {
    moments_row(acc + r * outputs, outputs, sum, sum_squares);
  }
}

template <typename T>
void centered(const std::uint8_t* codes, std::int64_t elements, std::int32_t zero_point, T* x) {
  center(codes, elements, zero_point, raw(x));
}

#define DETENT_STRAIGHT_THROUGH(G, T)                                                                         \
  template void masked_scale(const G*, const std::uint8_t*, std::int64_t, std::int64_t, const float*, T*);    \
  template void masked_affine(const G*, const std::uint8_t*, const std::int32_t*, std::int64_t, std::int64_t, \
                              const float*, const float*, const float*, T*);
DETENT_STRAIGHT_THROUGH(float, float)
DETENT_STRAIGHT_THROUGH(float, bfloat16)
DETENT_STRAIGHT_THROUGH(bfloat16, float)
DETENT_STRAIGHT_THROUGH(bfloat16, bfloat16)
#undef DETENT_STRAIGHT_THROUGH
template void masked_scale_of_winners(const PoolShape&, const float*, const std::uint8_t*, const std::uint8_t*,
                                      std::int64_t, const float*, float*);
template void masked_scale_of_winners(const PoolShape&, const bfloat16*, const std::uint8_t*, const std::uint8_t*,
                                      std::int64_t, const float*, float*);
template void masked_sums(const float*, const std::uint8_t*, const std::int32_t*, std::int64_t, std::int64_t, double*,
                          double*);
template void masked_sums(const bfloat16*, const std::uint8_t*, const std::int32_t*, std::int64_t, std::int64_t,
                          double*, double*);
template void centered(const std::uint8_t*, std::int64_t, std::int32_t, float*);
template void centered(const std::uint8_t*, std::int64_t, std::int32_t, bfloat16*);

}  // namespace detent::kernels
