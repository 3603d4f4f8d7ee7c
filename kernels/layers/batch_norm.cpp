#include "detent/kernels/layers/batch_norm.h"

#include <cmath>
#include <type_traits>
#include <vector>

#include "detent/core/error.h"
#include "detent/core/threads/parallel.h"
#include "detent/kernels/layers/batch_norm_rows.h"

namespace detent::kernels {
namespace {

using Doubles = std::vector<double>;

/// What loops read numbers of X as, and what they compute with them in.
template <typename X>
using RawOf = std::remove_pointer_t<decltype(raw(static_cast<X*>(nullptr)))>;
template <typename X>
using RealOf = std::conditional_t<std::is_same_v<X, double>, double, float>;

template <typename T>
Slices row_slices(std::int64_t rows, std::int64_t channels) {
  return slice_by_bytes(rows, channels * static_cast<std::int64_t>(sizeof(T)));
}

/// Calls fn(first row, rows) for the tiles of a range of rows.
template <typename X, typename Fn>
void for_each_tile(Range range, std::int64_t channels, std::int64_t least, Fn&& fn) {
  const std::int64_t tile = rows_of_tile<X>(channels, least);
  for (std::int64_t r = range.begin; r < range.end; r += tile) {
    fn(r, std::min(tile, range.end - r));
  }
}

template <typename X>
void column_moments(const X* x, std::int64_t rows, std::int64_t channels, Doubles* mean, Doubles* var) {
  check(rows >= 1, "batch norm: expected at least one row, got ", rows);
  const Slices slices = row_slices<X>(rows, channels);
  Doubles means(static_cast<std::size_t>(slices.count * channels));
  Doubles squares(means.size());
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range range = slices[slice];
    for_each_tile<X>(range, channels, kLeastSummedRows, [&](std::int64_t r, std::int64_t count) {
      over_columns_of_processor(TileMoments<RawOf<X>, RealOf<X>>{.x = raw(x + r * channels),
                                                                 .rows = count,
                                                                 .channels = channels,
                                                                 .before = static_cast<double>(r - range.begin),
                                                                 .mean = means.data() + slice * channels,
                                                                 .squares = squares.data() + slice * channels},
                                channels);
    });
  });
  mean->assign(means.begin(), means.begin() + channels);
  var->assign(squares.begin(), squares.begin() + channels);
  for (std::int64_t slice = 1; slice < slices.count; ++slice) {
    const auto before = static_cast<double>(slices[slice].begin);
    const auto added = static_cast<double>(slices[slice].size());
    const double total = before + added;
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      const auto j = static_cast<std::size_t>(slice * channels + c);
      const double distance = means[j] - (*mean)[i];
      (*mean)[i] += distance * added / total;
      (*var)[i] += squares[j] + distance * distance * before * added / total;
    }
  }
  for (double& v : *var) {
    v /= static_cast<double>(rows);
  }
}

/// gamma * invstd, or invstd where gamma is null.
template <typename T>
std::vector<T> slope_of(const T* gamma, const T* invstd, std::int64_t channels) {
  std::vector<T> factor(invstd, invstd + channels);
  for (std::size_t c = 0; gamma != nullptr && c < factor.size(); ++c) {
    factor[c] *= gamma[c];
  }
  return factor;
}

/// What a channel's numbers are normalized by.
template <typename T>
struct Normalization {
  const T* mean;
  std::vector<T> factor, shift;

  Normalization(std::int64_t channels, const T* mean_of_rows, const T* invstd, const T* gamma, const T* beta)
      : mean(mean_of_rows), factor(slope_of(gamma, invstd, channels)), shift(factor.size()) {
    if (beta != nullptr) {
      shift.assign(beta, beta + channels);
    }
  }
  ChannelMap<T> map() const { return {.mean = mean, .factor = factor.data(), .shift = shift.data()}; }
};

/// With constant statistics; in training dy_mean and slope come in.
template <typename T>
BatchNormGradient<T> gradient_of(const Normalization<T>& by, bool relu) {
  const auto channels = static_cast<std::int64_t>(by.factor.size());
  return {.channels = channels,
          .relu = relu,
          .mean = std::vector<T>(by.mean, by.mean + channels),
          .factor = by.factor,
          .shift = by.shift,
          .dy_mean = std::vector<T>(by.factor.size()),
          .slope = std::vector<T>(by.factor.size())};
}

/// fn(std::bool_constant): `relu` as a type.
template <typename Fn>
void dispatch_relu(bool relu, Fn&& fn) {
  relu ? fn(std::true_type()) : fn(std::false_type());
}

template <typename X, typename T>
void normalize(const X* x, std::int64_t rows, std::int64_t channels, const Normalization<T>& by, bool relu, X* y) {
  const Slices slices = row_slices<X>(rows, channels);
  dispatch_relu(relu, [&](auto does_relu) {
    parallel_slices(slices.count, [&](std::int64_t slice) {
      for_each_tile<X>(slices[slice], channels, kLeastRows, [&](std::int64_t r, std::int64_t count) {
        over_columns_of_processor(NormalizeTile<decltype(does_relu)::value, RawOf<X>, T>{.x = raw(x + r * channels),
                                                                                         .rows = count,
                                                                                         .channels = channels,
                                                                                         .by = by.map(),
                                                                                         .y = raw(y + r * channels)},
                                  channels);
      });
    });
  });
}

template <typename T>
T inverse_deviation(double var, double eps) {
  return static_cast<T>(1.0 / std::sqrt(var + eps));
}

template <typename T>
std::vector<T> inverse_deviations(const T* var, std::int64_t channels, double eps) {
  std::vector<T> invstd(static_cast<std::size_t>(channels));
  for (std::size_t c = 0; c < invstd.size(); ++c) {
    invstd[c] = inverse_deviation<T>(static_cast<double>(var[c]), eps);
  }
  return invstd;
}

template <typename T>
void move_average(double batch, double momentum, T* running) {
  *running = static_cast<T>(momentum * batch + (1.0 - momentum) * static_cast<double>(*running));
}

double unbiased(double var, std::int64_t rows) {
  return var * static_cast<double>(rows) / static_cast<double>(rows - 1);
}

void check_rows(std::int64_t rows) {
  check(rows >= 2, "batch norm: expected at least 2 rows a channel to train on, got ", rows);
}

/// dbeta and dgamma in double.
struct Gradients {
  Doubles beta;
  Doubles gamma;
};

template <typename X, typename T>
Gradients parameter_gradients(const X* dy, const X* x, std::int64_t rows, std::int64_t channels,
                              const Normalization<T>& by, bool relu, const T* invstd) {
  const Slices slices = row_slices<X>(rows, channels);
  Doubles sums(static_cast<std::size_t>(slices.count * channels));
  Doubles products(sums.size());
  dispatch_relu(relu, [&](auto does_relu) {
    parallel_slices(slices.count, [&](std::int64_t slice) {
      for_each_tile<X>(slices[slice], channels, kLeastSummedRows, [&](std::int64_t r, std::int64_t count) {
        over_columns_of_processor(
            AddGradients<decltype(does_relu)::value, RawOf<X>, T>{.dy = raw(dy + r * channels),
                                                                  .x = raw(x + r * channels),
                                                                  .rows = count,
                                                                  .channels = channels,
                                                                  .by = by.map(),
                                                                  .sum = sums.data() + slice * channels,
                                                                  .product = products.data() + slice * channels},
            channels);
      });
    });
  });
  Gradients total{Doubles(static_cast<std::size_t>(channels)), Doubles(static_cast<std::size_t>(channels))};
  for (std::int64_t slice = 0; slice < slices.count; ++slice) {
    for (std::size_t c = 0; c < total.beta.size(); ++c) {
      const std::size_t i = static_cast<std::size_t>(slice * channels) + c;
      total.beta[c] += sums[i];
      total.gamma[c] += products[i] * static_cast<double>(invstd[c]);
    }
  }
  return total;
}

template <typename T>
void store(const Doubles& from, T* to) {
  for (std::size_t i = 0; to != nullptr && i < from.size(); ++i) {
    to[i] = static_cast<T>(from[i]);
  }
}

}  // namespace

template <typename T>
void batch_norm_statistics(const T* x, std::int64_t rows, std::int64_t channels, T* mean, T* var) {
  Doubles means;
  Doubles variances;
  column_moments(x, rows, channels, &means, &variances);
  store(means, mean);
  store(variances, var);
}

template <typename T>
void batch_norm_update_running(const T* mean, const T* var, std::int64_t rows, std::int64_t channels, double momentum,
                               T* running_mean, T* running_var) {
  check_rows(rows);
  for (std::int64_t c = 0; c < channels; ++c) {
    move_average(static_cast<double>(mean[c]), momentum, &running_mean[c]);
    move_average(unbiased(static_cast<double>(var[c]), rows), momentum, &running_var[c]);
  }
}

template <typename X, typename T>
void batch_norm_forward_train(const X* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta,
                              double eps, double momentum, bool relu, T* running_mean, T* running_var, T* mean,
                              T* invstd, X* y) {
  check_rows(rows);
  Doubles means;
  Doubles variances;
  column_moments(x, rows, channels, &means, &variances);
  store(means, mean);
  for (std::size_t c = 0; c < variances.size(); ++c) {
    invstd[c] = inverse_deviation<T>(variances[c], eps);
    if (running_mean != nullptr && running_var != nullptr) {
      move_average(means[c], momentum, &running_mean[c]);
      move_average(unbiased(variances[c], rows), momentum, &running_var[c]);
    }
  }
  normalize(x, rows, channels, Normalization<T>(channels, mean, invstd, gamma, beta), relu, y);
}

template <typename X, typename T>
void batch_norm_forward_eval(const X* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta,
                             const T* running_mean, const T* running_var, double eps, bool relu, X* y) {
  const std::vector<T> invstd = inverse_deviations(running_var, channels, eps);
  normalize(x, rows, channels, Normalization<T>(channels, running_mean, invstd.data(), gamma, beta), relu, y);
}

template <typename X, typename T>
BatchNormGradient<T> batch_norm_backward_train(const X* dy, const X* x, std::int64_t rows, std::int64_t channels,
                                               const T* gamma, const T* beta, const T* mean, const T* invstd, bool relu,
                                               T* dgamma, T* dbeta) {
  check_rows(rows);
  const Normalization<T> by(channels, mean, invstd, gamma, beta);
  const Gradients sums = parameter_gradients(dy, x, rows, channels, by, relu, invstd);
  store(sums.gamma, dgamma);
  store(sums.beta, dbeta);
  BatchNormGradient<T> gradient = gradient_of(by, relu);
  for (std::size_t c = 0; c < gradient.slope.size(); ++c) {
    gradient.dy_mean[c] = static_cast<T>(sums.beta[c] / static_cast<double>(rows));
    gradient.slope[c] = static_cast<T>(sums.gamma[c] * static_cast<double>(invstd[c]) / static_cast<double>(rows));
  }
  return gradient;
}

template <typename X, typename T>
BatchNormGradient<T> batch_norm_backward_eval(const X* dy, const X* x, std::int64_t rows, std::int64_t channels,
                                              const T* gamma, const T* beta, const T* running_mean,
                                              const T* running_var, double eps, bool relu, T* dgamma, T* dbeta) {
  const std::vector<T> invstd = inverse_deviations(running_var, channels, eps);
  const Normalization<T> by(channels, running_mean, invstd.data(), gamma, beta);
  if (dgamma != nullptr || dbeta != nullptr) {
    const Gradients sums = parameter_gradients(dy, x, rows, channels, by, relu, invstd.data());
    store(sums.gamma, dgamma);
    store(sums.beta, dbeta);
  }
  return gradient_of(by, relu);
}

template <typename X, typename T>
void batch_norm_input_gradient_slice(const BatchNormGradient<T>& gradient, const X* dy, const X* x, std::int64_t rows,
                                     X* dx) {
  const std::int64_t channels = gradient.channels;
  dispatch_relu(gradient.relu, [&](auto does_relu) {
    for_each_tile<X>({0, rows}, channels, kLeastRows, [&](std::int64_t r, std::int64_t count) {
      over_columns_of_processor(
          InputGradient<decltype(does_relu)::value, RawOf<X>, T>{
              .dy = raw(dy + r * channels),
              .x = raw(x + r * channels),
              .rows = count,
              .channels = channels,
              .by = {.mean = gradient.mean.data(), .factor = gradient.factor.data(), .shift = gradient.shift.data()},
              .dy_mean = gradient.dy_mean.data(),
              .slope = gradient.slope.data(),
              .dx = raw(dx + r * channels)},
          channels);
    });
  });
}

template <typename X, typename T>
void batch_norm_input_gradient(const BatchNormGradient<T>& gradient, const X* dy, const X* x, std::int64_t rows,
                               X* dx) {
  const Slices slices = row_slices<X>(rows, gradient.channels);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const std::int64_t first = slices[slice].begin * gradient.channels;
    batch_norm_input_gradient_slice(gradient, dy + first, x + first, slices[slice].size(), dx + first);
  });
}

template void batch_norm_statistics(const float*, std::int64_t, std::int64_t, float*, float*);
template void batch_norm_statistics(const double*, std::int64_t, std::int64_t, double*, double*);
template void batch_norm_update_running(const float*, const float*, std::int64_t, std::int64_t, double, float*, float*);
template void batch_norm_update_running(const double*, const double*, std::int64_t, std::int64_t, double, double*,
                                        double*);
template void batch_norm_forward_train(const float*, std::int64_t, std::int64_t, const float*, const float*, double,
                                       double, bool, float*, float*, float*, float*, float*);
template void batch_norm_forward_eval(const float*, std::int64_t, std::int64_t, const float*, const float*,
                                      const float*, const float*, double, bool, float*);
template BatchNormGradient<float> batch_norm_backward_train(const float*, const float*, std::int64_t, std::int64_t,
                                                            const float*, const float*, const float*, const float*,
                                                            bool, float*, float*);
template BatchNormGradient<float> batch_norm_backward_eval(const float*, const float*, std::int64_t, std::int64_t,
                                                           const float*, const float*, const float*, const float*,
                                                           double, bool, float*, float*);
template void batch_norm_input_gradient(const BatchNormGradient<float>&, const float*, const float*, std::int64_t,
                                        float*);
template void batch_norm_input_gradient_slice(const BatchNormGradient<float>&, const float*, const float*, std::int64_t,
                                              float*);
template void batch_norm_forward_train(const double*, std::int64_t, std::int64_t, const double*, const double*, double,
                                       double, bool, double*, double*, double*, double*, double*);
template void batch_norm_forward_eval(const double*, std::int64_t, std::int64_t, const double*, const double*,
                                      const double*, const double*, double, bool, double*);
template BatchNormGradient<double> batch_norm_backward_train(const double*, const double*, std::int64_t, std::int64_t,
                                                             const double*, const double*, const double*, const double*,
                                                             bool, double*, double*);
template BatchNormGradient<double> batch_norm_backward_eval(const double*, const double*, std::int64_t, std::int64_t,
                                                            const double*, const double*, const double*, const double*,
                                                            double, bool, double*, double*);
template void batch_norm_input_gradient(const BatchNormGradient<double>&, const double*, const double*, std::int64_t,
                                        double*);
template void batch_norm_input_gradient_slice(const BatchNormGradient<double>&, const double*, const double*,
                                              std::int64_t, double*);
template void batch_norm_forward_train(const bfloat16*, std::int64_t, std::int64_t, const float*, const float*, double,
                                       double, bool, float*, float*, float*, float*, bfloat16*);
template void batch_norm_forward_eval(const bfloat16*, std::int64_t, std::int64_t, const float*, const float*,
                                      const float*, const float*, double, bool, bfloat16*);
template BatchNormGradient<float> batch_norm_backward_train(const bfloat16*, const bfloat16*, std::int64_t,
                                                            std::int64_t, const float*, const float*, const float*,
                                                            const float*, bool, float*, float*);
template BatchNormGradient<float> batch_norm_backward_eval(const bfloat16*, const bfloat16*, std::int64_t, std::int64_t,
                                                           const float*, const float*, const float*, const float*,
                                                           double, bool, float*, float*);
template void batch_norm_input_gradient(const BatchNormGradient<float>&, const bfloat16*, const bfloat16*, std::int64_t,
                                        bfloat16*);
template void batch_norm_input_gradient_slice(const BatchNormGradient<float>&, const bfloat16*, const bfloat16*,
                                              std::int64_t, bfloat16*);

}  // namespace detent::kernels
