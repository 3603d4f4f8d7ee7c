#pragma once

#include <cstdint>

#include "detent/kernels/codes/requantize_tile.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DETENT_HAS_LINE_KERNELS 1
#endif

/// The innermost loops of depthwise convolutions: one line of results, vectors over channels. Private to this folder.
///
/// Lines hold their image's pixels one after another, with padding in them, so that no loop asks for borders. A tap is
/// an element of the kernel's window; `offsets` says where it lies from the window's first pixel, in elements of `x`.
namespace detent::kernels::depthwise {

/// y[p, c] = sum over taps of weight[tap, c] * x[p * x_step + offsets[tap] + c] (+ bias[c]), or max(0, .) of it.
struct FloatLine {
  const float* x = nullptr;
  const std::int64_t* offsets = nullptr;
  std::int64_t taps = 0;
  const float* weight = nullptr;  ///< [taps][channels]
  const float* bias = nullptr;    ///< [channels], or null
  bool relu = false;
  std::int64_t channels = 0;  ///< a multiple of LineKernels::floats
  std::int64_t pixels = 0;
  std::int64_t x_step = 0, y_step = 0;  ///< elements from pixel to pixel
  float* y = nullptr;
};

/// sums[tap, c] += sum over pixels of dy[p, c] * x[p * x_step + offsets[tap] + c], pixel by pixel.
struct WeightLine {
  const float* x = nullptr;
  const std::int64_t* offsets = nullptr;
  std::int64_t taps = 0;
  const float* dy = nullptr;  ///< [pixels][channels]
  std::int64_t channels = 0;  ///< a multiple of LineKernels::floats
  std::int64_t pixels = 0;
  std::int64_t x_step = 0;
  float* sums = nullptr;  ///< [taps][channels]
};

/// Sums of codes. A tile is a block of channels of one pixel, or, where a block has room for more pixels than one and
/// they are neighbours in `x`, of as many; then there is one block. Within a block channels stand in vectors so that
/// the packing of 32-bit lanes to bytes brings them into order: lane l of vector v is channel
/// l / 4 * 4 * vectors + 4 v + l % 4; this is the order of `start` and of all constants.
struct CodeLine {
  const std::uint8_t* x = nullptr;
  const std::int64_t* offsets = nullptr;  ///< [groups][LineKernels::taps]
  std::int64_t groups = 0;                ///< of taps
  const std::byte* weight = nullptr;      ///< [block][group][vector][lane][tap], 32 bits a lane
  const std::int32_t* start = nullptr;    ///< [block][vector][lane]: what sums begin with
  std::int64_t blocks = 0, tiles = 0;
  std::int64_t x_step = 0, y_step = 0;  ///< elements from tile to tile
  std::int64_t last_block = 0;          ///< channels of the last block
  std::int64_t last_tile = 0;           ///< elements of a block of the last tile
};

/// What turns sums into codes whatever the maps are: see Requantization.
struct CodeConstants {
  const float* bias = nullptr;
  const float* multiplier = nullptr;
  const float* real_scale = nullptr;
  float zero_point = 0, lower = 0, upper = 0;
};

/// What training wants beside the codes: see requantize().
struct Observation {
  float positive = 0;  ///< what a real value must exceed for its gradient to pass
  Inside inside{0, 0};
  float* seen = nullptr;         ///< [2][16]: the smallest and largest real values so far, by lane
  std::uint8_t* mask = nullptr;  ///< of the line, or null
};

struct LineKernels {
  std::int64_t floats;    ///< f32 numbers of a vector
  std::int64_t taps;      ///< of a group of CodeLine: 2 in 16 bits each, or 4 in 8 bits
  std::int64_t channels;  ///< of a block of CodeLine: taps * floats
  void (*float_line)(const FloatLine&);
  void (*weight_line)(const WeightLine&);
  void (*sums_line)(const CodeLine&, std::int32_t* y);
  void (*codes_line)(const CodeLine&, const TileRequantization&, std::uint8_t* y);
  void (*biased_codes_line)(const CodeLine&, const TileRequantization&, std::uint8_t* y);
  void (*observed_line)(const CodeLine&, const CodeConstants&, const Observation&, std::uint8_t* y);
};

extern const LineKernels kAvx2Kernels, kAvx512Kernels, kAvx512VnniKernels;

/// Those of this processor, or null where it has no AVX2.
const LineKernels* line_kernels();

}  // namespace detent::kernels::depthwise
