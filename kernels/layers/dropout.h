#pragma once

#include <cstdint>

#include "detent/core/philox.h"

/// Dropout (Srivastava et al. 2014), inverted: what is kept is scaled by 1 / (1 - p), so evaluation does nothing.
namespace detent::kernels {

/// y[i] = keep(i) ? x[i] * (1 / (1 - p)) : 0, keep(i) = stream.bits_at(i) >= floor(p * 2^32): element i depends on the
/// stream and on i alone, never on threads. `mask` [mask_bytes(elements)] gets the bit keep(i), i % 8 of byte i / 8;
/// bits past the end are 0. p = 1 drops everything. `y` may be `x`. T is float or double. REQUIRES: p in [0, 1]; throws
/// Error otherwise.
template <typename T>
void dropout_forward(std::int64_t elements, const T* x, double p, const RandomStream& stream, std::uint8_t* mask, T* y);

/// dx[i] = keep(i) ? dy[i] * (1 / (1 - p)) : 0. `dx` may be `dy`.
template <typename T>
void dropout_backward(std::int64_t elements, const T* dy, double p, const std::uint8_t* mask, T* dx);

}  // namespace detent::kernels
