#include "quant/product_gradient.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/straight_through.h"

namespace detent::quant {
namespace {

constexpr double kSmallestGamma = 1e-5;

enum Input : std::size_t { kX, kWeight, kBias, kGamma, kBeta };

float weight_scale(const QParams& qparams, std::size_t o) { return qparams.scale[qparams.is_per_channel() ? o : 0]; }

/// dL/dS is a[o] * g + b[o] * sum + c[o], g the gradient of the result where it passes. b and c are 0 without batch
/// statistics. `a` has the weight's scale in it: dx is then the product with the weight's codes.
struct Affine {
  std::vector<float> a, b, c;
};

template <typename G, typename T>
void make_dy(const ProductGradient& gradient, const Affine& affine, const Tensor& dy, std::int64_t slice, Range images,
             std::byte* out) {
  const kernels::ConvShape& shape = gradient.shape;
  const std::int64_t first = images.begin * shape.output_row();
  const std::int64_t rows = images.size() * shape.out_h() * shape.out_w();
  const G* const from = dy.data<G>().data() + first;
  T* const dst = reinterpret_cast<T*>(out);
  if (gradient.normalized) {
    const std::int32_t* const sums = gradient.normalized->sums.data<std::int32_t>().data() + first;
    kernels::masked_affine(from, gradient.mask.of(slice), sums, rows, shape.o, affine.a.data(), affine.b.data(),
                           affine.c.data(), dst);
  } else {
    kernels::masked_scale(from, gradient.mask.of(slice), rows, shape.o, affine.a.data(), dst);
  }
}

using MakeDy = void (*)(const ProductGradient&, const Affine&, const Tensor&, std::int64_t, Range, std::byte*);

/// By the types of dy and of the products.
MakeDy make_dy_of(DType dy, DType products) {
  if (dy == DType::BF16) {
    return products == DType::BF16 ? &make_dy<bfloat16, bfloat16> : &make_dy<bfloat16, float>;
  }
  return products == DType::BF16 ? &make_dy<float, bfloat16> : &make_dy<float, float>;
}

/// sum g and sum g * S of each channel, slices in order.
struct GradientSums {
  std::vector<double> g, g_sum;
};

template <typename G>
GradientSums gradient_sums(const ProductGradient& gradient, const G* dy) {
  const kernels::ConvShape& shape = gradient.shape;
  const Slices slices = kernels::conv_slices(shape);
  const auto outputs = static_cast<std::size_t>(shape.o);
  std::vector<double> partial(static_cast<std::size_t>(slices.count) * 2 * outputs, 0.0);
  const std::int32_t* const sums = gradient.normalized->sums.data<std::int32_t>().data();
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const std::int64_t first = slices[slice].begin * shape.output_row();
    const std::int64_t rows = slices[slice].size() * shape.out_h() * shape.out_w();
    double* const g = partial.data() + static_cast<std::size_t>(slice) * 2 * outputs;
    kernels::masked_sums(dy + first, gradient.mask.of(slice), sums + first, rows, shape.o, g, g + outputs);
  });
  GradientSums total{std::vector<double>(outputs, 0.0), std::vector<double>(outputs, 0.0)};
  for (std::size_t slice = 0; slice < static_cast<std::size_t>(slices.count); ++slice) {
    for (std::size_t o = 0; o < outputs; ++o) {
      total.g[o] += partial[slice * 2 * outputs + o];
      total.g_sum[o] += partial[(slice * 2 + 1) * outputs + o];
    }
  }
  return total;
}

Tensor tensor_of(const std::vector<float>& values, Arena* arena) {
  Tensor tensor = Tensor::empty({static_cast<std::int64_t>(values.size())}, DType::F32, arena);
  std::ranges::copy(values, tensor.data<float>().begin());
  return tensor;
}

/// dw[o, :] *= factor(o)
template <typename Fn>
void scale_rows(Tensor& dw, Fn&& factor) {
  const auto row = static_cast<std::size_t>(dw.shape().row_elements());
  const std::span<float> values = dw.data<float>();
  const Slices slices = slice_by_bytes(dw.shape()[0], static_cast<std::int64_t>(row * sizeof(float)));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (auto o = static_cast<std::size_t>(slices[slice].begin); o < static_cast<std::size_t>(slices[slice].end); ++o) {
      const float f = factor(o);
      for (float& value : values.subspan(o * row, row)) {
        value *= f;
      }
    }
  });
}

Tensor in_dtype(const Tensor& codes, DType dtype, Arena* arena) {
  Tensor numbers = Tensor::empty(codes.shape(), dtype, arena);
  kernels::cast(codes.dtype(), dtype, codes.elements(), codes.raw(), numbers.raw());
  return numbers;
}

}  // namespace

SumStatistics::SumStatistics(const kernels::ConvShape& shape, const Tensor& sums, ScaleZero input,
                             const QParams& weight, std::span<const float> factor, const FoldedBatchNorm& batch_norm)
    : count_(shape.n * shape.out_h() * shape.out_w()) {
  const auto outputs = static_cast<std::size_t>(shape.o);
  const Slices slices = kernels::conv_slices(shape);
  std::vector<double> partial(static_cast<std::size_t>(slices.count) * 2 * outputs, 0.0);
  const std::int32_t* const memory = sums.data<std::int32_t>().data();
  parallel_slices(slices.count, [&](std::int64_t slice) {
    double* const sum = partial.data() + static_cast<std::size_t>(slice) * 2 * outputs;
    kernels::moments(memory + slices[slice].begin * shape.output_row(),
                     slices[slice].size() * shape.out_h() * shape.out_w(), shape.o, sum, sum + outputs);
  });
  for (std::size_t o = 0; o < outputs; ++o) {
    double sum = 0.0;
    double squares = 0.0;
    for (std::size_t slice = 0; slice < static_cast<std::size_t>(slices.count); ++slice) {
      sum += partial[slice * 2 * outputs + o];
      squares += partial[(slice * 2 + 1) * outputs + o];
    }
    const double mean = sum / static_cast<double>(count_);
    const double variance = std::max(squares / static_cast<double>(count_) - mean * mean, 0.0);
    const double unit = static_cast<double>(input.scale) * weight_scale(weight, o) / factor[o];
    const double deviation = std::sqrt(variance * unit * unit + batch_norm.module().settings().epsilon);
    // Of gamma's sign, which is the factor's, so that the slope is positive; never 0, so that codes can be made.
    const double gamma = std::copysign(std::max(std::abs(static_cast<double>(batch_norm.gamma(o))), kSmallestGamma),
                                       static_cast<double>(factor[o]));
    mean_sum_.push_back(mean);
    mean_.push_back(mean * unit);
    variance_.push_back(variance * unit * unit);
    gain_.push_back(gamma / deviation);
    normalizer_.push_back(unit / deviation);
    slope_.push_back(gamma * unit / deviation);
    intercept_.push_back(static_cast<float>(static_cast<double>(batch_norm.beta(o)) - gamma * mean * unit / deviation));
  }
}

QParams SumStatistics::slopes(ScaleZero input) const {
  QParams slopes;
  slopes.axis = 0;
  slopes.codes = signed_codes(8);
  for (const double slope : slope_) {
    slopes.scale.push_back(static_cast<float>(slope / input.scale));
    slopes.zero_point.push_back(0);
  }
  return slopes;
}

void SumStatistics::update_running(FoldedBatchNorm& batch_norm, std::span<const float> layer_bias) const {
  std::vector<double> mean = mean_;
  for (std::size_t o = 0; o < layer_bias.size(); ++o) {
    mean[o] += static_cast<double>(layer_bias[o]);
  }
  batch_norm.update(mean, variance_, count_);
}

void ProductGradient::run(autograd::Backward& backward) const {
  Arena* const arena = backward.arena();
  const auto outputs = static_cast<std::size_t>(shape.o);
  const Tensor& dy = backward.dy();
  const float input_scale = x.qparams()->tensor().scale;
  const std::int32_t input_zero = x.qparams()->tensor().zero_point;

  Affine affine;
  affine.a.resize(outputs);
  GradientSums sums;
  if (normalized) {
    // xhat = k (S - m), y = gamma xhat + beta  =>  du = gain (g - mean(g) - xhat mean(g xhat)), dS_real = du / factor
    sums = dy.dtype() == DType::BF16 ? gradient_sums(*this, dy.data<bfloat16>().data())
                                     : gradient_sums(*this, dy.data<float>().data());
    affine.b.resize(outputs);
    affine.c.resize(outputs);
    const SumStatistics& statistics = normalized->statistics;
    const auto count = static_cast<double>(statistics.count());
    for (std::size_t o = 0; o < outputs; ++o) {
      const double k = statistics.normalizer(o);
      const double m = statistics.mean_sum(o);
      const double a = statistics.gain(o) / normalized->factor[o] * weight_scale(weight.qparams, o);
      const double mean_g = sums.g[o] / count;
      const double mean_g_xhat = k * (sums.g_sum[o] - m * sums.g[o]) / count;
      affine.a[o] = static_cast<float>(a);
      affine.b[o] = static_cast<float>(-a * k * mean_g_xhat);
      affine.c[o] = static_cast<float>(a * (k * m * mean_g_xhat - mean_g));
    }
  } else {
    for (std::size_t o = 0; o < outputs; ++o) {
      affine.a[o] = weight_scale(weight.qparams, o);
    }
  }

  kernels::ConvBackward products;
  products.dtype = dtype;
  products.make_dy = [&, make = make_dy_of(dy.dtype(), dtype)](std::int64_t slice, Range images, std::byte* out) {
    make(*this, affine, dy, slice, images, out);
  };
  const std::uint8_t* const codes = x.data<std::uint8_t>().data();
  products.make_x = [&](Range images, std::byte* out) {
    const std::int64_t row = shape.input_row();
    const std::uint8_t* const from = codes + images.begin * row;
    dtype == DType::BF16 ? kernels::centered(from, images.size() * row, input_zero, reinterpret_cast<bfloat16*>(out))
                         : kernels::centered(from, images.size() * row, input_zero, reinterpret_cast<float*>(out));
  };

  Tensor dx;
  if (backward.needs(kX)) {
    const Tensor numbers = in_dtype(weight.codes, dtype, arena);
    products.weight = kernels::pack_backward(shape, dtype, numbers.raw(), numbers.owner());
    dx = Tensor::empty(x.shape(), dtype, arena);
    products.dx = dx.raw();
    products.dx_dtype = dtype;
  }
  Tensor dw = Tensor::empty(weight.codes.shape(), DType::F32, arena);
  std::vector<float> db(outputs);
  products.dw = dw.data<float>().data();
  products.db = normalized ? nullptr : db.data();
  kernels::conv2d_backward(shape, products);

  // dL/d(weight that was quantized), and dL/d(bias that was added).
  scale_rows(dw, [&](std::size_t o) { return input_scale / weight_scale(weight.qparams, o); });
  for (std::size_t o = 0; o < outputs && !normalized; ++o) {
    db[o] /= weight_scale(weight.qparams, o);
  }

  std::vector<float> dgamma(outputs);
  std::vector<float> dbeta = db;
  if (normalized) {
    for (std::size_t o = 0; o < outputs; ++o) {
      const SumStatistics& statistics = normalized->statistics;
      dgamma[o] = static_cast<float>(statistics.normalizer(o) * (sums.g_sum[o] - statistics.mean_sum(o) * sums.g[o]));
      dbeta[o] = static_cast<float>(sums.g[o]);
      db[o] = 0.0F;  // the mean takes it out again
    }
    scale_rows(dw, [&](std::size_t o) { return normalized->factor[o]; });
  } else if (fold) {
    // w' = w f, b' = beta + (b - mean) f, f = gamma / sqrt(variance + epsilon)
    const auto row = static_cast<std::size_t>(dw.shape().row_elements());
    const std::span<const float> mean = fold->module->running_mean().data<float>();
    const std::span<const float> variance = fold->module->running_variance().data<float>();
    for (std::size_t o = 0; o < outputs; ++o) {
      double df = (static_cast<double>(fold->bias.defined() ? fold->bias.data<float>()[o] : 0.0F) - mean[o]) * dbeta[o];
      for (std::size_t k = 0; k < row; ++k) {
        df += static_cast<double>(dw.data<float>()[o * row + k]) * fold->weight.data<float>()[o * row + k];
      }
      dgamma[o] =
          static_cast<float>(df / std::sqrt(static_cast<double>(variance[o]) + fold->module->settings().epsilon));
      db[o] = dbeta[o] * fold->factor[o];
    }
    scale_rows(dw, [&](std::size_t o) { return fold->factor[o]; });
  }

  backward.grad(kX, [&] { return dx; });
  backward.grad(kWeight, [&] { return dw; });
  backward.grad(kBias, [&] { return tensor_of(db, arena); });
  backward.grad(kGamma, [&] { return tensor_of(dgamma, arena); });
  backward.grad(kBeta, [&] { return tensor_of(dbeta, arena); });
}

}  // namespace detent::quant
