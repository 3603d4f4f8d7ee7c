#pragma once

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#define DETENT_HAS_WEIGHT_TILES 1
#endif

/// The innermost products of the gradient of a convolution's weights. Private to this folder.
namespace detent::kernels {

/// A tile of sums[vector][output][lane], which stays in registers while all pixels are added to it:
///   sums[n][m][lane] += sum over pixels of dy[pixel][m] * x[pixel][vectors[n] + lane]
/// Numbers are words of 32 bits: f32, or bf16 of a pair of pixels, the first in the low half. Lengths are in words.
struct WeightTile {
  static constexpr int kMostVectors = 4;
  const std::uint32_t* x = nullptr;
  std::int64_t vectors[kMostVectors] = {};  ///< where the vectors of a pixel begin, from its first word on
  std::int64_t images = 1, lines = 1, pixels = 1;
  std::int64_t x_image = 0, x_line = 0, x_pixel = 0;  ///< from one to the next
  const std::uint32_t* dy = nullptr;                  ///< [images, lines, pixels, dy_pixel]
  std::int64_t dy_pixel = 0;
  float* sums = nullptr;
  std::int64_t sums_vector = 0;  ///< from one vector to the next; outputs follow each other
};

using WeightKernel = void (*)(const WeightTile& tile);

/// The tiles of a kind of vector unit.
struct WeightUnit {
  std::int64_t lanes;
  int most_vectors;             ///< of a tile
  const int* most_outputs;      ///< of a tile, by its vectors less one
  const WeightKernel* kernels;  ///< [vectors - 1][outputs - 1], kMostOutputs a row
  static constexpr int kMostOutputs = 16;

  WeightKernel kernel(int vectors, int outputs) const { return kernels[(vectors - 1) * kMostOutputs + outputs - 1]; }
};

#if defined(DETENT_HAS_WEIGHT_TILES)
const WeightUnit& weight_unit_avx2();
const WeightUnit& weight_unit_avx512();
/// Of pairs of bf16 numbers.
const WeightUnit& weight_unit_bf16();
#endif

/// Pairs of pixels 0 and 1, 2 and 3, ...: words [pairs, word_stride] of `count` pixels of `columns` numbers. The last
/// of an odd number is paired with zeros.
void pair_pixels(const std::uint16_t* pixels, std::int64_t count, std::int64_t stride, std::int64_t columns,
                 std::uint32_t* words, std::int64_t word_stride);
/// words[i] = the pair of first[i] and second[i]; reads and writes up to 15 numbers behind the last one.
void pair_vectors(const std::uint16_t* first, const std::uint16_t* second, std::int64_t count, std::uint32_t* words);

}  // namespace detent::kernels
