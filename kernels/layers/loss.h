#pragma once

#include <cstdint>

/// Losses over predictions [rows, C] and their gradients. T is float or double; what is summed is summed in double in
/// row order, so a loss has the same bits at any number of threads. Backward functions take `dloss`, the gradient of
/// the scalar loss (1 where the loss is what is minimized), and overwrite their result.
namespace detent::kernels {

/// Throws Error unless every label lies in [0, classes); the text names the first one that does not, and its row.
void check_labels(const std::int32_t* labels, std::int64_t rows, std::int64_t classes);

/// The mean over rows of the cross-entropy of softmax(logits) with the target
/// (1 - smoothing) * onehot(label) + smoothing / C, in nats, as PyTorch's cross_entropy(label_smoothing = smoothing).
/// Writes softmax(logits) to `probabilities` [rows, C] for the gradient, computed after subtracting the row's largest
/// logit, so nothing overflows. REQUIRES: rows >= 1, smoothing in [0, 1], labels in range; throws Error otherwise.
template <typename T>
double cross_entropy_forward(const T* logits, const std::int32_t* labels, std::int64_t rows, std::int64_t classes,
                             double smoothing, T* probabilities);

/// dlogits = dloss / rows * (probabilities - target)
template <typename T>
void cross_entropy_backward(const T* probabilities, const std::int32_t* labels, std::int64_t rows, std::int64_t classes,
                            double smoothing, double dloss, T* dlogits);

/// T^2 times the mean over rows of KL(softmax(target / T) || softmax(logits / T)), in nats: knowledge distillation
/// (Hinton, Vinyals, Dean 2015, equations 1 and 3); T^2 makes up for gradients that go down with it. Writes both
/// softmaxes, [rows, C], for the gradient. 0 where the logits are those of the target, or differ from them by a number
/// a row. REQUIRES: rows >= 1, temperature T finite and > 0; throws Error otherwise.
template <typename T>
double distillation_forward(const T* logits, const T* target, std::int64_t rows, std::int64_t classes,
                            double temperature, T* probabilities, T* target_probabilities);

/// dlogits = dloss * temperature / rows * (probabilities - target_probabilities). The target has no gradient.
template <typename T>
void distillation_backward(const T* probabilities, const T* target_probabilities, std::int64_t rows,
                           std::int64_t classes, double temperature, double dloss, T* dlogits);

/// mean((prediction - target)^2) over all elements. REQUIRES: elements >= 1.
template <typename T>
double mean_squared_error_forward(const T* prediction, const T* target, std::int64_t elements);

/// dprediction = dloss * 2 / elements * (prediction - target). The gradient of the target is its negative.
template <typename T>
void mean_squared_error_backward(const T* prediction, const T* target, std::int64_t elements, double dloss,
                                 T* dprediction);

/// mean(max(0, 1 - p * t)^2) over all elements, t = +1 for the label's class and -1 for the others: the loss of
/// BinaryConnect (Courbariaux et al. 2015). REQUIRES: rows >= 1, labels in range; throws Error otherwise.
template <typename T>
double squared_hinge_forward(const T* prediction, const std::int32_t* labels, std::int64_t rows, std::int64_t classes);

/// dprediction = dloss * -2 * t * max(0, 1 - p * t) / (rows * C)
template <typename T>
void squared_hinge_backward(const T* prediction, const std::int32_t* labels, std::int64_t rows, std::int64_t classes,
                            double dloss, T* dprediction);

/// classes_out[r] = the class of the largest value in row r: of equal ones the first. NaN never wins; a row of NaN
/// gives 0. T is float, double or uint8_t.
template <typename T>
void argmax_rows(const T* x, std::int64_t rows, std::int64_t classes, std::int32_t* classes_out);

/// The number of rows whose argmax is the label.
template <typename T>
std::int64_t count_correct(const T* x, const std::int32_t* labels, std::int64_t rows, std::int64_t classes);

}  // namespace detent::kernels
