#pragma once

#include <cstdint>
#include <span>

/// Losses against real numbers and flags, of predictions [elements] or [rows, K], and their gradients; and the
/// cross-entropy of weighted classes. As in loss.h: T is float or double, sums are in double in the order of elements
/// or rows, backward functions take `dloss` and overwrite their result.
namespace detent::kernels {

/// mean |prediction - target| over all elements. REQUIRES: elements >= 1.
template <typename T>
double l1_forward(const T* prediction, const T* target, std::int64_t elements);
/// dprediction = dloss / elements * sign(prediction - target), 0 where the two are equal.
template <typename T>
void l1_backward(const T* prediction, const T* target, std::int64_t elements, double dloss, T* dprediction);

/// With d = prediction - target, the mean of d^2 / 2 where |d| <= delta, else of delta * (|d| - delta / 2) (Huber 1964;
/// PyTorch's huber_loss). REQUIRES: elements >= 1, delta finite and > 0; throws Error otherwise.
template <typename T>
double huber_forward(const T* prediction, const T* target, std::int64_t elements, double delta);
/// dprediction = dloss / elements * clamp(d, -delta, delta)
template <typename T>
void huber_backward(const T* prediction, const T* target, std::int64_t elements, double delta, double dloss,
                    T* dprediction);

/// With p = 1 / (1 + exp(-logit)), the mean over all elements of -(w_k t log p + (1 - t) log(1 - p)), in nats, computed
/// so that no logit overflows; w_k is the weight of "yes" in column k, PyTorch's pos_weight, 1 where `weights` is
/// empty. REQUIRES: rows, columns >= 1, no weights or one a column; throws Error otherwise.
template <typename T>
double binary_cross_entropy_forward(const T* logits, const T* target, std::int64_t rows, std::int64_t columns,
                                    std::span<const double> weights);
/// dlogits = dloss / (rows * columns) * ((1 - t) p - w_k t (1 - p))
template <typename T>
void binary_cross_entropy_backward(const T* logits, const T* target, std::int64_t rows, std::int64_t columns,
                                   std::span<const double> weights, double dloss, T* dlogits);

/// The cross-entropy of loss.h with a weight a class, PyTorch's cross_entropy(weight, label_smoothing):
///
///   sum_n sum_k -w_k t_nk log softmax(logits_n)_k / sum_n w_label(n),   t = (1 - smoothing) onehot + smoothing / K
///
/// Writes softmax(logits) for the gradient. REQUIRES: rows >= 1, smoothing in [0, 1], one weight a class, finite and
/// > 0, labels in range; throws Error otherwise.
template <typename T>
double weighted_cross_entropy_forward(const T* logits, const std::int32_t* labels, std::int64_t rows,
                                      std::int64_t classes, std::span<const double> weights, double smoothing,
                                      T* probabilities);
/// dlogits = dloss / sum_n w_label(n) * (p_k sum_j w_j t_nj - w_k t_nk)
template <typename T>
void weighted_cross_entropy_backward(const T* probabilities, const std::int32_t* labels, std::int64_t rows,
                                     std::int64_t classes, std::span<const double> weights, double smoothing,
                                     double dloss, T* dlogits);

}  // namespace detent::kernels
