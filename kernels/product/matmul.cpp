#include "detent/kernels/product/conv_internal.h"
#include "detent/kernels/product/matmul_internal.h"
#include "detent/kernels/product/onednn/onednn.h"

namespace detent::kernels {
namespace {

constexpr std::int64_t kGrain = 128;

/// bf16 numbers on a processor without bf16 units: the f32 product of the same numbers.
void multiply_as_f32(const MatmulShape& shape, const std::byte* a, const std::byte* b, DType out, std::byte* y) {
  const auto wide_a = widened(a, shape.m * shape.k), wide_b = widened(b, shape.k * shape.n);
  if (out == DType::F32) {
    matmul(shape, DType::F32, wide_a.get(), wide_b.get(), out, y);
    return;
  }
  const std::int64_t results = shape.m * shape.n;
  const auto wide_y = op_buffer(static_cast<std::size_t>(results) * sizeof(float));
  matmul(shape, DType::F32, wide_a.get(), wide_b.get(), DType::F32, wide_y.get());
  convert_to_bfloat16(reinterpret_cast<const float*>(wide_y.get()), results, reinterpret_cast<bfloat16*>(y));
}

}  // namespace

void matmul(const MatmulShape& shape, DType dtype, const std::byte* a, const std::byte* b, DType out, std::byte* y) {
  const std::int64_t m = shape.m, k = shape.k, n = shape.n;
  const bool transpose_a = shape.transpose_a, transpose_b = shape.transpose_b;
  check(m >= 1 && k >= 1 && n >= 1, "matmul: expected positive extents, got [", m, ", ", k, "] x [", k, ", ", n, "]");
  check(dtype == DType::F32 || dtype == DType::BF16, "matmul: expected f32 or bf16, got ", dtype);
  check(out == DType::F32 || out == dtype, "matmul: expected a result of f32 or ", dtype, ", got ", out);
  if (dtype == DType::BF16 && !has_bf16_units()) {
    multiply_as_f32(shape, a, b, out, y);
    return;
  }
  const bool by_rows = m >= n;
  const MatrixCut cut(by_rows ? m : n, kGrain);
  const std::int64_t lda = transpose_a ? m : k;
  const std::int64_t ldb = transpose_b ? k : n;
  const auto element = static_cast<std::int64_t>(size_of(dtype)), result = static_cast<std::int64_t>(size_of(out));
  parallel_slices(cut.count(), [&](std::int64_t piece) {
    const Range range = cut[piece];
    const onednn::PlanPointer plan = onednn::gemm_plan({.m = by_rows ? range.size() : m,
                                                        .k = k,
                                                        .n = by_rows ? n : range.size(),
                                                        .transpose_a = transpose_a,
                                                        .transpose_b = transpose_b,
                                                        .lda = lda,
                                                        .ldb = ldb,
                                                        .ldy = n,
                                                        .dtype = dtype,
                                                        .out = out});
    if (by_rows) {
      onednn::run(
          *plan, {.a = a + element * range.begin * (transpose_a ? 1 : lda), .b = b, .y = y + result * range.begin * n});
    } else {
      onednn::run(*plan,
                  {.a = a, .b = b + element * range.begin * (transpose_b ? ldb : 1), .y = y + result * range.begin});
    }
  });
}

}  // namespace detent::kernels
