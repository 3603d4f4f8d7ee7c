#pragma once

#include <cstdint>

#include "detent/core/dtype.h"

/// Sums over lists of winners of a max-pool; private to conv_pooled.cpp. Single-threaded.
namespace detent::kernels {

/// Lists of winners, one a target, in memory that they share. G, the type of the gradients, is that of the products'
/// other factors, the source: float or bfloat16.
template <typename G>
struct WinnerLists {
  std::int64_t count = 0;
  std::int32_t* targets = nullptr;                  ///< [count]: where a list's target begins
  std::int32_t *begins = nullptr, *ends = nullptr;  ///< [count]: where the list does
  std::int32_t* at = nullptr;                       ///< where a winner's source begins, in steps
  std::int64_t step = 1;                            ///< elements
  G* g = nullptr;
};

/// A register of AVX-512 holds sixteen f32 sums, two of AVX2, four of SSE.
constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kMostVectors = 6;

/// Rows of vectors, each at a distance from the one before.
struct Rows {
  std::int64_t count = 1, vectors = 1;
  std::int64_t source_stride = 0, target_stride = 0;
};

/// target[t, t + 16 vectors) += the sum over the list of g * source[s, s + 16 vectors), in the order of the list, for
/// every row and list; t is where a list's target begins and s where a winner's source does. Products and sums are
/// rounded one by one. REQUIRES: vectors <= kMostVectors.
void add_winners(const WinnerLists<float>& lists, Rows rows, const float* source, float* target);
/// The same on bf16 units, which add the products of two winners at once. REQUIRES: has_bf16_units(); vectors even;
/// complete_pairs(lists).
void add_winners(const WinnerLists<bfloat16>& lists, Rows rows, const bfloat16* source, float* target);

/// Lists the winners among g, argmax [windows, outputs] whose gradient is not 0 by the pixel that won: `places` lists a
/// window, with a free place behind each. Sources are numbers of outputs. At most windows * (outputs + places) + kLanes
/// elements are written. REQUIRES: g are numbers of type G.
template <typename G>
void list_by_pixel(const float* g, const std::uint8_t* argmax, std::int64_t outputs, std::int64_t places,
                   const WinnerLists<G>& lists);

/// The same winners by output, with the targets of `by_pixel` as sources. REQUIRES: `lists.begins` leave room for one
/// winner a window, and a free place.
template <typename G>
void list_by_output(const WinnerLists<G>& by_pixel, const WinnerLists<G>& lists);

/// Makes the number of winners in every list even: an odd one gets a partner without a gradient.
void complete_pairs(const WinnerLists<bfloat16>& lists);

}  // namespace detent::kernels
