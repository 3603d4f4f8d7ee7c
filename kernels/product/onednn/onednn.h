#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "detent/core/dtype.h"
#include "detent/kernels/product/conv.h"

/// What the products need of oneDNN, without its types: this header and onednn.cpp are the only place that knows its
/// interface. A plan is a primitive of a fixed shape that uses one thread; the plans that were asked for last are kept,
/// so that making one again is a look-up. A plan may run on any number of threads at the same time.
namespace detent::kernels::onednn {

struct Plan;
/// Keeps its plan alive; copies share it.
using PlanPointer = std::shared_ptr<const Plan>;

/// Plans that are kept: more than a training step of some hundred layers uses, so that only plans of bygone shapes are
/// dropped. Each takes some 10 KB.
inline constexpr std::size_t kMostPlans = 2048;
/// Plans that are kept at present.
std::size_t kept_plans();

enum class Product : std::uint8_t { Forward, Integer, BackwardData, BackwardWeights };

struct ConvOptions {
  Product product = Product::Forward;
  DType dtype = DType::F32;  ///< of x, dy and the weight; u8 with s8 weights for Integer
  DType out = DType::F32;    ///< of what is computed; f32 for BackwardWeights, s32 for Integer
  bool has_bias = false;
  bool relu = false;
};

/// A convolution of `shape.n` images. The layout of the weight, or of dw, is the one that oneDNN likes for one image,
/// so that it fits any number (layouts that it likes for many images leave it nothing but its slow reference for few).
/// Throws Error if oneDNN has nothing for the shape.
PlanPointer conv_plan(const ConvShape& shape, ConvOptions options);

/// Bytes of the weight (for BackwardWeights: of dw) in the plan's layout.
std::size_t weight_bytes(const Plan& plan);
/// O KH KW I to the plan's layout.
void pack_weight(const Plan& plan, const void* plain, void* packed);
/// dw in the plan's layout to O KH KW I.
void unpack_weight(const Plan& plan, const void* packed, void* plain);

/// y [m, n] = op(a) op(b) + bias, row-major, with distances `lda`, `ldb`, `ldy` from row to row in memory.
struct GemmOptions {
  std::int64_t m = 1, k = 1, n = 1;
  bool transpose_a = false, transpose_b = false;
  std::int64_t lda = 1, ldb = 1, ldy = 1;
  bool packed_b = false;     ///< b in oneDNN's layout instead, from pack_weight
  DType dtype = DType::F32;  ///< of a and b; u8 with s8 b for s32 sums
  DType out = DType::F32;
  bool has_bias = false;
  bool relu = false;
};
PlanPointer gemm_plan(GemmOptions options);

/// Forward, Integer: a = x, b = weight, y = y. BackwardData: a = dy, b = weight, y = dx.
/// BackwardWeights: a = x, b = dy, y = dw. Gemm: as named.
struct Operands {
  const void* a = nullptr;
  const void* b = nullptr;
  void* y = nullptr;
  const float* bias = nullptr;
  std::int32_t zero_point = 0;  ///< of x; read by Integer only
};
void run(const Plan& plan, const Operands& operands);

/// The name of oneDNN's implementation, for benchmarks and tests.
const char* implementation(const Plan& plan);

}  // namespace detent::kernels::onednn
