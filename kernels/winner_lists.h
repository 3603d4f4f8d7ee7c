#pragma once

#include <cstdint>

/// Sums over lists of winners of a max-pool; private to conv_pooled.cpp. Single-threaded.
namespace detent::kernels {

/// Lists of winners, one a target, in memory that they share.
struct WinnerLists {
  std::int64_t count = 0;
  std::int32_t* targets = nullptr;                  ///< [count]: where a list's target begins
  std::int32_t *begins = nullptr, *ends = nullptr;  ///< [count]: where the list does
  std::int32_t* at = nullptr;                       ///< where a winner's source begins, in steps
  std::int64_t step = 1;                            ///< floats
  float* g = nullptr;
};

/// Sixteen lanes are one register of AVX-512, two of AVX2, four of SSE.
constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kMostVectors = 6;

/// target[t, t + 16 vectors) += the sum over the list of g * source[s, s + 16 vectors), in the order of the list, for
/// every list; t is where its target begins and s where a winner's source does. Products and sums are rounded one by
/// one. REQUIRES: vectors <= kMostVectors.
void add_winners(const WinnerLists& lists, std::int64_t vectors, const float* source, float* target);

/// Lists the winners among g, argmax [windows, outputs] whose gradient is not 0 by the pixel that won: `places` lists a
/// window. Sources are numbers of outputs. At most windows * outputs + kLanes elements are written.
void list_by_pixel(const float* g, const std::uint8_t* argmax, std::int64_t outputs, std::int64_t places,
                   const WinnerLists& lists);

/// The same winners by output, with the targets of `by_pixel` as sources. REQUIRES: `lists.begins` leave room for all.
void list_by_output(const WinnerLists& by_pixel, const WinnerLists& lists);

}  // namespace detent::kernels
