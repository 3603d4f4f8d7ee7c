#include <algorithm>
#include <optional>

#include "detent/kernels/product/conv_internal.h"
#include "detent/kernels/product/depthwise/depthwise.h"
#include "detent/kernels/product/few_channels.h"
#include "detent/kernels/product/weight_gradient/weight_gradient.h"

namespace detent::kernels {
namespace {

using onednn::Product;

/// Partial dw and db that are kept; each is the sum of consecutive slices. It bounds their memory, and the threads that
/// can work at once.
constexpr std::int64_t kMostPartials = 16;

SlicePlans backward_plans(const ConvShape& shape, const Slices& slices, Product product, DType dtype, DType out) {
  return SlicePlans(slices, [&](std::int64_t images) -> onednn::PlanPointer {
    ConvShape slice = shape;
    slice.n = images;
    return onednn::conv_plan(slice, {.product = product, .dtype = dtype, .out = out});
  });
}

/// Backward of images: dx slice by slice; dw and db as partial sums, which are added up in slice order.
class ImageBackward {
 public:
  ImageBackward(const ConvShape& shape, const ConvBackward& backward)
      : shape_(shape),
        b_(backward),
        dx_is_depthwise_(depthwise::serves(shape, Product::BackwardData, backward.dtype)),
        dw_is_depthwise_(depthwise::serves(shape, Product::BackwardWeights, backward.dtype)),
        slices_(conv_slices(shape)),
        partials_{slices_.count, wants_sums() ? std::min(slices_.count, kMostPartials) : slices_.count},
        x_bytes_(shape.input_row() * static_cast<std::int64_t>(size_of(b_.dtype))),
        dx_bytes_(shape.input_row() * static_cast<std::int64_t>(size_of(b_.dx_dtype))),
        dy_bytes_(shape.output_row() * static_cast<std::int64_t>(size_of(b_.dtype))) {
    if (b_.dx != nullptr) {
      weight_ = &packed_for("conv2d_backward", b_.weight, Product::BackwardData, shape, b_.dtype);
    }
    if (b_.dx != nullptr && weight_->layout == WeightLayout::Blocked) {
      dx_plans_.emplace(backward_plans(shape, slices_, Product::BackwardData, b_.dtype, b_.dx_dtype));
    }
    if (b_.dw != nullptr) {
      own_dw_ = WeightGradient::make(shape, b_.dtype);
      if (dw_is_depthwise_) {
        dw_elements_ = depthwise::weight_sums(shape);
      } else if (own_dw_) {
        dw_elements_ = own_dw_->sum_elements();
      } else {
        dw_plans_.emplace(backward_plans(shape, slices_, Product::BackwardWeights, b_.dtype, DType::F32));
        dw_elements_ = static_cast<std::int64_t>(onednn::weight_bytes((*dw_plans_)[slices_[0]]) / sizeof(float));
      }
      dw_memory_ = op_buffer(static_cast<std::size_t>(partials_.count * dw_elements_) * sizeof(float));
    }
    if (b_.db != nullptr) {
      db_memory_ = op_buffer(static_cast<std::size_t>(partials_.count * shape.o) * sizeof(float));
    }
  }

  void run() {
    parallel_slices(partials_.count, [&](std::int64_t partial) {
      const Range range = partials_[partial];
      for (std::int64_t slice = range.begin; slice < range.end; ++slice) {
        run_slice(slice, partial, slice == range.begin);
      }
    });
    if (b_.dw != nullptr) {
      add_partials(dw(0), partials_.count, dw_elements_);
      if (dw_is_depthwise_) {
        depthwise::unpack_sums(shape_, dw(0), b_.dw);
      } else if (own_dw_) {
        own_dw_->store(dw(0), b_.dw);
      } else {
        onednn::unpack_weight((*dw_plans_)[slices_[0]], dw(0), b_.dw);
      }
    }
    if (b_.db != nullptr) {
      add_partials(db(0), partials_.count, shape_.o);
      std::copy_n(db(0), shape_.o, b_.db);
    }
  }

 private:
  bool wants_sums() const { return b_.dw != nullptr || b_.db != nullptr; }
  float* dw(std::int64_t partial) const { return reinterpret_cast<float*>(dw_memory_.get()) + partial * dw_elements_; }
  float* db(std::int64_t partial) const { return reinterpret_cast<float*>(db_memory_.get()) + partial * shape_.o; }

  ConvShape slice_shape(Range images) const {
    ConvShape slice = shape_;
    slice.n = images.size();
    return slice;
  }

  void run_slice(std::int64_t slice, std::int64_t partial, bool is_first) const {
    const Range images = slices_[slice];
    const std::byte* dy = nullptr;
    if (b_.dy != nullptr) {
      dy = b_.dy + images.begin * dy_bytes_;
    } else {
      std::byte* made = thread_scratch(static_cast<std::size_t>(images.size() * dy_bytes_), Scratch::ProductGradient);
      b_.make_dy(slice, images, made);
      dy = made;
    }
    if (b_.dx != nullptr) {
      std::byte* const dx = b_.dx + images.begin * dx_bytes_;
      if (dx_is_depthwise_) {
        depthwise::backward_data(slice_shape(images), b_.dtype, dy, weight_->data.get(), b_.dx_dtype, dx);
      } else if (const DirectConv* const direct = weight_->direct.get()) {
        direct->run(dy, images.size(), {0, direct->parts()}, weight_->data.get(), {.out = b_.dx_dtype}, dx);
      } else if (few_channels::serves(shape_, Product::BackwardData)) {
        few_channels::backward_data(slice_shape(images), b_.dtype, dy, weight_->data.get(), b_.dx_dtype, dx);
      } else {
        onednn::run((*dx_plans_)[images], {.a = dy, .b = weight_->data.get(), .y = dx});
      }
    }
    if (b_.dw != nullptr) {
      run_weights(images, dy, dw(partial), is_first);
    }
    if (b_.db != nullptr) {
      if (is_first) {
        std::fill_n(db(partial), shape_.o, 0.0F);
      }
      add_rows_to(db(partial), b_.dtype, dy, images.size() * shape_.out_h() * shape_.out_w(), shape_.o);
    }
  }

  void run_weights(Range images, const std::byte* dy, float* sum, bool is_first) const {
    const std::byte* x = nullptr;
    if (b_.x != nullptr) {
      x = b_.x + images.begin * x_bytes_;
    } else {
      std::byte* made = thread_scratch(static_cast<std::size_t>(images.size() * x_bytes_), Scratch::ProductInput);
      b_.make_x(images, made);
      x = made;
    }
    if (own_dw_) {
      if (is_first) {
        std::fill_n(sum, dw_elements_, 0.0F);
      }
      own_dw_->add(images.size(), x, dy, sum);
      return;
    }
    float* target =
        is_first ? sum : thread_scratch_of<float>(static_cast<std::size_t>(dw_elements_), Scratch::ProductSums);
    if (dw_is_depthwise_) {
      depthwise::backward_weight(slice_shape(images), b_.dtype, dy, x, target);
    } else {
      onednn::run((*dw_plans_)[images], {.a = x, .b = dy, .y = target});
    }
    if (!is_first) {
      add_to(sum, target, dw_elements_);
    }
  }

  const ConvShape shape_;
  const ConvBackward& b_;
  const bool dx_is_depthwise_, dw_is_depthwise_;
  const Slices slices_;
  const Slices partials_;
  const std::int64_t x_bytes_, dx_bytes_, dy_bytes_;
  const PackedWeight::Impl* weight_ = nullptr;
  std::optional<SlicePlans> dx_plans_, dw_plans_;
  std::optional<WeightGradient> own_dw_;
  std::int64_t dw_elements_ = 0;
  std::shared_ptr<std::byte> dw_memory_, db_memory_;
};

/// bf16 numbers on a processor without bf16 units: f32 products of the same numbers.
void backward_as_f32(const ConvShape& shape, const ConvBackward& b) {
  // A slice's numbers in f32; made first in bf16 where they are not in memory.
  const auto widen = [](const std::byte* whole, Range images, std::int64_t row, std::byte* to, auto&& make) {
    const bfloat16* from = nullptr;
    if (whole != nullptr) {
      from = reinterpret_cast<const bfloat16*>(whole) + images.begin * row;
    } else {
      auto* made =
          thread_scratch_of<bfloat16>(static_cast<std::size_t>(images.size() * row), Scratch::ProductConversion);
      make(reinterpret_cast<std::byte*>(made));
      from = made;
    }
    convert_to_float(from, images.size() * row, reinterpret_cast<float*>(to));
  };
  ConvBackward f32 = b;
  f32.dtype = f32.dx_dtype = DType::F32;
  f32.dy = f32.x = nullptr;
  f32.make_dy = [&](std::int64_t slice, Range images, std::byte* dy) {
    widen(b.dy, images, shape.output_row(), dy, [&](std::byte* made) { b.make_dy(slice, images, made); });
  };
  f32.make_x = [&](Range images, std::byte* x) {
    widen(b.x, images, shape.input_row(), x, [&](std::byte* made) { b.make_x(images, made); });
  };
  if (b.dx == nullptr || b.dx_dtype == DType::F32) {
    conv2d_backward(shape, f32);
    return;
  }
  const std::int64_t inputs = shape.n * shape.input_row();
  const auto dx = op_buffer(static_cast<std::size_t>(inputs) * sizeof(float));
  f32.dx = dx.get();
  conv2d_backward(shape, f32);
  convert_to_bfloat16(reinterpret_cast<const float*>(dx.get()), inputs, reinterpret_cast<bfloat16*>(b.dx));
}

}  // namespace

void conv2d_backward(const ConvShape& shape, const ConvBackward& b) {
  shape.validate();
  check(b.dtype == DType::F32 || b.dtype == DType::BF16, "conv2d_backward: expected dy of f32 or bf16, got ", b.dtype);
  check(b.dx_dtype == DType::F32 || b.dx_dtype == b.dtype, "conv2d_backward: expected dx of f32 or ", b.dtype, ", got ",
        b.dx_dtype);
  check(b.dy != nullptr || b.make_dy, "conv2d_backward: expected dy or make_dy, got neither");
  check(b.dw == nullptr || b.x != nullptr || b.make_x, "conv2d_backward: dw is wanted: expected x or make_x");
  if (b.dx == nullptr && b.dw == nullptr && b.db == nullptr) {
    return;
  }
  if (b.dtype == DType::BF16 && !has_bf16_units() && !depthwise::serves(shape, Product::BackwardData, b.dtype)) {
    backward_as_f32(shape, b);
  } else if (shape.is_linear()) {
    linear_backward(shape, b);
  } else {
    ImageBackward(shape, b).run();
  }
}

}  // namespace detent::kernels
