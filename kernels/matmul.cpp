#include "kernels/conv.h"
#include "kernels/matmul_internal.h"
#include "kernels/onednn.h"

namespace detent::kernels {
namespace {

constexpr std::int64_t kGrain = 128;

}  // namespace

void matmul(const MatmulShape& shape, const float* a, const float* b, float* y) {
  const auto [m, k, n, transpose_a, transpose_b] = shape;
  check(m >= 1 && k >= 1 && n >= 1, "matmul: expected positive extents, got [", m, ", ", k, "] x [", k, ", ", n, "]");
  const bool by_rows = m >= n;
  const MatrixCut cut(by_rows ? m : n, kGrain);
  const std::int64_t lda = transpose_a ? m : k;
  const std::int64_t ldb = transpose_b ? k : n;
  parallel_slices(cut.count(), [&](std::int64_t piece) {
    const Range range = cut[piece];
    const onednn::Plan& plan = onednn::gemm_plan({.m = by_rows ? range.size() : m,
                                                  .k = k,
                                                  .n = by_rows ? n : range.size(),
                                                  .transpose_a = transpose_a,
                                                  .transpose_b = transpose_b,
                                                  .lda = lda,
                                                  .ldb = ldb,
                                                  .ldy = n});
    if (by_rows) {
      onednn::run(plan, {.a = a + range.begin * (transpose_a ? 1 : lda), .b = b, .y = y + range.begin * n});
    } else {
      onednn::run(plan, {.a = a, .b = b + range.begin * (transpose_b ? ldb : 1), .y = y + range.begin});
    }
  });
}

}  // namespace detent::kernels
