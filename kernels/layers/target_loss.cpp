#include "detent/kernels/layers/target_loss.h"

#include <cmath>

#include "detent/core/conversion.h"
#include "detent/kernels/layers/loss.h"
#include "detent/kernels/layers/loss_sums.h"
#include "detent/kernels/layers/softmax.h"

namespace detent::kernels {
namespace {

template <typename T>
double distance(const T* prediction, const T* target, std::int64_t i) {
  return static_cast<double>(prediction[i]) - static_cast<double>(target[i]);
}

/// The mean of term(i) over elements.
template <typename Fn>
double mean_over(const char* what, std::int64_t elements, Fn term) {
  check(elements >= 1, what, ": expected at least one element, got ", elements);
  return sum_over_rows(elements, 1, term) / static_cast<double>(elements);
}

/// dx[i] = dloss / elements * slope(i)
template <typename T, typename Fn>
void fill_gradient(std::int64_t elements, double dloss, T* dx, Fn slope) {
  const double factor = dloss / static_cast<double>(elements);
  for_each_slice(elements, [&](Range range) {
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      dx[i] = static_cast<T>(factor * slope(i));
    }
  });
}

void check_delta(double delta) { check(std::isfinite(delta) && delta > 0, "huber: expected a delta > 0, got ", delta); }

void check_flag_weights(std::span<const double> weights, std::int64_t columns) {
  check(weights.empty() || std::ssize(weights) == columns, "binary cross-entropy: expected no weights or one for each ",
        "of ", columns, " columns, got ", weights.size());
}

double weight_of(std::span<const double> weights, std::int64_t k) {
  return weights.empty() ? 1.0 : weights[static_cast<std::size_t>(k)];
}

/// log(1 + exp(x))
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double sigmoid(double x) {
  const double e = std::exp(-std::abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

void check_weighted(const std::int32_t* labels, std::int64_t rows, std::int64_t classes,
                    std::span<const double> weights, double smoothing) {
  check_rows("cross-entropy", rows, classes);
  check_smoothing(smoothing);
  check(std::ssize(weights) == classes, "cross-entropy: expected one weight for each of ", classes, " classes, got ",
        weights.size());
  for (const double weight : weights) {
    check(std::isfinite(weight) && weight > 0, "cross-entropy: expected weights > 0, got ", weight);
  }
  check_labels(labels, rows, classes);
}

/// The weights of a batch, and w_k t_nk.
struct WeightedTarget {
  std::span<const double> weights;
  double smoothing;

  double of_labels(const std::int32_t* labels, std::int64_t rows) const {
    double sum = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      sum += weight_of(weights, labels[r]);
    }
    return sum;
  }
  double at(std::int32_t label, std::int64_t k) const {
    const double share = smoothing / static_cast<double>(weights.size());
    return weight_of(weights, k) * (label == k ? 1 - smoothing + share : share);
  }
};

}  // namespace

template <typename T>
double l1_forward(const T* prediction, const T* target, std::int64_t elements) {
  return mean_over("l1", elements, [&](std::int64_t i) { return std::abs(distance(prediction, target, i)); });
}

template <typename T>
void l1_backward(const T* prediction, const T* target, std::int64_t elements, double dloss, T* dprediction) {
  fill_gradient(elements, dloss, dprediction, [&](std::int64_t i) {
    const double d = distance(prediction, target, i);
    return d > 0 ? 1.0 : d < 0 ? -1.0 : 0.0;
  });
}

template <typename T>
double huber_forward(const T* prediction, const T* target, std::int64_t elements, double delta) {
  check_delta(delta);
  return mean_over("huber", elements, [&](std::int64_t i) {
    const double d = std::abs(distance(prediction, target, i));
    return d <= delta ? d * d / 2 : delta * (d - delta / 2);
  });
}

template <typename T>
void huber_backward(const T* prediction, const T* target, std::int64_t elements, double delta, double dloss,
                    T* dprediction) {
  check_delta(delta);
  fill_gradient(elements, dloss, dprediction,
                [&](std::int64_t i) { return std::clamp(distance(prediction, target, i), -delta, delta); });
}

template <typename T>
double binary_cross_entropy_forward(const T* logits, const T* target, std::int64_t rows, std::int64_t columns,
                                    std::span<const double> weights) {
  check_rows("binary cross-entropy", rows, columns);
  check_flag_weights(weights, columns);
  return mean_over("binary cross-entropy", rows * columns, [&](std::int64_t i) {
    const auto x = static_cast<double>(logits[i]);
    const auto t = static_cast<double>(target[i]);
    return weight_of(weights, i % columns) * t * softplus(-x) + (1 - t) * softplus(x);
  });
}

template <typename T>
void binary_cross_entropy_backward(const T* logits, const T* target, std::int64_t rows, std::int64_t columns,
                                   std::span<const double> weights, double dloss, T* dlogits) {
  check_rows("binary cross-entropy", rows, columns);
  check_flag_weights(weights, columns);
  fill_gradient(rows * columns, dloss, dlogits, [&](std::int64_t i) {
    const auto x = static_cast<double>(logits[i]);
    const auto t = static_cast<double>(target[i]);
    return (1 - t) * sigmoid(x) - weight_of(weights, i % columns) * t * sigmoid(-x);
  });
}

template <typename T>
double weighted_cross_entropy_forward(const T* logits, const std::int32_t* labels, std::int64_t rows,
                                      std::int64_t classes, std::span<const double> weights, double smoothing,
                                      T* probabilities) {
  check_weighted(labels, rows, classes, weights, smoothing);
  const WeightedTarget target{weights, smoothing};
  const double sum = sum_over_rows(rows, classes, [&](std::int64_t r) {
    const T* x = logits + r * classes;
    const SoftmaxRow row = softmax_row(x, classes, probabilities + r * classes);
    const double log_sum = std::log(row.sum);
    double of_row = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      // With no smoothing only the label counts: an infinite distance of another class is no NaN.
      if (const double t = target.at(labels[r], k); t != 0) {
        of_row += t * (log_sum - (static_cast<double>(x[k]) - row.largest));
      }
    }
    return of_row;
  });
  return sum / target.of_labels(labels, rows);
}

template <typename T>
void weighted_cross_entropy_backward(const T* probabilities, const std::int32_t* labels, std::int64_t rows,
                                     std::int64_t classes, std::span<const double> weights, double smoothing,
                                     double dloss, T* dlogits) {
  check_weighted(labels, rows, classes, weights, smoothing);
  const WeightedTarget target{weights, smoothing};
  const double factor = dloss / target.of_labels(labels, rows);
  for_each_row(rows, classes, [&](std::int64_t r) {
    double of_row = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      of_row += target.at(labels[r], k);
    }
    for (std::int64_t k = 0; k < classes; ++k) {
      const std::int64_t i = r * classes + k;
      dlogits[i] = static_cast<T>(factor * (static_cast<double>(probabilities[i]) * of_row - target.at(labels[r], k)));
    }
  });
}

template double l1_forward(const float*, const float*, std::int64_t);
template void l1_backward(const float*, const float*, std::int64_t, double, float*);
template double huber_forward(const float*, const float*, std::int64_t, double);
template void huber_backward(const float*, const float*, std::int64_t, double, double, float*);
template double binary_cross_entropy_forward(const float*, const float*, std::int64_t, std::int64_t,
                                             std::span<const double>);
template void binary_cross_entropy_backward(const float*, const float*, std::int64_t, std::int64_t,
                                            std::span<const double>, double, float*);
template double weighted_cross_entropy_forward(const float*, const std::int32_t*, std::int64_t, std::int64_t,
                                               std::span<const double>, double, float*);
template void weighted_cross_entropy_backward(const float*, const std::int32_t*, std::int64_t, std::int64_t,
                                              std::span<const double>, double, double, float*);
template double l1_forward(const double*, const double*, std::int64_t);
template void l1_backward(const double*, const double*, std::int64_t, double, double*);
template double huber_forward(const double*, const double*, std::int64_t, double);
template void huber_backward(const double*, const double*, std::int64_t, double, double, double*);
template double binary_cross_entropy_forward(const double*, const double*, std::int64_t, std::int64_t,
                                             std::span<const double>);
template void binary_cross_entropy_backward(const double*, const double*, std::int64_t, std::int64_t,
                                            std::span<const double>, double, double*);
template double weighted_cross_entropy_forward(const double*, const std::int32_t*, std::int64_t, std::int64_t,
                                               std::span<const double>, double, double*);
template void weighted_cross_entropy_backward(const double*, const std::int32_t*, std::int64_t, std::int64_t,
                                              std::span<const double>, double, double, double*);

}  // namespace detent::kernels
