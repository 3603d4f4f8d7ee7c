#pragma once

#include <cstdint>
#include <string_view>

#include "detent/core/names.h"
#include "detent/core/philox.h"
#include "detent/core/tensor.h"

namespace detent::nn {

/// How weights start. With the fans of `fan_of`:
///
///   default           U(-b, b), b = 1 / sqrt(fan_in), for weights and for biases: PyTorch's default, which is
///                     Kaiming-uniform with a = sqrt(5)
///   kaiming_uniform   U(-b, b), b = sqrt(6 / fan_in)               (He et al. 2015, for ReLU)
///   kaiming_normal    N(0, s), s = sqrt(2 / fan_in)
///   xavier_uniform    U(-b, b), b = sqrt(6 / (fan_in + fan_out))   (Glorot, Bengio 2010)
///   xavier_normal     N(0, s), s = sqrt(2 / (fan_in + fan_out))
///
/// All but the default set biases to 0.
enum class Init : std::uint8_t { Default, KaimingUniform, KaimingNormal, XavierUniform, XavierNormal };

/// The names above.
const Names<Init>& init_names();
/// "default", "kaiming_uniform", ...
std::string_view name_of(Init init);
/// The inverse of name_of. Throws Error for any other text.
Init init_from_name(std::string_view name);

/// How many products enter one output, and how many outputs one input enters.
struct Fan {
  std::int64_t in = 1;
  std::int64_t out = 1;
};
/// Of weights O KH KW I (I: inputs of a group) or O I: in = I KH KW, out = O KH KW.
Fan fan_of(const Shape& weight);

/// Fills `weight`, f32, with numbers from `random`, in the order of its elements.
void init_weight(Tensor& weight, Init init, RandomStream& random);
/// Fills `bias`, f32, of a layer with weights of shape `weight`.
void init_bias(Tensor& bias, const Shape& weight, Init init, RandomStream& random);

}  // namespace detent::nn
