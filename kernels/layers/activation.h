#pragma once

#include <cstdint>
#include <string_view>

#include "detent/core/names.h"

/// Activation functions y = f(x), element by element, and their gradients. Parallel over slices; T is float or double.
///
///   relu        max(x, 0)                          f'(0) = 0
///   relu6       min(max(x, 0), 6)                  f'(0) = f'(6) = 0
///   leaky_relu  x > 0 ? x : slope * x              f'(0) = slope
///   sigmoid     1 / (1 + exp(-x))
///   tanh        tanh(x)
///   gelu        x * Phi(x) = x * (1 + erf(x / sqrt(2))) / 2, the exact form (Hendrycks, Gimpel 2016)
///   hard_swish  x * min(max(x + 3, 0), 6) / 6      f'(-3) = 0, f'(3) = 1 (Howard et al. 2019, MobileNetV3)
///   silu        x / (1 + exp(-x)) (Elfwing, Uchibe, Doya 2017; Swish)
///   sign        x >= 0 ? 1 : -1                    straight through: f' = 1 where |x| <= 1, else 0 (Hubara et al.
///                                                  2016, Binarized Neural Networks)
///
/// NaN gives NaN. Gradients at the kinks are those of PyTorch.
namespace detent::kernels {

enum class Activation : std::uint8_t { Relu, Relu6, LeakyRelu, Sigmoid, Tanh, Gelu, HardSwish, Silu, Sign };

/// PyTorch's slope of leaky_relu.
inline constexpr double kLeakySlope = 0.01;

/// The names above.
const Names<Activation>& activation_names();
/// "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "gelu", "hard_swish", "silu", "sign".
std::string_view name_of(Activation kind);
/// The inverse of name_of. Throws Error for any other text.
Activation activation_from_name(std::string_view name);

/// Whether the gradient is computed from the result y (relu, relu6, sigmoid, tanh), and x need not be kept;
/// the others (leaky_relu, gelu, hard_swish, silu, sign) compute it from x.
bool gradient_uses_output(Activation kind);

/// y[i] = f(x[i]). `y` may be `x`. `slope` is read by leaky_relu only.
template <typename T>
void activation_forward(Activation kind, std::int64_t elements, const T* x, T* y, double slope = kLeakySlope);

/// dx[i] = dy[i] * f'. `saved` is y where gradient_uses_output(kind), else x. `dx` may be `dy`.
template <typename T>
void activation_backward(Activation kind, std::int64_t elements, const T* saved, const T* dy, T* dx,
                         double slope = kLeakySlope);

}  // namespace detent::kernels
