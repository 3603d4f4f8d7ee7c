#include "detent/kernels/layers/activation.h"

#include <array>
#include <cmath>
#include <numbers>

#include "detent/core/conversion.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/layers/elementwise.h"

namespace detent::kernels {
namespace {

template <typename T, typename Fn>
DETENT_VECTORIZED void map_range(const T* a, const T* b, std::int64_t n, T* y, Fn fn) {
  DETENT_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = fn(a[i], b[i]);
  }
}

template <typename T, typename Fn>
void map_slices(std::int64_t elements, const T* a, const T* b, T* y, Fn fn) {
  for_each_slice(elements, [&](Range r) { map_range(a + r.begin, b + r.begin, r.size(), y + r.begin, fn); });
}

/// min(max(x, 0), top); NaN stays NaN.
template <typename T>
[[gnu::always_inline]] inline T clip(T x, T top) {
  const T above = x < T{0} ? T{0} : x;
  return above > top ? top : above;
}

template <typename T>
T sigmoid(T x) {
  return T{1} / (T{1} + std::exp(-x));
}

/// Phi, the distribution of the standard normal.
template <typename T>
T normal_distribution(T x) {
  return T{0.5} * (T{1} + std::erf(x / std::numbers::sqrt2_v<T>));
}

/// phi, its density.
template <typename T>
T normal_density(T x) {
  return std::exp(T{-0.5} * x * x) * std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
}

}  // namespace

const Names<Activation>& activation_names() {
  static const Names<Activation> names{{"relu", Activation::Relu},
                                       {"relu6", Activation::Relu6},
                                       {"leaky_relu", Activation::LeakyRelu},
                                       {"sigmoid", Activation::Sigmoid},
                                       {"tanh", Activation::Tanh},
                                       {"gelu", Activation::Gelu},
                                       {"hard_swish", Activation::HardSwish},
                                       {"silu", Activation::Silu},
                                       {"sign", Activation::Sign}};
  return names;
}

std::string_view name_of(Activation kind) { return name_in(activation_names(), kind); }

Activation activation_from_name(std::string_view name) {
  for (const auto& [known, kind] : activation_names()) {
    if (known == name) {
      return kind;
    }
  }
  fail("activation: expected one of relu, relu6, leaky_relu, sigmoid, tanh, gelu, hard_swish, silu, sign, got '", name,
       "'");
}

bool gradient_uses_output(Activation kind) {
  return kind == Activation::Relu || kind == Activation::Relu6 || kind == Activation::Sigmoid ||
         kind == Activation::Tanh;
}

template <typename T>
void activation_forward(Activation kind, std::int64_t elements, const T* x, T* y, double slope) {
  const auto apply = [&](auto fn) { map_slices(elements, x, x, y, [fn](T v, T) { return fn(v); }); };
  switch (kind) {
    case Activation::Relu:
      return apply([](T v) { return v < T{0} ? T{0} : v; });
    case Activation::Relu6:
      return apply([](T v) { return clip(v, T{6}); });
    case Activation::LeakyRelu: {
      const auto a = static_cast<T>(slope);
      return apply([a](T v) { return v > T{0} ? v : a * v; });
    }
    case Activation::Sigmoid:
      return apply([](T v) { return sigmoid(v); });
    case Activation::Tanh:
      return apply([](T v) { return std::tanh(v); });
    case Activation::Gelu:
      return apply([](T v) { return v * normal_distribution(v); });
    case Activation::HardSwish:
      return apply([](T v) { return v * clip(v + T{3}, T{6}) / T{6}; });
    case Activation::Silu:
      return apply([](T v) { return v * sigmoid(v); });
    case Activation::Sign:
      return apply([](T v) {
        const T below = v < T{0} ? T{-1} : v;
        return v >= T{0} ? T{1} : below;
      });
  }
}

template <typename T>
void activation_backward(Activation kind, std::int64_t elements, const T* saved, const T* dy, T* dx, double slope) {
  const auto apply = [&](auto fn) { map_slices(elements, saved, dy, dx, fn); };
  switch (kind) {
    case Activation::Relu:
      return apply([](T y, T g) { return y > T{0} ? g : T{0}; });
    case Activation::Relu6:
      return apply([](T y, T g) { return ((y > T{0}) & (y < T{6})) ? g : T{0}; });
    case Activation::LeakyRelu: {
      const auto a = static_cast<T>(slope);
      return apply([a](T x, T g) { return x > T{0} ? g : a * g; });
    }
    case Activation::Sigmoid:
      return apply([](T y, T g) { return g * y * (T{1} - y); });
    case Activation::Tanh:
      return apply([](T y, T g) { return g * (T{1} - y * y); });
    case Activation::Gelu:
      return apply([](T x, T g) { return g * (normal_distribution(x) + x * normal_density(x)); });
    case Activation::HardSwish:
      return apply([](T x, T g) {
        const T inner = g * (x / T{3} + T{0.5});
        const T right = x < T{3} ? inner : g;
        return x > T{-3} ? right : T{0};
      });
    case Activation::Silu:
      return apply([](T x, T g) {
        const T s = sigmoid(x);
        return g * s * (T{1} + x * (T{1} - s));
      });
    case Activation::Sign:
      return apply([](T x, T g) { return ((x >= T{-1}) & (x <= T{1})) ? g : T{0}; });
  }
}

template void activation_forward(Activation, std::int64_t, const float*, float*, double);
template void activation_forward(Activation, std::int64_t, const double*, double*, double);
template void activation_backward(Activation, std::int64_t, const float*, const float*, float*, double);
template void activation_backward(Activation, std::int64_t, const double*, const double*, double*, double);

}  // namespace detent::kernels
