#include <algorithm>

#include "detent/kernels/product/conv_internal.h"
#include "detent/kernels/product/matmul_internal.h"

namespace detent::kernels {
namespace {

using onednn::Product;

constexpr std::int64_t kColumns = 192;
/// With fewer columns of dx, its rows are cut instead.
constexpr std::int64_t kFewColumns = 256;
constexpr std::int64_t kRows = 64;

/// Pieces of dx, dw and db of a linear layer. dx = dy W and dw = dy^T x are cut along a side of the result, so that
/// every element is one sum, and a large weight is read once.
class LinearBackward {
 public:
  LinearBackward(const ConvShape& shape, const ConvBackward& backward)
      : m_(shape.n),
        k_(shape.c),
        o_(shape.o),
        b_(backward),
        bytes_(static_cast<std::int64_t>(size_of(b_.dtype))),
        slices_(conv_slices(shape)),
        dy_(b_.dy),
        x_(b_.x) {
    if (b_.dx != nullptr) {
      weight_ = packed_for("conv2d_backward", b_.weight, Product::BackwardData, shape, b_.dtype).data.get();
      dx_cut_ = dx_by_columns() ? MatrixCut(k_, kColumns) : MatrixCut(m_, kRows);
    }
    if (b_.dw != nullptr) {
      dw_cut_ = dw_by_columns() ? MatrixCut(k_, kColumns) : MatrixCut(o_, kColumns);
    }
  }

  void run() {
    make_operands();
    const std::int64_t dx_end = dx_cut_.count();
    const std::int64_t dw_end = dx_end + dw_cut_.count();
    parallel_slices(dw_end + (b_.db != nullptr ? 1 : 0), [&](std::int64_t piece) {
      if (piece < dx_end) {
        run_dx(dx_cut_[piece]);
      } else if (piece < dw_end) {
        run_dw(dw_cut_[piece - dx_end]);
      } else {
        std::fill_n(b_.db, o_, 0.0F);
        add_rows_to(b_.db, b_.dtype, dy_, m_, o_);
      }
    });
  }

 private:
  bool dx_by_columns() const { return k_ >= kFewColumns; }
  bool dw_by_columns() const { return k_ >= o_; }

  /// Operands that are made rather than given are made whole, since each piece of dw needs all of their rows.
  void make_operands() {
    const bool makes_dy = dy_ == nullptr;
    const bool makes_x = x_ == nullptr && b_.dw != nullptr;
    if (!makes_dy && !makes_x) {
      return;
    }
    if (makes_dy) {
      dy_memory_ = op_buffer(static_cast<std::size_t>(m_ * o_ * bytes_));
      dy_ = dy_memory_.get();
    }
    if (makes_x) {
      x_memory_ = op_buffer(static_cast<std::size_t>(m_ * k_ * bytes_));
      x_ = x_memory_.get();
    }
    parallel_slices(slices_.count, [&](std::int64_t slice) {
      const Range rows = slices_[slice];
      if (makes_dy) {
        b_.make_dy(slice, rows, dy_memory_.get() + rows.begin * o_ * bytes_);
      }
      if (makes_x) {
        b_.make_x(rows, x_memory_.get() + rows.begin * k_ * bytes_);
      }
    });
  }

  void run_dx(Range range) const {
    const bool columns = dx_by_columns();
    const auto out_bytes = static_cast<std::int64_t>(size_of(b_.dx_dtype));
    const onednn::PlanPointer plan = onednn::gemm_plan({.m = columns ? m_ : range.size(),
                                                        .k = o_,
                                                        .n = columns ? range.size() : k_,
                                                        .lda = o_,
                                                        .ldb = k_,
                                                        .ldy = k_,
                                                        .dtype = b_.dtype,
                                                        .out = b_.dx_dtype});
    onednn::run(*plan, {.a = dy_ + (columns ? 0 : range.begin * o_ * bytes_),
                        .b = weight_ + (columns ? range.begin * bytes_ : 0),
                        .y = b_.dx + range.begin * (columns ? 1 : k_) * out_bytes});
  }

  void run_dw(Range range) const {
    const bool columns = dw_by_columns();
    const onednn::PlanPointer plan = onednn::gemm_plan({.m = columns ? o_ : range.size(),
                                                        .k = m_,
                                                        .n = columns ? range.size() : k_,
                                                        .transpose_a = true,
                                                        .lda = o_,
                                                        .ldb = k_,
                                                        .ldy = k_,
                                                        .dtype = b_.dtype,
                                                        .out = DType::F32});
    onednn::run(*plan, {.a = dy_ + (columns ? 0 : range.begin * bytes_),
                        .b = x_ + (columns ? range.begin * bytes_ : 0),
                        .y = b_.dw + range.begin * (columns ? 1 : k_)});
  }

  const std::int64_t m_, k_, o_;
  const ConvBackward& b_;
  const std::int64_t bytes_;
  const Slices slices_;
  const std::byte* dy_;
  const std::byte* x_;
  const std::byte* weight_ = nullptr;
  MatrixCut dx_cut_, dw_cut_;
  std::shared_ptr<std::byte> dy_memory_, x_memory_;
};

}  // namespace

void linear_backward(const ConvShape& shape, const ConvBackward& backward) { LinearBackward(shape, backward).run(); }

}  // namespace detent::kernels
