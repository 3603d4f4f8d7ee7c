#include "detent/kernels/layers/loss.h"

#include <cmath>
#include <vector>

#include "detent/core/conversion.h"
#include "detent/core/error.h"
#include "detent/core/threads/parallel.h"
#include "detent/kernels/layers/elementwise.h"
#include "detent/kernels/layers/loss_sums.h"
#include "detent/kernels/layers/softmax.h"

namespace detent::kernels {
namespace {

/// The cross-entropy of one row; `p` gets the softmax of `logits`.
template <typename T>
double cross_entropy_row(const T* logits, std::int64_t classes, std::int32_t label, double smoothing, T* p) {
  const SoftmaxRow row = softmax_row(logits, classes, p);
  const auto shifted = [&](std::int64_t c) { return static_cast<double>(logits[c]) - row.largest; };
  const double log_sum = std::log(row.sum);
  const double of_label = log_sum - shifted(label);
  if (smoothing == 0) {
    return of_label;
  }
  double shifted_sum = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    shifted_sum += shifted(c);
  }
  const double of_all = log_sum - shifted_sum / static_cast<double>(classes);
  return (1 - smoothing) * of_label + smoothing * of_all;
}

void check_temperature(double temperature) {
  check(std::isfinite(temperature) && temperature > 0, "distillation: expected a temperature > 0, got ", temperature);
}

/// Of a row at a temperature: `p` gets its softmax, and what is given back turns x / temperature into its logarithm.
template <typename T>
double softmax_at(const T* x, std::int64_t classes, double temperature, T* p) {
  for (std::int64_t c = 0; c < classes; ++c) {
    p[c] = static_cast<T>(static_cast<double>(x[c]) / temperature);
  }
  const SoftmaxRow row = softmax_row(p, classes, p);
  return row.largest + std::log(row.sum);
}

/// KL(target || softmax(logits)) of one row.
template <typename T>
double divergence_row(const T* logits, const T* target, std::int64_t classes, double temperature, T* p, T* p_target) {
  const double log_sum = softmax_at(logits, classes, temperature, p);
  const double target_log_sum = softmax_at(target, classes, temperature, p_target);
  double divergence = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const double log_ratio =
        (static_cast<double>(target[c]) - static_cast<double>(logits[c])) / temperature - (target_log_sum - log_sum);
    divergence += static_cast<double>(p_target[c]) * log_ratio;
  }
  return divergence;
}

double side_of(std::int32_t label, std::int64_t c) { return label == c ? 1.0 : -1.0; }

/// max(0, 1 - p t)
template <typename T>
double hinge(T p, double side) {
  const double margin = 1 - static_cast<double>(p) * side;
  return margin < 0 ? 0 : margin;
}

}  // namespace

void check_labels(const std::int32_t* labels, std::int64_t rows, std::int64_t classes) {
  for (std::int64_t r = 0; r < rows; ++r) {
    check(labels[r] >= 0 && labels[r] < classes, "labels: expected a class in [0, ", classes, "), got ", labels[r],
          " in row ", r, "; does the model have as many outputs as the data has classes?");
  }
}

template <typename T>
double cross_entropy_forward(const T* logits, const std::int32_t* labels, std::int64_t rows, std::int64_t classes,
                             double smoothing, T* probabilities) {
  check_rows("cross-entropy", rows, classes);
  check_smoothing(smoothing);
  check_labels(labels, rows, classes);
  const double sum = sum_over_rows(rows, classes, [&](std::int64_t r) {
    return cross_entropy_row(logits + r * classes, classes, labels[r], smoothing, probabilities + r * classes);
  });
  return sum / static_cast<double>(rows);
}

template <typename T>
void cross_entropy_backward(const T* probabilities, const std::int32_t* labels, std::int64_t rows, std::int64_t classes,
                            double smoothing, double dloss, T* dlogits) {
  check_rows("cross-entropy", rows, classes);
  check_smoothing(smoothing);
  check_labels(labels, rows, classes);
  const double factor = dloss / static_cast<double>(rows);
  const double other = smoothing / static_cast<double>(classes);
  for_each_row(rows, classes, [&](std::int64_t r) {
    for (std::int64_t c = 0; c < classes; ++c) {
      const double target = labels[r] == c ? 1 - smoothing + other : other;
      const std::int64_t i = r * classes + c;
      dlogits[i] = static_cast<T>(factor * (static_cast<double>(probabilities[i]) - target));
    }
  });
}

template <typename T>
double distillation_forward(const T* logits, const T* target, std::int64_t rows, std::int64_t classes,
                            double temperature, T* probabilities, T* target_probabilities) {
  check_rows("distillation", rows, classes);
  check_temperature(temperature);
  const double sum = sum_over_rows(rows, classes, [&](std::int64_t r) {
    const std::int64_t first = r * classes;
    return divergence_row(logits + first, target + first, classes, temperature, probabilities + first,
                          target_probabilities + first);
  });
  return temperature * temperature * sum / static_cast<double>(rows);
}

template <typename T>
void distillation_backward(const T* probabilities, const T* target_probabilities, std::int64_t rows,
                           std::int64_t classes, double temperature, double dloss, T* dlogits) {
  check_rows("distillation", rows, classes);
  check_temperature(temperature);
  const double factor = dloss * temperature / static_cast<double>(rows);
  for_each_slice(rows * classes, [&](Range range) {
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      dlogits[i] = static_cast<T>(
          factor * (static_cast<double>(probabilities[i]) - static_cast<double>(target_probabilities[i])));
    }
  });
}

template <typename T>
double mean_squared_error_forward(const T* prediction, const T* target, std::int64_t elements) {
  check(elements >= 1, "mean squared error: expected at least one element, got ", elements);
  const double sum = sum_over_rows(elements, 1, [&](std::int64_t i) {
    const double distance = static_cast<double>(prediction[i]) - static_cast<double>(target[i]);
    return distance * distance;
  });
  return sum / static_cast<double>(elements);
}

template <typename T>
void mean_squared_error_backward(const T* prediction, const T* target, std::int64_t elements, double dloss,
                                 T* dprediction) {
  const double factor = dloss * 2 / static_cast<double>(elements);
  for_each_slice(elements, [&](Range range) {
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      dprediction[i] = static_cast<T>(factor * (static_cast<double>(prediction[i]) - static_cast<double>(target[i])));
    }
  });
}

template <typename T>
double squared_hinge_forward(const T* prediction, const std::int32_t* labels, std::int64_t rows, std::int64_t classes) {
  check_rows("squared hinge", rows, classes);
  check_labels(labels, rows, classes);
  const double sum = sum_over_rows(rows, classes, [&](std::int64_t r) {
    double of_row = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const double h = hinge(prediction[r * classes + c], side_of(labels[r], c));
      of_row += h * h;
    }
    return of_row;
  });
  return sum / static_cast<double>(rows * classes);
}

template <typename T>
void squared_hinge_backward(const T* prediction, const std::int32_t* labels, std::int64_t rows, std::int64_t classes,
                            double dloss, T* dprediction) {
  check_rows("squared hinge", rows, classes);
  check_labels(labels, rows, classes);
  const double factor = dloss * -2 / static_cast<double>(rows * classes);
  for_each_row(rows, classes, [&](std::int64_t r) {
    for (std::int64_t c = 0; c < classes; ++c) {
      const double side = side_of(labels[r], c);
      const std::int64_t i = r * classes + c;
      dprediction[i] = static_cast<T>(factor * side * hinge(prediction[i], side));
    }
  });
}

template <typename T>
void argmax_rows(const T* x, std::int64_t rows, std::int64_t classes, std::int32_t* classes_out) {
  for_each_row(rows, classes, [&](std::int64_t r) {
    const T* row = x + r * classes;
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < classes; ++c) {
      // The second condition holds only for NaN, over which any number wins.
      if (row[c] > row[best] || (row[best] != row[best] && row[c] == row[c])) {
        best = c;
      }
    }
    classes_out[r] = static_cast<std::int32_t>(best);
  });
}

template <typename T>
std::int64_t count_correct(const T* x, const std::int32_t* labels, std::int64_t rows, std::int64_t classes) {
  std::vector<std::int32_t> best(static_cast<std::size_t>(rows));
  argmax_rows(x, rows, classes, best.data());
  std::int64_t correct = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    correct += best[static_cast<std::size_t>(r)] == labels[r] ? 1 : 0;
  }
  return correct;
}

template double cross_entropy_forward(const float*, const std::int32_t*, std::int64_t, std::int64_t, double, float*);
template void cross_entropy_backward(const float*, const std::int32_t*, std::int64_t, std::int64_t, double, double,
                                     float*);
template double distillation_forward(const float*, const float*, std::int64_t, std::int64_t, double, float*, float*);
template void distillation_backward(const float*, const float*, std::int64_t, std::int64_t, double, double, float*);
template double mean_squared_error_forward(const float*, const float*, std::int64_t);
template void mean_squared_error_backward(const float*, const float*, std::int64_t, double, float*);
template double squared_hinge_forward(const float*, const std::int32_t*, std::int64_t, std::int64_t);
template void squared_hinge_backward(const float*, const std::int32_t*, std::int64_t, std::int64_t, double, float*);
template double cross_entropy_forward(const double*, const std::int32_t*, std::int64_t, std::int64_t, double, double*);
template void cross_entropy_backward(const double*, const std::int32_t*, std::int64_t, std::int64_t, double, double,
                                     double*);
template double distillation_forward(const double*, const double*, std::int64_t, std::int64_t, double, double*,
                                     double*);
template void distillation_backward(const double*, const double*, std::int64_t, std::int64_t, double, double, double*);
template double mean_squared_error_forward(const double*, const double*, std::int64_t);
template void mean_squared_error_backward(const double*, const double*, std::int64_t, double, double*);
template double squared_hinge_forward(const double*, const std::int32_t*, std::int64_t, std::int64_t);
template void squared_hinge_backward(const double*, const std::int32_t*, std::int64_t, std::int64_t, double, double*);
template void argmax_rows(const float*, std::int64_t, std::int64_t, std::int32_t*);
template std::int64_t count_correct(const float*, const std::int32_t*, std::int64_t, std::int64_t);
template void argmax_rows(const double*, std::int64_t, std::int64_t, std::int32_t*);
template std::int64_t count_correct(const double*, const std::int32_t*, std::int64_t, std::int64_t);
template void argmax_rows(const std::uint8_t*, std::int64_t, std::int64_t, std::int32_t*);
template std::int64_t count_correct(const std::uint8_t*, const std::int32_t*, std::int64_t, std::int64_t);

}  // namespace detent::kernels
