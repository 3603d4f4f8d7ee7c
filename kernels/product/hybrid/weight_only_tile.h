#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

/// The innermost loops of WeightOnlyProduct. Private to this folder.
///
/// Outputs lie in the lanes of vectors, 16 to a block, so that a scale of a group, which each output has of its own, is
/// applied to 16 sums at once. What an output sums up, its depth, is cut into chunks of at most kChunk numbers, which
/// end with each group of weights:
///
///   part[c] = the products of chunk c, added one after another
///   total   = part[0] * scale[0] + part[1] * scale[1] + ...
///
/// A few rows take the numbers that codes become from registers (`direct`); more share what was made of a chunk's codes
/// (`unpack`), a panel that stays in the first cache (`multiply`). All add in this one order.
namespace detent::kernels::weight_only {

inline constexpr std::int64_t kLanes = 16;
inline constexpr std::int64_t kChunk = 32;

/// Weights: [block][chunk], and in a chunk
///   8 bits    [number][lane] bytes in two's complement, the numbers filled up to a multiple of 2
///   4, 2      [word][lane] u32 of 32 / bits numbers each. Number i of a word lies in the bits from
///             16 * (i % 2) + bits * (i / 2) on, as 2^(bits - 1) + code, or - code where i / 2 is odd
constexpr std::int64_t numbers_of_word(int bits) { return 32 / bits; }

struct Chunk {
  std::int64_t weight = 0;   ///< bytes from the first chunk of the block
  std::int64_t x = 0;        ///< numbers from the first of a row
  std::int64_t numbers = 0;  ///< that are multiplied
  std::int64_t group = 0;
};

/// What is multiplied: rows with the weights of some blocks of outputs.
struct Work {
  const std::byte* x = nullptr;  ///< as the unit takes it
  std::int64_t x_stride = 0;     ///< bytes from row to row
  std::int64_t x_chunk = 0;      ///< and from chunk to chunk; 0: chunks lie where they lie in a row
  const float* start = nullptr;  ///< [row][chunk], what a sum begins with; null: 0
  const std::uint8_t* weight = nullptr;
  std::int64_t block_bytes = 0;
  const Chunk* chunks = nullptr;
  std::int64_t chunk_count = 0;
  const float* scale = nullptr;  ///< [block][group][lane]
  std::int64_t groups = 1;
  float* total = nullptr;  ///< [row][block][lane] of the blocks that a kernel takes at once
};

/// The rows from `row` on.
using Direct = void (*)(const Work& work, std::int64_t row);
/// The factors of chunk `chunk`: [step][block][lane], a step being what one multiply-add takes of a row.
using Unpack = void (*)(const Work& work, std::int64_t chunk, float* panel);
/// The rows from `row` on, adding to their totals, but for the first chunk.
using Multiply = void (*)(const Work& work, std::int64_t chunk, const float* panel, std::int64_t row);
/// A row of f32 as the unit takes it, chunk by chunk `stride` numbers apart, and what the sums of each start with.
using Prepare = void (*)(const Chunk* chunks, std::int64_t count, const float* x, float* prepared, std::int64_t stride,
                         float* start);

inline constexpr int kMostRows = 6;
inline constexpr int kMostDirectRows = 4;
inline constexpr int kMostBlocks = 4;

/// What a processor has. Kernels come for one block, and for as many as are best at once.
struct Unit {
  int rows = 1;        ///< of `multiply`: [rows - 1][whether for many blocks]
  int blocks = 1;      ///< where they are many, but
  int row_blocks = 1;  ///< of `direct` for one row
  /// A row is bf16, two to a step, in chunks that are filled up with zeros to a multiple of 2; else f32.
  bool takes_bf16 = false;
  // By bits: 8, 4, 2.
  std::array<std::array<std::array<Direct, 2>, kMostDirectRows>, 3> direct = {};  ///< as `multiply`
  std::array<std::array<Unpack, 2>, 3> unpack = {};
  std::array<std::array<Multiply, 2>, kMostRows> multiply = {};
  std::array<Prepare, 3> prepare = {};  ///< null: rows are taken as they are
};

/// The unit to use on this processor, for numbers that are f32, or bf16.
const Unit& unit(bool is_bf16);

#if defined(__x86_64__) && defined(__GNUC__)
const Unit& avx512_unit();
const Unit& avx512_bf16_unit();
const Unit& avx2_unit();
#endif

}  // namespace detent::kernels::weight_only
