#pragma once

#include <algorithm>

#include "detent/kernels/product/hybrid/weight_only_tile.h"

/// The kernels as templates over a vector unit. A source that makes them for a unit defines DETENT_WEIGHT_KERNEL and
/// DETENT_WEIGHT_TILE, the attributes of kernels for that unit and of what is inlined into them, and includes this file
/// after it. A unit has
///   Vector, Word       16 f32, and 16 words of codes
///   Number, kStep      the type of a row's numbers, and how many of them a step takes: 1 f32 or 2 bf16
///   kRows, kBlocks     rows and blocks whose sums registers hold
///   kRowBlocks         blocks of one row
///   zero, load, store, load_word
///   spread             one step of a row, or one f32, in all lanes
///   multiply_add       sum += a * b for f32; add_products: sum += a * b for a step
///   bytes              the codes of 8 bits of a step
///   codes<bits>        those of step s (0 or 1) of pair j of a word, after `next` was called for each pair before it
/// A pair is the numbers 2 j and 2 j + 1.
namespace detent::kernels::weight_only {
namespace {

/// Adds the products of the first `numbers` numbers of a word. `x`: of the first row, as all others `stride` apart.
template <typename U, int kBits, int R, int B>
DETENT_WEIGHT_TILE void add_word(const typename U::Number* x, std::int64_t stride, std::int64_t numbers,
                                 typename U::Word (&word)[B], typename U::Vector (&part)[R][B]) {
#pragma GCC unroll 8
  for (int j = 0; j < 16 / kBits; ++j) {
    if (2 * j >= numbers) {
      break;
    }
#pragma GCC unroll 2
    for (int s = 0; s < 2 / U::kStep; ++s) {
      if (2 * j + s >= numbers) {
        break;
      }
      typename U::Vector factors[B];
#pragma GCC unroll 4
      for (int b = 0; b < B; ++b) {
        factors[b] = U::template codes<kBits>(word[b], j, s);
      }
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const typename U::Vector number = U::spread(x + r * stride + 2 * j + s);
#pragma GCC unroll 4
        for (int b = 0; b < B; ++b) {
          U::add_products(part[r][b], number, factors[b]);
        }
      }
    }
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
      U::template next<kBits>(word[b]);
    }
  }
}

/// Adds the products of a chunk.
template <typename U, int kBits, int R, int B>
DETENT_WEIGHT_TILE void add_chunk(const typename U::Number* x, std::int64_t stride, std::int64_t numbers,
                                  const std::uint8_t* weight, std::int64_t block_bytes,
                                  typename U::Vector (&part)[R][B]) {
  if constexpr (kBits == 8) {
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < numbers; i += U::kStep) {
      typename U::Vector factors[B];
#pragma GCC unroll 4
      for (int b = 0; b < B; ++b) {
        factors[b] = U::bytes(weight + b * block_bytes + i * kLanes);
      }
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const typename U::Vector number = U::spread(x + r * stride + i);
#pragma GCC unroll 4
        for (int b = 0; b < B; ++b) {
          U::add_products(part[r][b], number, factors[b]);
        }
      }
    }
  } else {
    constexpr std::int64_t kNumbers = numbers_of_word(kBits);
    for (std::int64_t i = 0; i < numbers; i += kNumbers, weight += kLanes * sizeof(std::uint32_t)) {
      typename U::Word word[B];
#pragma GCC unroll 4
      for (int b = 0; b < B; ++b) {
        word[b] = U::load_word(weight + b * block_bytes);
      }
      if (numbers - i >= kNumbers) {
        add_word<U, kBits, R, B>(x + i, stride, kNumbers, word, part);
      } else {
        add_word<U, kBits, R, B>(x + i, stride, numbers - i, word, part);
      }
    }
  }
}

/// The numbers of a row in a chunk.
template <typename U>
DETENT_WEIGHT_TILE const typename U::Number* numbers_of(const Work& work, std::int64_t row, std::int64_t chunk) {
  using Number = typename U::Number;
  const std::int64_t within =
      work.x_chunk > 0 ? chunk * work.x_chunk : work.chunks[chunk].x * static_cast<std::int64_t>(sizeof(Number));
  return reinterpret_cast<const Number*>(work.x + row * work.x_stride + within);
}

template <typename U>
DETENT_WEIGHT_TILE typename U::Vector start_of(const Work& work, std::int64_t row, std::int64_t chunk) {
  return work.start == nullptr ? U::zero() : U::spread_f32(work.start + row * work.chunk_count + chunk);
}

/// total (+)= part * scale, in memory.
template <typename U, int R, int B>
DETENT_WEIGHT_TILE void add_to_totals(const Work& work, std::int64_t row, std::int64_t chunk,
                                      const typename U::Vector (&part)[R][B]) {
  const float* const scale = work.scale + work.chunks[chunk].group * kLanes;
#pragma GCC unroll 4
  for (int b = 0; b < B; ++b) {
    const typename U::Vector of_block = U::load(scale + b * work.groups * kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      float* const to = work.total + ((row + r) * B + b) * kLanes;
      typename U::Vector total = chunk == 0 ? U::zero() : U::load(to);
      U::multiply_add(total, part[r][b], of_block);
      U::store(to, total);
    }
  }
}

template <typename U, int kBits, int R, int B>
DETENT_WEIGHT_KERNEL void direct(const Work& work, std::int64_t row) {
  using Number = typename U::Number;
  const std::int64_t stride = work.x_stride / static_cast<std::int64_t>(sizeof(Number));
  for (std::int64_t c = 0; c < work.chunk_count; ++c) {
    const Chunk& chunk = work.chunks[c];
    typename U::Vector part[R][B];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int b = 0; b < B; ++b) {
        part[r][b] = start_of<U>(work, row + r, c);
      }
    }
    add_chunk<U, kBits, R, B>(numbers_of<U>(work, row, c), stride, chunk.numbers, work.weight + chunk.weight,
                              work.block_bytes, part);
    add_to_totals<U, R, B>(work, row, c, part);
  }
}

template <typename U, int kBits, int B>
DETENT_WEIGHT_KERNEL void unpack(const Work& work, std::int64_t index, float* panel) {
  const Chunk& chunk = work.chunks[index];
  for (int b = 0; b < B; ++b) {
    const std::uint8_t* weight = work.weight + b * work.block_bytes + chunk.weight;
    float* to = panel + b * kLanes;
    if constexpr (kBits == 8) {
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < chunk.numbers; i += U::kStep, to += B * kLanes) {
        U::store(to, U::bytes(weight + i * kLanes));
      }
    } else {
      for (std::int64_t i = 0; i < chunk.numbers; i += numbers_of_word(kBits)) {
        typename U::Word word = U::load_word(weight);
        weight += kLanes * sizeof(std::uint32_t);
#pragma GCC unroll 8
        for (int j = 0; j < 16 / kBits; ++j) {
#pragma GCC unroll 2
          for (int s = 0; s < 2 / U::kStep; ++s, to += B * kLanes) {
            U::store(to, U::template codes<kBits>(word, j, s));
          }
          U::template next<kBits>(word);
        }
      }
    }
  }
}

template <typename U, int R, int B>
DETENT_WEIGHT_KERNEL void multiply(const Work& work, std::int64_t chunk, const float* panel, std::int64_t row) {
  using Vector = typename U::Vector;
  const typename U::Number* x[R];
  Vector part[R][B];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    x[r] = numbers_of<U>(work, row + r, chunk);
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
      part[r][b] = start_of<U>(work, row + r, chunk);
    }
  }
  const std::int64_t numbers = work.chunks[chunk].numbers;
  for (std::int64_t i = 0; i < numbers; i += U::kStep, panel += B * kLanes) {
    Vector factors[B];
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
      factors[b] = U::load(panel + b * kLanes);
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const Vector number = U::spread(x[r] + i);
#pragma GCC unroll 4
      for (int b = 0; b < B; ++b) {
        U::add_products(part[r][b], number, factors[b]);
      }
    }
  }
  add_to_totals<U, R, B>(work, row, chunk, part);
}

template <typename U, int R>
constexpr std::array<Multiply, 2> multiply_of() {
  if constexpr (R <= U::kRows) {
    return {&multiply<U, R, 1>, &multiply<U, R, U::kBlocks>};
  } else {
    return {};
  }
}

template <typename U, int kBits>
constexpr std::array<std::array<Direct, 2>, kMostDirectRows> direct_of() {
  return {{{&direct<U, kBits, 1, 1>, &direct<U, kBits, 1, U::kRowBlocks>},
           {&direct<U, kBits, 2, 1>, &direct<U, kBits, 2, U::kBlocks>},
           {&direct<U, kBits, 3, 1>, &direct<U, kBits, 3, U::kBlocks>},
           {&direct<U, kBits, 4, 1>, &direct<U, kBits, 4, U::kBlocks>}}};
}

template <typename U>
constexpr Unit unit_of() {
  return {.rows = U::kRows,
          .blocks = U::kBlocks,
          .row_blocks = U::kRowBlocks,
          .takes_bf16 = U::kStep == 2,
          .direct = {direct_of<U, 8>(), direct_of<U, 4>(), direct_of<U, 2>()},
          .unpack = {{{&unpack<U, 8, 1>, &unpack<U, 8, U::kBlocks>},
                      {&unpack<U, 4, 1>, &unpack<U, 4, U::kBlocks>},
                      {&unpack<U, 2, 1>, &unpack<U, 2, U::kBlocks>}}},
          .multiply = {multiply_of<U, 1>(), multiply_of<U, 2>(), multiply_of<U, 3>(), multiply_of<U, 4>(),
                       multiply_of<U, 5>(), multiply_of<U, 6>()}};
}

}  // namespace
}  // namespace detent::kernels::weight_only
