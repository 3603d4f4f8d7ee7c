#pragma once

#include <cstddef>
#include <cstdint>

/// The layout of weights for tiles, by vectors. Private to this folder.
namespace detent::kernels {

/// Of eight outputs whose codes lie `row` apart, the first of `count`: steps of four bytes, each output's behind the
/// other's, `stride` bytes from step to step. A code has `code_bytes`, 1 or 2. Gives how many codes of each output it
/// took: whole vectors, none where the processor has no AVX2.
std::int64_t pack_eight(const std::int8_t* codes, std::int64_t row, std::int64_t count, std::int64_t code_bytes,
                        std::int64_t stride, std::byte* packed);

}  // namespace detent::kernels
