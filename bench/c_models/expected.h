#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "detent/interchange/c/export.h"

/// What Detent gives, and how far from it others are.
namespace detent::bench {

/// FNV-1a of the bytes of a value: equal values have equal digests.
std::uint32_t digest(const void* value, std::size_t bytes);

/// The values that an exported model shows, example by example: codes of inputs, then what each layer gives.
std::vector<runtime::ValueId> shown_values(const interchange::c::Program& program);

/// Of each image, and of that each shown value, the digest.
std::vector<std::uint32_t> digests_of(const interchange::c::Program& program, interchange::c::Requantize requantize,
                                      const Tensor& images);
/// The model's outputs, f32 [N, elements].
Tensor results_of(const interchange::c::Program& program, interchange::c::Requantize requantize, const Tensor& images);

/// Of `given`, how many are others than those of `expected` at their places.
std::int64_t differing_digests(std::span<const std::uint32_t> given, std::span<const std::uint32_t> expected);

/// How many results are farther from those expected than docs/export-c.md says: 2^-13 of the largest, or 2^-5 where
/// sums of f32 become codes.
std::int64_t beyond_tolerance(std::span<const float> given, const Tensor& expected,
                              interchange::c::Agreement agreement);

struct Distance {
  double largest = 0;            ///< of two results, in parts of the largest expected
  std::int64_t predictions = 0;  ///< examples whose largest result is another
};
Distance distance_of(std::span<const float> given, const Tensor& expected);

}  // namespace detent::bench
