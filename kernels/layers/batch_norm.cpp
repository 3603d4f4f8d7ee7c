#include "detent/kernels/layers/batch_norm.h"

#include <cmath>
#include <vector>

#include "detent/core/error.h"
#include "detent/core/processor/vectorized.h"
#include "detent/core/threads/parallel.h"

namespace detent::kernels {
namespace {

using Doubles = std::vector<double>;

template <typename T>
Slices row_slices(std::int64_t rows, std::int64_t channels) {
  return slice_by_bytes(rows, channels * static_cast<std::int64_t>(sizeof(T)));
}

/// sums[c] += value(r, c) of all rows. Four rows at a time, as a sum in memory can be added to only every few cycles.
template <typename Value>
[[gnu::always_inline]] inline void add_columns(std::int64_t rows, std::int64_t channels, double* __restrict sums,
                                               Value&& value) {
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    for (std::int64_t c = 0; c < channels; ++c) {
      sums[c] += (value(r, c) + value(r + 1, c)) + (value(r + 2, c) + value(r + 3, c));
    }
  }
  for (; r < rows; ++r) {
    for (std::int64_t c = 0; c < channels; ++c) {
      sums[c] += value(r, c);
    }
  }
}

/// The means of the columns, then the sums of squares around them. REQUIRES: rows >= 1; both results 0 before.
template <typename T>
DETENT_VECTORIZED void slice_moments(const T* __restrict x, std::int64_t rows, std::int64_t channels,
                                     double* __restrict mean, double* __restrict squares) {
  add_columns(rows, channels, mean,
              [&](std::int64_t r, std::int64_t c) { return static_cast<double>(x[r * channels + c]); });
  for (std::int64_t c = 0; c < channels; ++c) {
    mean[c] /= static_cast<double>(rows);
  }
  add_columns(rows, channels, squares, [&](std::int64_t r, std::int64_t c) {
    const double distance = static_cast<double>(x[r * channels + c]) - mean[c];
    return distance * distance;
  });
}

template <typename T>
void column_moments(const T* x, std::int64_t rows, std::int64_t channels, Doubles* mean, Doubles* var) {
  check(rows >= 1, "batch norm: expected at least one row, got ", rows);
  const Slices slices = row_slices<T>(rows, channels);
  Doubles means(static_cast<std::size_t>(slices.count * channels));
  Doubles squares(means.size());
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range range = slices[slice];
    slice_moments(x + range.begin * channels, range.size(), channels, means.data() + slice * channels,
                  squares.data() + slice * channels);
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

/// y = (x - mean) * factor + beta
template <typename T>
DETENT_VECTORIZED void normalize_rows(const T* x, std::int64_t rows, std::int64_t channels, const T* __restrict mean,
                                      const T* __restrict factor, const T* __restrict beta, T* __restrict y) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* __restrict in = x + r * channels;
    T* __restrict out = y + r * channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      out[c] = (in[c] - mean[c]) * factor[c] + beta[c];
    }
  }
}

template <typename T>
void normalize(const T* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta, const T* mean,
               const T* invstd, T* y) {
  const auto count = static_cast<std::size_t>(channels);
  const std::vector<T> factor = slope_of(gamma, invstd, channels);
  const std::vector<T> shift = beta != nullptr ? std::vector<T>(beta, beta + channels) : std::vector<T>(count, T{0});
  const Slices slices = row_slices<T>(rows, channels);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range range = slices[slice];
    normalize_rows(x + range.begin * channels, range.size(), channels, mean, factor.data(), shift.data(),
                   y + range.begin * channels);
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

/// The sums over rows of dy and of dy * (x - mean).
template <typename T>
DETENT_VECTORIZED void slice_gradients(const T* dy, const T* x, std::int64_t rows, std::int64_t channels,
                                       const T* __restrict mean, double* __restrict sum, double* __restrict product) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* __restrict g = dy + r * channels;
    const T* __restrict in = x + r * channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      sum[c] += static_cast<double>(g[c]);
      product[c] += static_cast<double>(g[c]) * static_cast<double>(in[c] - mean[c]);
    }
  }
}

/// dbeta and dgamma in double.
struct Gradients {
  Doubles beta;
  Doubles gamma;
};

template <typename T>
Gradients parameter_gradients(const T* dy, const T* x, std::int64_t rows, std::int64_t channels, const T* mean,
                              const T* invstd) {
  const Slices slices = row_slices<T>(rows, channels);
  Doubles sums(static_cast<std::size_t>(slices.count * channels));
  Doubles products(sums.size());
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range range = slices[slice];
    slice_gradients(dy + range.begin * channels, x + range.begin * channels, range.size(), channels, mean,
                    sums.data() + slice * channels, products.data() + slice * channels);
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

/// dx = factor * (dy - shift - (x - mean) * slope)
template <typename T>
DETENT_VECTORIZED void input_gradient_rows(const T* dy, const T* x, std::int64_t rows, std::int64_t channels,
                                           const T* __restrict mean, const T* __restrict factor,
                                           const T* __restrict shift, const T* __restrict slope, T* dx) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* g = dy + r * channels;
    const T* in = x + r * channels;
    T* out = dx + r * channels;
    DETENT_INDEPENDENT
    for (std::int64_t c = 0; c < channels; ++c) {
      out[c] = factor[c] * (g[c] - shift[c] - (in[c] - mean[c]) * slope[c]);
    }
  }
}

template <typename T>
DETENT_VECTORIZED void scale_rows(const T* dy, std::int64_t rows, std::int64_t channels, const T* __restrict factor,
                                  T* dx) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* g = dy + r * channels;
    T* out = dx + r * channels;
    DETENT_INDEPENDENT
    for (std::int64_t c = 0; c < channels; ++c) {
      out[c] = g[c] * factor[c];
    }
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

template <typename T>
void batch_norm_forward_train(const T* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta,
                              double eps, double momentum, T* running_mean, T* running_var, T* mean, T* invstd, T* y) {
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
  normalize(x, rows, channels, gamma, beta, mean, invstd, y);
}

template <typename T>
void batch_norm_forward_eval(const T* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta,
                             const T* running_mean, const T* running_var, double eps, T* y) {
  const std::vector<T> invstd = inverse_deviations(running_var, channels, eps);
  normalize(x, rows, channels, gamma, beta, running_mean, invstd.data(), y);
}

template <typename T>
void batch_norm_backward_train(const T* dy, const T* x, std::int64_t rows, std::int64_t channels, const T* gamma,
                               const T* mean, const T* invstd, T* dx, T* dgamma, T* dbeta) {
  check_rows(rows);
  const Gradients sums = parameter_gradients(dy, x, rows, channels, mean, invstd);
  store(sums.gamma, dgamma);
  store(sums.beta, dbeta);
  if (dx == nullptr) {
    return;
  }
  const std::vector<T> factor = slope_of(gamma, invstd, channels);
  std::vector<T> shift(factor.size());
  std::vector<T> slope(factor.size());
  for (std::size_t c = 0; c < factor.size(); ++c) {
    shift[c] = static_cast<T>(sums.beta[c] / static_cast<double>(rows));
    slope[c] = static_cast<T>(sums.gamma[c] * static_cast<double>(invstd[c]) / static_cast<double>(rows));
  }
  const Slices slices = row_slices<T>(rows, channels);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const std::int64_t first = slices[slice].begin * channels;
    input_gradient_rows(dy + first, x + first, slices[slice].size(), channels, mean, factor.data(), shift.data(),
                        slope.data(), dx + first);
  });
}

template <typename T>
void batch_norm_backward_eval(const T* dy, const T* x, std::int64_t rows, std::int64_t channels, const T* gamma,
                              const T* running_mean, const T* running_var, double eps, T* dx, T* dgamma, T* dbeta) {
  const std::vector<T> invstd = inverse_deviations(running_var, channels, eps);
  if (dgamma != nullptr || dbeta != nullptr) {
    const Gradients sums = parameter_gradients(dy, x, rows, channels, running_mean, invstd.data());
    store(sums.gamma, dgamma);
    store(sums.beta, dbeta);
  }
  if (dx == nullptr) {
    return;
  }
  const std::vector<T> factor = slope_of(gamma, invstd.data(), channels);
  const Slices slices = row_slices<T>(rows, channels);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const std::int64_t first = slices[slice].begin * channels;
    scale_rows(dy + first, slices[slice].size(), channels, factor.data(), dx + first);
  });
}

template void batch_norm_statistics(const float*, std::int64_t, std::int64_t, float*, float*);
template void batch_norm_update_running(const float*, const float*, std::int64_t, std::int64_t, double, float*, float*);
template void batch_norm_forward_train(const float*, std::int64_t, std::int64_t, const float*, const float*, double,
                                       double, float*, float*, float*, float*, float*);
template void batch_norm_forward_eval(const float*, std::int64_t, std::int64_t, const float*, const float*,
                                      const float*, const float*, double, float*);
template void batch_norm_backward_train(const float*, const float*, std::int64_t, std::int64_t, const float*,
                                        const float*, const float*, float*, float*, float*);
template void batch_norm_backward_eval(const float*, const float*, std::int64_t, std::int64_t, const float*,
                                       const float*, const float*, double, float*, float*, float*);
template void batch_norm_statistics(const double*, std::int64_t, std::int64_t, double*, double*);
template void batch_norm_update_running(const double*, const double*, std::int64_t, std::int64_t, double, double*,
                                        double*);
template void batch_norm_forward_train(const double*, std::int64_t, std::int64_t, const double*, const double*, double,
                                       double, double*, double*, double*, double*, double*);
template void batch_norm_forward_eval(const double*, std::int64_t, std::int64_t, const double*, const double*,
                                      const double*, const double*, double, double*);
template void batch_norm_backward_train(const double*, const double*, std::int64_t, std::int64_t, const double*,
                                        const double*, const double*, double*, double*, double*);
template void batch_norm_backward_eval(const double*, const double*, std::int64_t, std::int64_t, const double*,
                                       const double*, const double*, double, double*, double*, double*);

}  // namespace detent::kernels
