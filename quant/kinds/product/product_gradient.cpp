#include "detent/quant/kinds/product/product_gradient.h"

#include <algorithm>
#include <cmath>

#include "detent/autograd/pooled_gradient.h"
#include "detent/kernels/codes/straight_through.h"
#include "detent/kernels/product/conv_pooled.h"
#include "detent/quant/kinds/ops/masked_gradient.h"

namespace detent::quant {
namespace {

enum Input : std::size_t { kX, kWeight, kBias, kGamma, kBeta, kLearnedMaps };

/// dL/dS is a[o] * g + b[o] * sum + c[o], g the gradient of the result where it passes. b and c are 0 without batch
/// statistics. All have a unit of the output in them: see ProductGradients.
struct Affine {
  std::vector<float> a, b, c;
};

/// The gradients of the product of codes: dx where it is wanted, dw and db with the units in them. A unit is the
/// weight's scale, so that dx is the product with the weight's codes; without dx it is the input's, which is what dw
/// wants.
struct ProductGradients {
  Tensor dx, dw;
  std::vector<float> db, unit;

  ProductGradients(const ProductGradient& gradient, bool wants_dx, Arena* arena)
      : dx(wants_dx ? Tensor::empty(gradient.x.shape(), gradient.dtype, arena) : Tensor()),
        dw(Tensor::empty(gradient.weight.codes.shape(), DType::F32, arena)),
        db(static_cast<std::size_t>(gradient.shape.o)) {
    for (std::size_t o = 0; o < db.size(); ++o) {
      unit.push_back(wants_dx ? gradient.weight.qparams.scale_of(o) : gradient.x.qparams()->tensor().scale);
    }
  }
};

template <typename G, typename T>
void make_dy(const ProductGradient& gradient, const Affine& affine, const Tensor& dy, std::int64_t slice, Range images,
             std::byte* out) {
  const kernels::ConvShape& shape = gradient.shape;
  const std::int64_t first = images.begin * shape.output_row();
  const std::int64_t rows = images.size() * shape.out_h() * shape.out_w();
  const G* const from = dy.data<G>().data() + first;
  T* const dst = reinterpret_cast<T*>(out);
  const auto through_sums = [&](Range part, const auto* sums) {
    const std::int64_t skipped = (part.begin - images.begin) * shape.output_row();
    kernels::masked_affine(from + skipped, gradient.mask.of(slice) + skipped / 8, sums,
                           part.size() * shape.out_h() * shape.out_w(), shape.o, affine.a.data(), affine.b.data(),
                           affine.c.data(), dst + skipped);
  };
  if (gradient.normalized && gradient.normalized->narrow) {
    through_sums(images, gradient.normalized->narrow->codes.data<std::int8_t>().data() + first);
  } else if (gradient.normalized) {
    gradient.normalized->exact->visit(
        slice, [&](std::int64_t, Range part, const std::int32_t* acc) { through_sums(part, acc); });
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
  const auto take = [&](std::int64_t slice, Range images, const auto* sums) {
    const std::int64_t skipped = (images.begin - slices[slice].begin) * shape.output_row();
    double* const g = partial.data() + static_cast<std::size_t>(slice) * 2 * outputs;
    kernels::masked_sums(dy + images.begin * shape.output_row(), gradient.mask.of(slice) + skipped / 8, sums,
                         images.size() * shape.out_h() * shape.out_w(), shape.o, g, g + outputs);
  };
  const std::optional<NarrowSums>& narrow = gradient.normalized->narrow;
  if (narrow) {
    parallel_slices(slices.count, [&](std::int64_t slice) {
      take(slice, slices[slice], narrow->codes.data<std::int8_t>().data() + slices[slice].begin * shape.output_row());
    });
  } else {
    gradient.normalized->exact->visit_all(take);
  }
  GradientSums total{std::vector<double>(outputs, 0.0), std::vector<double>(outputs, 0.0)};
  for (std::size_t slice = 0; slice < static_cast<std::size_t>(slices.count); ++slice) {
    for (std::size_t o = 0; o < outputs; ++o) {
      total.g[o] += partial[slice * 2 * outputs + o];
      total.g_sum[o] += partial[(slice * 2 + 1) * outputs + o];
    }
  }
  for (std::size_t o = 0; narrow && o < outputs; ++o) {
    total.g_sum[o] = double{narrow->center[o]} * total.g[o] + double{narrow->step[o]} * total.g_sum[o];
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

/// dgamma of a folded batch norm, of dL/dw' and dL/dbeta.
std::vector<float> through_factor(const FrozenFold& fold, const Tensor& dw, std::span<const float> dbeta) {
  const auto row = static_cast<std::size_t>(dw.shape().row_elements());
  const std::span<const float> weight = fold.weight.data<float>(), gradient = dw.data<float>();
  std::vector<float> dgamma(dbeta.size());
  const Slices slices = slice_by_bytes(dw.shape()[0], static_cast<std::int64_t>(row * sizeof(float)));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (auto o = static_cast<std::size_t>(slices[slice].begin); o < static_cast<std::size_t>(slices[slice].end); ++o) {
      double df =
          (static_cast<double>(fold.bias.defined() ? fold.bias.data<float>()[o] : 0.0F) - fold.mean[o]) * dbeta[o];
      for (std::size_t k = o * row; k < (o + 1) * row; ++k) {
        df += static_cast<double>(gradient[k]) * weight[k];
      }
      dgamma[o] = static_cast<float>(df / fold.deviation[o]);
    }
  });
  return dgamma;
}

/// xhat = k (S - m), y = gamma xhat + beta  =>  du = gain (g - mean(g) - xhat mean(g xhat)), dS_real = du / factor
Affine through_statistics(const ProductGradient& gradient, const GradientSums& sums, std::span<const float> unit) {
  Affine affine;
  const SumStatistics& statistics = gradient.normalized->statistics;
  const auto count = static_cast<double>(statistics.count());
  for (std::size_t o = 0; o < static_cast<std::size_t>(gradient.shape.o); ++o) {
    const double k = statistics.normalizer(o);
    const double m = statistics.mean_sum(o);
    const double a = statistics.gain(o) / gradient.normalized->factor[o] * unit[o];
    const double mean_g = sums.g[o] / count;
    const double mean_g_xhat = k * (sums.g_sum[o] - m * sums.g[o]) / count;
    affine.a.push_back(static_cast<float>(a));
    const double b = -a * k * mean_g_xhat;
    const double c = a * (k * m * mean_g_xhat - mean_g);
    const std::optional<NarrowSums>& narrow = gradient.normalized->narrow;
    affine.b.push_back(static_cast<float>(narrow ? b * double{narrow->step[o]} : b));
    affine.c.push_back(static_cast<float>(narrow ? c + b * double{narrow->center[o]} : c));
  }
  return affine;
}

/// The input's codes less their zero point, which is exact, in the type of the products.
void make_x(const ProductGradient& gradient, Range images, std::byte* out) {
  const std::int64_t row = gradient.shape.input_row();
  const std::uint8_t* const codes = gradient.x.data<std::uint8_t>().data() + images.begin * row;
  const std::int64_t count = images.size() * row;
  const std::int32_t zero_point = gradient.x.qparams()->tensor().zero_point;
  gradient.dtype == DType::BF16 ? kernels::centered(codes, count, zero_point, reinterpret_cast<bfloat16*>(out))
                                : kernels::centered(codes, count, zero_point, reinterpret_cast<float*>(out));
}

void multiply(const ProductGradient& gradient, const Affine& affine, const Tensor& dy, ProductGradients& result,
              Arena* arena) {
  const DType dtype = gradient.dtype;
  kernels::ConvBackward products;
  products.dtype = dtype;
  products.make_dy = [&, make = make_dy_of(dy.dtype(), dtype)](std::int64_t slice, Range images, std::byte* out) {
    make(gradient, affine, dy, slice, images, out);
  };
  products.make_x = [&](Range images, std::byte* out) { make_x(gradient, images, out); };
  if (result.dx.defined()) {
    const Tensor numbers = numbers_of(gradient.weight, dtype, arena);
    products.weight = kernels::pack_backward(gradient.shape, dtype, numbers.raw(), numbers.owner());
    products.dx = result.dx.raw();
    products.dx_dtype = dtype;
  }
  products.dw = result.dw.data<float>().data();
  products.db = gradient.normalized ? nullptr : result.db.data();
  kernels::conv2d_backward(gradient.shape, products);
}

template <typename G>
void make_winners(const ProductGradient& gradient, const Affine& affine, const autograd::PooledGradient& dy,
                  const Slices& slices, std::int64_t image, float* g) {
  const std::int64_t row = dy.shape.output_row();
  // The slice that the image is in: an estimate from the mean size, set right.
  std::int64_t slice = image * slices.count / slices.rows;
  slice += image >= slices[slice].end ? 1 : 0;
  kernels::masked_scale_of_winners(dy.shape, dy.dy.data<G>().data() + image * row,
                                   dy.argmax.data<std::uint8_t>().data() + image * row, gradient.mask.of(slice),
                                   (image - slices[slice].begin) * dy.shape.input_row(), affine.a.data(), g);
}

/// The same where the gradient is that of a max-pool: it is 0 but for the winners.
void multiply(const ProductGradient& gradient, const Affine& affine, const autograd::PooledGradient& dy,
              ProductGradients& result, Arena* arena) {
  const Slices slices = kernels::conv_slices(gradient.shape);
  kernels::PooledConvBackward winners;
  winners.dtype = gradient.dtype;
  winners.pool = dy.shape;
  winners.argmax = dy.argmax.data<std::uint8_t>().data();
  winners.make_g = [&](std::int64_t image, float* g) {
    dy.dy.dtype() == DType::BF16 ? make_winners<bfloat16>(gradient, affine, dy, slices, image, g)
                                 : make_winners<float>(gradient, affine, dy, slices, image, g);
  };
  winners.make_x = [&](std::int64_t image, std::byte* out) { make_x(gradient, {image, image + 1}, out); };
  Tensor numbers;
  if (result.dx.defined()) {
    numbers = numbers_of(gradient.weight, gradient.dtype, arena);
    winners.weight = numbers.raw();
    winners.dx = result.dx.raw();
    winners.dx_dtype = gradient.dtype;
  }
  winners.dw = result.dw.data<float>().data();
  winners.db = result.db.data();
  kernels::conv2d_backward_pooled(gradient.shape, winners);
}

}  // namespace

FrozenFold::FrozenFold(const FoldedBatchNorm& batch_norm, std::vector<float> factor_at_forward, Tensor layer_weight,
                       Tensor layer_bias)
    : factor(std::move(factor_at_forward)), weight(std::move(layer_weight)), bias(std::move(layer_bias)) {
  for (std::size_t o = 0; o < factor.size(); ++o) {
    mean.push_back(batch_norm.mean(o));
    deviation.push_back(batch_norm.deviation(o));
  }
}

void ProductGradient::run(autograd::Backward& backward) const {
  const auto* const masked = backward.lazy_dy<MaskedGradient>();
  if (masked != nullptr && shape.output_row() % 8 == 0) {
    ProductGradient joined = *this;
    joined.mask = mask.joined(shape, masked->mask, backward.arena());
    joined.run(backward, masked->dy);
  } else {
    run(backward, {});
  }
}

void ProductGradient::run(autograd::Backward& backward, Tensor dy) const {
  Arena* const arena = backward.arena();
  const auto outputs = static_cast<std::size_t>(shape.o);
  ProductGradients products(*this, backward.needs(kX), arena);
  GradientSums sums;
  const auto* const pooled = backward.lazy_dy<autograd::PooledGradient>();
  if (pooled != nullptr && !normalized && kernels::visits_winners(shape, pooled->shape)) {
    multiply(*this, {products.unit, {}, {}}, *pooled, products, arena);
  } else {
    dy = dy.defined() ? dy : backward.dy();
    if (normalized) {
      sums = dy.dtype() == DType::BF16 ? gradient_sums(*this, dy.data<bfloat16>().data())
                                       : gradient_sums(*this, dy.data<float>().data());
    }
    multiply(*this, normalized ? through_statistics(*this, sums, products.unit) : Affine{products.unit, {}, {}}, dy,
             products, arena);
  }
  Tensor& dw = products.dw;
  std::vector<float>& db = products.db;

  // dL/d(weight that was quantized), with batch statistics dL/d(weight), and dL/d(bias that was added).
  const float input_scale = x.qparams()->tensor().scale;
  if (products.dx.defined() || normalized) {
    scale_rows(dw, [&](std::size_t o) {
      return input_scale / products.unit[o] * (normalized ? normalized->factor[o] : 1.0F);
    });
  }
  for (std::size_t o = 0; o < outputs && !normalized; ++o) {
    db[o] /= products.unit[o];
  }

  std::vector<float> dlearned;
  if (rounding) {
    dlearned = rounding->run(dw, weight.qparams,
                             normalized ? std::span<const float>(normalized->factor) : std::span<const float>());
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
  } else if (fold) {
    // w' = w f, b' = beta + (b - mean) f, f = gamma / sqrt(variance + epsilon)
    for (std::size_t o = 0; o < outputs; ++o) {
      db[o] = dbeta[o] * fold->factor[o];
    }
    if (backward.needs(kGamma)) {
      dgamma = through_factor(*fold, dw, dbeta);
    }
    scale_rows(dw, [&](std::size_t o) { return fold->factor[o]; });
  }

  if (rounding) {
    rounding->through_change(dw);
  }

  backward.grad(kX, [&] { return products.dx; });
  backward.grad(kWeight, [&] { return dw; });
  backward.grad(kBias, [&] { return tensor_of(db, arena); });
  backward.grad(kGamma, [&] { return tensor_of(dgamma, arena); });
  backward.grad(kBeta, [&] { return tensor_of(dbeta, arena); });
  backward.grad(kLearnedMaps, [&] { return tensor_of(dlearned, arena); });
}

}  // namespace detent::quant
