#pragma once

#include <cstdint>
#include <functional>

#include "detent/kernels/layers/pool.h"
#include "detent/kernels/product/conv.h"

namespace detent::kernels {

/// The backward pass of a convolution whose sums S [N, OH, OW, O] go into a max-pool and nowhere else. dL/dS is 0 but
/// where a pixel won its window, so only the winners are visited: with windows of 2 x 2 a quarter of the arithmetic,
/// and after a ReLU, which makes more gradients 0, less again. With g [N, PH, PW, O] the gradient of S at the winners,
/// and p the winner of a window for output o:
///   dx[p + tap, i] += g * W[o, tap, i],  dw[o, tap, i] += g * x[p + tap, i],  db[o] += g
/// Sums are f32; their order depends on the shapes alone, so the bits do not depend on the number of threads. In f32
/// each product and each sum is rounded by itself; in bf16, where the processor has units for it, two products at a
/// time are added as these units do.
struct PooledConvBackward {
  DType dtype = DType::F32;              ///< f32 or bf16: the type of the products, of x, the weight and g
  PoolShape pool;                        ///< of the max-pool; its input is S
  const std::uint8_t* argmax = nullptr;  ///< [N, PH, PW, O], from max_pool_forward
  /// Writes g of one image, [PH, PW, O], which is then rounded to `dtype`. Called on any thread, as make_x.
  std::function<void(std::int64_t image, float* g)> make_g;
  /// Writes the input of one image, [H, W, C], in `dtype`. Called only if dw is wanted.
  std::function<void(std::int64_t image, std::byte* x)> make_x;

  const std::byte* weight = nullptr;  ///< [O, KH, KW, C] in `dtype`; needed if dx is wanted
  std::byte* dx = nullptr;            ///< [N, H, W, C], or null: not wanted
  DType dx_dtype = DType::F32;        ///< f32 or bf16
  float* dw = nullptr;                ///< [O, KH, KW, C], or null: not wanted
  float* db = nullptr;                ///< [O], or null: not wanted
};

/// Whether conv2d_backward_pooled can work on these shapes and is likely to be faster than conv2d_backward on all
/// pixels: at least three pixels to a window, no groups, kernels whose pixels of a line are neighbours, and images
/// large enough to spread the cost of a weight's row over several winners.
bool visits_winners(const ConvShape& shape, const PoolShape& pool);

/// Overwrites dx, dw, db. REQUIRES: visits_winners(shape, backward.pool).
void conv2d_backward_pooled(const ConvShape& shape, const PooledConvBackward& backward);

}  // namespace detent::kernels
