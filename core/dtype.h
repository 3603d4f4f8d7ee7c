#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string_view>
#include <utility>

#include "detent/core/error.h"
#include "detent/core/names.h"

namespace detent {

using bfloat16 = Eigen::bfloat16;
using float16 = Eigen::half;

/// The types that a tensor's elements can have.
enum class DType : std::uint8_t { F32, F64, BF16, F16, U8, S8, S32 };

/// Bytes of one element.
std::size_t size_of(DType dtype);
/// "f32", "bf16", "u8": the name used in files, messages and recipes.
std::string_view name_of(DType dtype);
/// The inverse of name_of. Throws Error for any other text.
DType dtype_from_name(std::string_view name);
bool is_floating(DType dtype);
/// What float training multiplies, as recipes and reports call it: "fp32", "bf16", "fp16".
const Names<DType>& precision_names();
std::string_view precision_name(DType dtype);

std::ostream& operator<<(std::ostream& out, DType dtype);

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::F32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::F64;
};
template <>
struct DTypeOf<bfloat16> {
  static constexpr DType value = DType::BF16;
};
template <>
struct DTypeOf<float16> {
  static constexpr DType value = DType::F16;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::U8;
};
template <>
struct DTypeOf<std::int8_t> {
  static constexpr DType value = DType::S8;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::S32;
};
template <typename T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

/// Calls `fn(T{})` with the C++ type of `dtype`, which must be F32 or F64: `dispatch_real("add", t, [&](auto zero)
/// {...})`. Throws Error naming `what` for any other type.
template <typename Fn>
decltype(auto) dispatch_real(std::string_view what, DType dtype, Fn&& fn) {
  check(dtype == DType::F32 || dtype == DType::F64, what, ": expected f32 or f64, got ", dtype);
  return dtype == DType::F64 ? std::forward<Fn>(fn)(double{}) : std::forward<Fn>(fn)(float{});
}

}  // namespace detent
