#pragma once

#include <cstdint>

/// Softmax of rows [rows, channels] and its gradient: y[c] = exp(x[c] - max) / sum over k of exp(x[k] - max), max the
/// row's largest, so that nothing overflows. T is float or double; exponentials and sums are in double, sums in the
/// order of the channels, so a row has the same bits at any number of threads. A row with a NaN or an infinity above
/// all else gives NaN.
namespace detent::kernels {

/// What one row's softmax is made of.
struct SoftmaxRow {
  double largest = 0;  ///< max
  double sum = 0;      ///< of exp(x[k] - max)
};
/// One row; `y` may be `x`. REQUIRES: channels >= 1.
template <typename T>
SoftmaxRow softmax_row(const T* x, std::int64_t channels, T* y);

/// All rows, in parallel. `y` may be `x`.
template <typename T>
void softmax_forward(const T* x, std::int64_t rows, std::int64_t channels, T* y);

/// dx[c] = y[c] * (dy[c] - sum over k of dy[k] * y[k]), in parallel. `dx` may be `dy`.
template <typename T>
void softmax_backward(const T* y, const T* dy, std::int64_t rows, std::int64_t channels, T* dx);

}  // namespace detent::kernels
