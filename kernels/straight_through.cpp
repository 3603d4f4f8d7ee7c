#include "kernels/straight_through.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <type_traits>

#include "kernels/elementwise.h"
#include "kernels/target.h"

namespace detent::kernels {
namespace {

// Rows are worked on in pieces: the bits of a piece become numbers, so that the arithmetic is plain vector loops.
constexpr std::int64_t kPiece = 256;
using Gate = std::array<std::uint32_t, kPiece>;  // all ones where the gradient passes, else 0
using Piece = std::array<float, kPiece>;

DETENT_VECTORIZED
void expand_bytes(const std::uint8_t* bytes, std::int64_t count, std::uint32_t* gate) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t byte = bytes[i];
    for (std::uint32_t bit = 0; bit < 8; ++bit) {
      gate[i * 8 + bit] = 0U - ((byte >> bit) & 1U);
    }
  }
}

void expand_bits(const std::uint8_t* mask, std::int64_t first, std::int64_t count, Gate& gate) {
  if (first % 8 == 0 && count % 8 == 0) {
    expand_bytes(mask + first / 8, count / 8, gate.data());
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t bit = first + i;
    gate[static_cast<std::size_t>(i)] = 0U - ((static_cast<std::uint32_t>(mask[bit / 8]) >> (bit % 8)) & 1U);
  }
}

/// g = dy where the gate is open, else 0 (also where dy is NaN: what was clipped has no gradient).
inline float gated(float dy, std::uint32_t gate) {
  std::uint32_t bits;
  std::memcpy(&bits, &dy, sizeof bits);
  bits &= gate;
  float g;
  std::memcpy(&g, &bits, sizeof g);
  return g;
}

DETENT_VECTORIZED
void scale_piece(const float* dy, const std::uint32_t* gate, const float* factor, std::int64_t count, float* dst) {
  for (std::int64_t i = 0; i < count; ++i) {
    dst[i] = gated(dy[i], gate[i]) * factor[i];
  }
}

DETENT_VECTORIZED
void affine_piece(const float* dy, const std::uint32_t* gate, const std::int32_t* acc, const float* a, const float* b,
                  const float* c, std::int64_t count, float* dst) {
  for (std::int64_t i = 0; i < count; ++i) {
    dst[i] = (a[i] * gated(dy[i], gate[i]) + b[i] * static_cast<float>(acc[i])) + c[i];
  }
}

DETENT_VECTORIZED
void sums_piece(const float* dy, const std::uint32_t* gate, const std::int32_t* acc, std::int64_t count, double* sum_g,
                double* sum_g_acc) {
  for (std::int64_t i = 0; i < count; ++i) {
    const double g = static_cast<double>(gated(dy[i], gate[i]));
    sum_g[i] += g;
    sum_g_acc[i] += g * static_cast<double>(acc[i]);
  }
}

DETENT_VECTORIZED
void moments_row(const std::int32_t* acc, std::int64_t count, double* sum, double* sum_squares) {
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = static_cast<double>(acc[i]);
    sum[i] += value;
    sum_squares[i] += value * value;
  }
}

DETENT_VECTORIZED
void center(const std::uint8_t* codes, std::int64_t elements, std::int32_t zero_point, float* x) {
  for (std::int64_t i = 0; i < elements; ++i) {
    x[i] = static_cast<float>(static_cast<std::int32_t>(codes[i]) - zero_point);
  }
}

/// Calls fn(element, output, count, gate) for the pieces of all rows: `element` is the flat index of the piece's first.
template <typename Fn>
void for_each_piece(const std::uint8_t* mask, std::int64_t rows, std::int64_t outputs, Fn&& fn) {
  Gate gate;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t o = 0; o < outputs; o += kPiece) {
      const std::int64_t count = std::min(kPiece, outputs - o);
      expand_bits(mask, r * outputs + o, count, gate);
      fn(r * outputs + o, o, count, gate.data());
    }
  }
}

/// Gives `fn` a place for `count` floats, and puts them into dst as T.
template <typename T, typename Fn>
void store_as(std::int64_t count, T* dst, Fn&& fn) {
  if constexpr (std::is_same_v<T, float>) {
    fn(dst);
  } else {
    Piece piece;
    fn(piece.data());
    convert(std::span<const float>(piece.data(), static_cast<std::size_t>(count)), dst);
  }
}

}  // namespace

template <typename T>
void masked_scale(const float* dy, const std::uint8_t* mask, std::int64_t rows, std::int64_t outputs,
                  const float* factor, T* dst) {
  for_each_piece(mask, rows, outputs,
                 [&](std::int64_t i, std::int64_t o, std::int64_t count, const std::uint32_t* gate) {
                   store_as(count, dst + i, [&](float* out) { scale_piece(dy + i, gate, factor + o, count, out); });
                 });
}

template <typename T>
void masked_affine(const float* dy, const std::uint8_t* mask, const std::int32_t* acc, std::int64_t rows,
                   std::int64_t outputs, const float* a, const float* b, const float* c, T* dst) {
  for_each_piece(mask, rows, outputs,
                 [&](std::int64_t i, std::int64_t o, std::int64_t count, const std::uint32_t* gate) {
                   store_as(count, dst + i,
                            [&](float* out) { affine_piece(dy + i, gate, acc + i, a + o, b + o, c + o, count, out); });
                 });
}

void masked_sums(const float* dy, const std::uint8_t* mask, const std::int32_t* acc, std::int64_t rows,
                 std::int64_t outputs, double* sum_g, double* sum_g_acc) {
  for_each_piece(mask, rows, outputs,
                 [&](std::int64_t i, std::int64_t o, std::int64_t count, const std::uint32_t* gate) {
                   sums_piece(dy + i, gate, acc + i, count, sum_g + o, sum_g_acc + o);
                 });
}

void moments(const std::int32_t* acc, std::int64_t rows, std::int64_t outputs, double* sum, double* sum_squares) {
  for (std::int64_t r = 0; r < rows; ++r) {
    moments_row(acc + r * outputs, outputs, sum, sum_squares);
  }
}

template <typename T>
void centered(const std::uint8_t* codes, std::int64_t elements, std::int32_t zero_point, T* x) {
  for (std::int64_t i = 0; i < elements; i += kPiece) {
    const std::int64_t count = std::min(kPiece, elements - i);
    store_as(count, x + i, [&](float* out) { center(codes + i, count, zero_point, out); });
  }
}

template void masked_scale(const float*, const std::uint8_t*, std::int64_t, std::int64_t, const float*, float*);
template void masked_scale(const float*, const std::uint8_t*, std::int64_t, std::int64_t, const float*, bfloat16*);
template void masked_affine(const float*, const std::uint8_t*, const std::int32_t*, std::int64_t, std::int64_t,
                            const float*, const float*, const float*, float*);
template void masked_affine(const float*, const std::uint8_t*, const std::int32_t*, std::int64_t, std::int64_t,
                            const float*, const float*, const float*, bfloat16*);
template void centered(const std::uint8_t*, std::int64_t, std::int32_t, float*);
template void centered(const std::uint8_t*, std::int64_t, std::int32_t, bfloat16*);

}  // namespace detent::kernels
