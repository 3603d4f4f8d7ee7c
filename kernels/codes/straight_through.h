#pragma once

#include <cstdint>

#include "detent/core/dtype.h"
#include "detent/kernels/layers/pool.h"

/// The gradient of quantized layers, on a slice in cache: the straight-through mask, the scales of the weights and the
/// change of type in one pass. Single-threaded, vectorized. G, the type of dy, and T, that of the result, are float or
/// bfloat16 (to nearest, ties to even).
namespace detent::kernels {

/// dst[r, o] = bit (r, o) of `mask` ? dy[r, o] * factor[o] : 0
template <typename G, typename T>
void masked_scale(const G* dy, const std::uint8_t* mask, std::int64_t rows, std::int64_t outputs, const float* factor,
                  T* dst);

/// The same for the results of a max-pool of one image, dy [PH, PW, O], with the mask's bit of the pixel that won:
///   dst[p, o] = bit (first + winner(p, o) * O + o) of `mask` ? dy[p, o] * factor[o] : 0
template <typename G>
void masked_scale_of_winners(const PoolShape& pool, const G* dy, const std::uint8_t* argmax, const std::uint8_t* mask,
                             std::int64_t first, const float* factor, float* dst);

/// With g = dy where the mask is set, else 0:  dst[r, o] = (a[o] * g + b[o] * acc[r, o]) + c[o].
/// It is the gradient through a batch norm whose input are the sums `acc`: S is s32, or s8 for sums from narrow_sums
/// (batch_sums.h).
template <typename G, typename S, typename T>
void masked_affine(const G* dy, const std::uint8_t* mask, const S* acc, std::int64_t rows, std::int64_t outputs,
                   const float* a, const float* b, const float* c, T* dst);

/// sum_g[o] += sum over r of g, sum_g_acc[o] += sum over r of g * acc; g and S as in masked_affine. Products, and sums
/// of a few dozen rows, are f32, in an order that depends on the shape alone.
template <typename G, typename S>
void masked_sums(const G* dy, const std::uint8_t* mask, const S* acc, std::int64_t rows, std::int64_t outputs,
                 double* sum_g, double* sum_g_acc);

/// x[i] = codes[i] - zero_point as a number: exact in bf16, since it lies in [-255, 255].
template <typename T>
void centered(const std::uint8_t* codes, std::int64_t elements, std::int32_t zero_point, T* x);

}  // namespace detent::kernels
