#include "detent/kernels/codes/lookup.h"

#include <algorithm>

#include "detent/core/processor/intrinsics.h"
#include "detent/kernels/codes/quantize.h"

namespace detent::kernels {
namespace {

void lookup_plain(const std::uint8_t* table, const std::uint8_t* x, std::int64_t count, std::uint8_t* y) {
  for (std::int64_t i = 0; i < count; ++i) {
    y[i] = table[x[i]];
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define DETENT_VBMI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi")))

bool has_vbmi() {
  static const bool has = __builtin_cpu_supports("avx512vbmi") > 0 && __builtin_cpu_supports("avx512bw") > 0;
  return has;
}

/// 64 codes at a time: the lower seven bits choose within each half of the table, the highest between the halves.
DETENT_VBMI void lookup_vbmi(const std::uint8_t* table, const std::uint8_t* x, std::int64_t rows, std::int64_t columns,
                             std::uint8_t* y, std::int64_t y_stride) {
  const __m512i a = _mm512_loadu_si512(table);
  const __m512i b = _mm512_loadu_si512(table + 64);
  const __m512i c = _mm512_loadu_si512(table + 128);
  const __m512i d = _mm512_loadu_si512(table + 192);
  for (std::int64_t r = 0; r < rows; ++r, x += columns, y += y_stride) {
    for (std::int64_t i = 0; i < columns; i += 64) {
      const std::int64_t left = std::min<std::int64_t>(columns - i, 64);
      const __mmask64 lanes = ~std::uint64_t{0} >> (64 - left);
      const __m512i q = _mm512_maskz_loadu_epi8(lanes, x + i);
      const __m512i low = _mm512_permutex2var_epi8(a, q, b);
      const __m512i high = _mm512_permutex2var_epi8(c, q, d);
      _mm512_mask_storeu_epi8(y + i, lanes, _mm512_mask_blend_epi8(_mm512_movepi8_mask(q), low, high));
    }
  }
}
#endif

}  // namespace

CodeReals reals_of_codes(ScaleZero from) {
  CodeReals reals{};
  for (std::size_t q = 0; q < reals.size(); ++q) {
    reals[q] = double{dequantize(static_cast<std::int32_t>(q), from)};
  }
  return reals;
}

CodeTable make_code_table(const CodeReals& reals, ScaleZero to, CodeRange codes) {
  CodeTable table{};
  std::ranges::transform(reals, table.begin(), [&](double real) {
    return static_cast<std::uint8_t>(detent::quantize(static_cast<float>(real), to, codes));
  });
  return table;
}

CodeTable make_code_table(const std::function<double(double)>& f, ScaleZero from, ScaleZero to, CodeRange codes) {
  CodeReals reals = reals_of_codes(from);
  std::ranges::transform(reals, reals.begin(), f);
  return make_code_table(reals, to, codes);
}

CodeTable requantization_table(ScaleZero from, ScaleZero to, CodeRange codes) {
  return make_code_table(reals_of_codes(from), to, codes);
}

bool is_identity(const CodeTable& table, std::int32_t largest) {
  for (std::size_t q = 0; q <= static_cast<std::size_t>(largest); ++q) {
    if (table[q] != q) {
      return false;
    }
  }
  return true;
}

void lookup(const std::uint8_t* table, const std::uint8_t* x, std::int64_t rows, std::int64_t columns, std::uint8_t* y,
            std::int64_t y_stride) {
#if defined(DETENT_VBMI)
  if (has_vbmi()) {
    lookup_vbmi(table, x, rows, columns, y, y_stride);
    return;
  }
#endif
  for (std::int64_t r = 0; r < rows; ++r) {
    lookup_plain(table, x + r * columns, columns, y + r * y_stride);
  }
}

void lookup_by_channel(const std::uint8_t* tables, const std::uint8_t* x, std::int64_t rows, std::int64_t channels,
                       std::uint8_t* y) {
  for (std::int64_t r = 0; r < rows; ++r, x += channels, y += channels) {
    for (std::int64_t c = 0; c < channels; ++c) {
      y[c] = tables[c * 256 + x[c]];
    }
  }
}

}  // namespace detent::kernels
