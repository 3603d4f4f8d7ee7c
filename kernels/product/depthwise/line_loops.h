#pragma once

#include <algorithm>
#include <cstring>

#include "detent/kernels/product/depthwise/line_kernels.h"

// The loops of LineKernels as templates over a vector unit. A source includes this once, after it has said by a pragma
// for which processors it is compiled; so all of it stands in an unnamed namespace, and there are no other includes.
//
// A unit U has the types F (f32 lanes), I (s32 lanes), Flags (truths of lanes), the constants kFloats and kTaps, and
// the functions below. Blocks of codes are kTaps vectors of sums.

namespace detent::kernels::depthwise {
namespace {

constexpr int kFloatPixels = 8;
constexpr int kWeightTaps = 9;
constexpr int kCodeTiles = 4;

template <typename U, int P>
inline void float_tile(const FloatLine& line, const float* x, std::int64_t channel, float* y) {
  typename U::F sums[P];
  const typename U::F bias = line.bias == nullptr ? U::zero() : U::load(line.bias + channel);
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    sums[p] = bias;
  }
  const float* weight = line.weight + channel;
  for (std::int64_t t = 0; t < line.taps; ++t, weight += line.channels) {
    const typename U::F w = U::load(weight);
    const float* from = x + line.offsets[t];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      sums[p] = U::multiply_add(U::load(from + p * line.x_step), w, sums[p]);
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    U::store(y + p * line.y_step, line.relu ? U::larger(sums[p], U::zero()) : sums[p]);
  }
}

template <typename U, int P = kFloatPixels - 1>
inline void float_rest(const FloatLine& line, std::int64_t pixels, const float* x, std::int64_t channel, float* y) {
  if constexpr (P > 0) {
    pixels == P ? float_tile<U, P>(line, x, channel, y) : float_rest<U, P - 1>(line, pixels, x, channel, y);
  }
}

template <typename U>
void float_line(const FloatLine& line) {
  for (std::int64_t channel = 0; channel < line.channels; channel += U::kFloats) {
    const float* x = line.x + channel;
    float* y = line.y + channel;
    std::int64_t p = 0;
    for (; p + kFloatPixels <= line.pixels; p += kFloatPixels) {
      float_tile<U, kFloatPixels>(line, x + p * line.x_step, channel, y + p * line.y_step);
    }
    float_rest<U>(line, line.pixels - p, x + p * line.x_step, channel, y + p * line.y_step);
  }
}

template <typename U, int T>
inline void weight_tile(const WeightLine& line, std::int64_t tap, std::int64_t channel) {
  typename U::F sums[T];
  const float* x[T];
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
    sums[t] = U::load(line.sums + (tap + t) * line.channels + channel);
    x[t] = line.x + line.offsets[tap + t] + channel;
  }
  const float* dy = line.dy + channel;
  for (std::int64_t p = 0; p < line.pixels; ++p, dy += line.channels) {
    const typename U::F g = U::load(dy);
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      sums[t] = U::multiply_add(U::load(x[t] + p * line.x_step), g, sums[t]);
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
    U::store(line.sums + (tap + t) * line.channels + channel, sums[t]);
  }
}

template <typename U, int T = kWeightTaps>
inline void weight_taps(const WeightLine& line, std::int64_t taps, std::int64_t tap, std::int64_t channel) {
  if constexpr (T > 0) {
    taps >= T ? weight_tile<U, T>(line, tap, channel) : weight_taps<U, T - 1>(line, taps, tap, channel);
  }
}

template <typename U>
void weight_line(const WeightLine& line) {
  for (std::int64_t channel = 0; channel < line.channels; channel += U::kFloats) {
    for (std::int64_t tap = 0; tap < line.taps; tap += kWeightTaps) {
      weight_taps<U>(line, line.taps - tap, tap, channel);
    }
  }
}

/// The sums of P tiles of a block, given to `finish` one tile after another.
template <typename U, int P, typename Finish>
inline void code_tiles(const CodeLine& line, std::int64_t block, std::int64_t tile, const Finish& finish) {
  constexpr int kVectors = U::kTaps;
  constexpr std::int64_t kBlock = std::int64_t{kVectors} * U::kFloats;
  typename U::I sums[P][kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) {
    const typename U::I start = U::load(line.start + block * kBlock + v * U::kFloats);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      sums[p][v] = start;
    }
  }
  const std::uint8_t* const x = line.x + tile * line.x_step + block * kBlock;
  const std::byte* weight = line.weight + block * line.groups * kBlock * 4;
  const std::int64_t* offsets = line.offsets;
  for (std::int64_t g = 0; g < line.groups; ++g, weight += kBlock * 4, offsets += U::kTaps) {
    typename U::I w[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      w[v] = U::load(weight + v * U::kFloats * 4);
    }
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      typename U::I codes[kVectors];
      U::interleave(x + p * line.x_step, offsets, codes);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        U::add_products(sums[p][v], codes[v], w[v]);
      }
    }
  }
  const std::int64_t in_block = block + 1 == line.blocks ? line.last_block : kBlock;
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    const std::int64_t stored = tile + p + 1 == line.tiles ? std::min(in_block, line.last_tile) : in_block;
    finish(sums[p], (tile + p) * line.y_step + block * kBlock, stored, block * kBlock);
  }
}

template <typename U, typename Finish>
inline void code_line(const CodeLine& line, const Finish& finish) {
  for (std::int64_t block = 0; block < line.blocks; ++block) {
    std::int64_t tile = 0;
    for (; tile + kCodeTiles <= line.tiles; tile += kCodeTiles) {
      code_tiles<U, kCodeTiles>(line, block, tile, finish);
    }
    if (tile + 2 <= line.tiles) {
      code_tiles<U, 2>(line, block, tile, finish);
      tile += 2;
    }
    if (tile < line.tiles) {
      code_tiles<U, 1>(line, block, tile, finish);
    }
  }
}

template <typename U>
void sums_line(const CodeLine& line, std::int32_t* y) {
  constexpr int kVectors = U::kTaps;
  code_line<U>(line, [y](const typename U::I(&sums)[kVectors], std::int64_t at, std::int64_t stored, std::int64_t) {
    alignas(64) std::int32_t lanes[kVectors][U::kFloats];
    for (int v = 0; v < kVectors; ++v) {
      U::store(lanes[v], sums[v]);
    }
    for (std::int64_t quarter = 0; quarter < stored / 4; ++quarter) {
      std::memcpy(y + at + 4 * quarter, lanes[quarter % kVectors] + quarter / kVectors * 4, 4 * sizeof(std::int32_t));
    }
  });
}

template <typename U, bool kBias>
void codes_line(const CodeLine& line, const TileRequantization& r, std::uint8_t* y) {
  constexpr int kVectors = U::kTaps;
  code_line<U>(line,
               [&](const typename U::I(&sums)[kVectors], std::int64_t at, std::int64_t stored, std::int64_t constants) {
                 typename U::I q[kVectors];
#pragma GCC unroll 16
                 for (int v = 0; v < kVectors; ++v) {
                   q[v] = requantize_vector<kBias>(sums[v], r, static_cast<int>(constants) + v * U::kFloats);
                 }
                 U::store_bytes(y + at, U::clamped(U::to_bytes(q), r.lower, r.upper), stored);
               });
}

template <typename U>
void observed_line(const CodeLine& line, const CodeConstants& c, const Observation& o, std::uint8_t* y) {
  constexpr int kVectors = U::kTaps;
  const typename U::F zero_point = U::all(c.zero_point), lower = U::all(c.lower), upper = U::all(c.upper);
  const typename U::F positive = U::all(o.positive), low = U::all(o.inside.low), high = U::all(o.inside.high);
  typename U::F least = U::load(o.seen), most = U::load(o.seen + 16);
  code_line<U>(line,
               [&](const typename U::I(&sums)[kVectors], std::int64_t at, std::int64_t stored, std::int64_t constants) {
                 typename U::I q[kVectors];
                 typename U::Flags passes[kVectors];
                 // Sixteens of channels are neighbouring lanes of all vectors.
                 const typename U::Flags exist = U::first(stored / kVectors);
#pragma GCC unroll 16
                 for (int v = 0; v < kVectors; ++v) {
                   const std::int64_t first = constants + v * U::kFloats;
                   const typename U::F value = U::add(U::to_float(sums[v]), U::load(c.bias + first));
                   const typename U::F code = U::add(U::multiply(value, U::load(c.multiplier + first)), zero_point);
                   passes[v] = U::both(U::greater(value, positive), U::within(code, low, high));
                   q[v] = U::nearest(U::smaller(U::larger(code, lower), upper));
                   const typename U::F real = U::larger(U::multiply(value, U::load(c.real_scale + first)), positive);
                   least = U::smaller(least, real, exist);
                   most = U::larger(most, real, exist);
                 }
                 U::store_bytes(y + at, U::to_bytes(q), stored);
                 if (o.mask != nullptr) {
                   const std::uint64_t bits = U::bits(passes);
                   std::memcpy(o.mask + at / 8, &bits, static_cast<std::size_t>(stored / 8));
                 }
               });
  U::store(o.seen, least);
  U::store(o.seen + 16, most);
}

template <typename U>
constexpr LineKernels kernels_of() {
  return {.floats = U::kFloats,
          .taps = U::kTaps,
          .channels = U::kTaps * U::kFloats,
          .float_line = float_line<U>,
          .weight_line = weight_line<U>,
          .sums_line = sums_line<U>,
          .codes_line = codes_line<U, false>,
          .biased_codes_line = codes_line<U, true>,
          .observed_line = observed_line<U>};
}

}  // namespace
}  // namespace detent::kernels::depthwise
