#pragma once

#include <cstdint>
#include <vector>

/// Batch normalization (Ioffe, Szegedy 2015) of x [rows, C], where rows are N (1-d) or N * H * W (2-d, NHWC):
///
///   y = (x - mean) * invstd * gamma + beta,   invstd = 1 / sqrt(var + eps);   then max(0, y) if `relu`
///
/// Parallel over slices of rows. A few rows are summed in T, and these sums in double, slices combined in slice order:
/// the bits depend neither on the number of threads nor on the processor. T is float or double; X, the type of x, y and
/// their gradients, is T, or bf16 where T is float: then all is computed in f32, and y and dx are rounded to nearest,
/// ties to even. `gamma` and `beta` may be null: 1 and 0.
namespace detent::kernels {

/// PyTorch's defaults.
inline constexpr double kBatchNormEps = 1e-5;
inline constexpr double kBatchNormMomentum = 0.1;

/// mean[c] and var[c] of the columns; var is biased (divided by rows). One pass over memory: of each tile of a few
/// rows the moments around its first row, tiles and slices merged by the formula of Chan, Golub, LeVeque (1983).
/// REQUIRES: rows >= 1.
template <typename T>
void batch_norm_statistics(const T* x, std::int64_t rows, std::int64_t channels, T* mean, T* var);

/// The moving average of PyTorch: running = momentum * batch + (1 - momentum) * running, with the unbiased variance
/// var * rows / (rows - 1). Throws Error where rows < 2, as the unbiased variance of one row does not exist.
template <typename T>
void batch_norm_update_running(const T* mean, const T* var, std::int64_t rows, std::int64_t channels, double momentum,
                               T* running_mean, T* running_var);

/// Normalizes with the statistics of this batch and writes them to `mean` and `invstd` [C] for the gradient. Updates
/// running_mean and running_var unless they are null. REQUIRES: rows >= 2; throws Error otherwise.
template <typename X, typename T>
void batch_norm_forward_train(const X* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta,
                              double eps, double momentum, bool relu, T* running_mean, T* running_var, T* mean,
                              T* invstd, X* y);

/// Normalizes with the running statistics.
template <typename X, typename T>
void batch_norm_forward_eval(const X* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta,
                             const T* running_mean, const T* running_var, double eps, bool relu, X* y);

/// What the gradient of a batch norm's input is made of, a number for each channel:
///   dx = factor * (dy - dy_mean - (x - mean) * slope),
/// with dy taken as 0 where `relu` is set and y = (x - mean) * factor + shift is not above 0: y is computed again, to
/// the same bits. T is float or double.
template <typename T>
struct BatchNormGradient {
  std::int64_t channels = 0;
  bool relu = false;
  std::vector<T> mean = {}, factor = {}, shift = {}, dy_mean = {}, slope = {};
};

/// Gradients of batch_norm_forward_train, whose `mean` and `invstd` these are. With x^ = (x - mean) * invstd, and dy
/// taken as 0 where `relu` is set and y is not above 0:
///   dbeta  = sum dy,  dgamma = sum dy * x^,  dx = gamma * invstd * (dy - dbeta / rows - x^ * dgamma / rows)
/// dgamma and dbeta may each be null: not wanted. Overwrites. `beta` matters to `relu` alone.
template <typename X, typename T>
BatchNormGradient<T> batch_norm_backward_train(const X* dy, const X* x, std::int64_t rows, std::int64_t channels,
                                               const T* gamma, const T* beta, const T* mean, const T* invstd, bool relu,
                                               T* dgamma, T* dbeta);

/// Gradients of batch_norm_forward_eval, where the statistics are constants: dx = dy * gamma * invstd; dgamma and dbeta
/// as above.
template <typename X, typename T>
BatchNormGradient<T> batch_norm_backward_eval(const X* dy, const X* x, std::int64_t rows, std::int64_t channels,
                                              const T* gamma, const T* beta, const T* running_mean,
                                              const T* running_var, double eps, bool relu, T* dgamma, T* dbeta);

/// dx of `rows` rows, each by itself, in parallel; the second single-threaded, for who needs it a slice at a time. `dx`
/// may be `dy`.
template <typename X, typename T>
void batch_norm_input_gradient(const BatchNormGradient<T>& gradient, const X* dy, const X* x, std::int64_t rows, X* dx);
template <typename X, typename T>
void batch_norm_input_gradient_slice(const BatchNormGradient<T>& gradient, const X* dy, const X* x, std::int64_t rows,
                                     X* dx);

}  // namespace detent::kernels
