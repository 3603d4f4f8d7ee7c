#pragma once

#include <cstdint>

/// Batch normalization (Ioffe, Szegedy 2015) of x [rows, C], where rows are N (1-d) or N * H * W (2-d, NHWC):
///
///   y = (x - mean) * invstd * gamma + beta,   invstd = 1 / sqrt(var + eps)
///
/// Parallel over slices of rows; sums are in double, slices combined in slice order, so the bits do not depend on the
/// number of threads. T is float or double. `gamma` and `beta` may be null: 1 and 0.
namespace detent::kernels {

/// PyTorch's defaults.
inline constexpr double kBatchNormEps = 1e-5;
inline constexpr double kBatchNormMomentum = 0.1;

/// mean[c] and var[c] of the columns; var is biased (divided by rows). One pass over memory: two passes over each slice
/// in cache, slices merged by the formula of Chan, Golub, LeVeque (1983). REQUIRES: rows >= 1.
template <typename T>
void batch_norm_statistics(const T* x, std::int64_t rows, std::int64_t channels, T* mean, T* var);

/// The moving average of PyTorch: running = momentum * batch + (1 - momentum) * running, with the unbiased variance
/// var * rows / (rows - 1). Throws Error where rows < 2, as the unbiased variance of one row does not exist.
template <typename T>
void batch_norm_update_running(const T* mean, const T* var, std::int64_t rows, std::int64_t channels, double momentum,
                               T* running_mean, T* running_var);

/// Normalizes with the statistics of this batch and writes them to `mean` and `invstd` [C] for the gradient. Updates
/// running_mean and running_var unless they are null. REQUIRES: rows >= 2; throws Error otherwise.
template <typename T>
void batch_norm_forward_train(const T* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta,
                              double eps, double momentum, T* running_mean, T* running_var, T* mean, T* invstd, T* y);

/// Normalizes with the running statistics.
template <typename T>
void batch_norm_forward_eval(const T* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta,
                             const T* running_mean, const T* running_var, double eps, T* y);

/// Gradients of batch_norm_forward_train, whose `mean` and `invstd` these are. With x^ = (x - mean) * invstd:
///   dbeta  = sum dy,  dgamma = sum dy * x^,  dx = gamma * invstd * (dy - dbeta / rows - x^ * dgamma / rows)
/// dx, dgamma, dbeta may each be null: not wanted. Overwrites. `dx` may be `dy`.
template <typename T>
void batch_norm_backward_train(const T* dy, const T* x, std::int64_t rows, std::int64_t channels, const T* gamma,
                               const T* mean, const T* invstd, T* dx, T* dgamma, T* dbeta);

/// Gradients of batch_norm_forward_eval, where the statistics are constants: dx = dy * gamma * invstd; dgamma and dbeta
/// as above. dx, dgamma, dbeta may each be null. Overwrites. `dx` may be `dy`.
template <typename T>
void batch_norm_backward_eval(const T* dy, const T* x, std::int64_t rows, std::int64_t channels, const T* gamma,
                              const T* running_mean, const T* running_var, double eps, T* dx, T* dgamma, T* dbeta);

}  // namespace detent::kernels
