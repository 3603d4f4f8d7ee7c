#include "detent/core/tensor.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "detent/core/conversion.h"

namespace detent {
namespace {

/// Calls fn(T{}) with the C++ type of `dtype`.
template <typename Fn>
decltype(auto) dispatch(DType dtype, Fn&& fn) {
  switch (dtype) {
    case DType::F32:
      return fn(float{});
    case DType::F64:
      return fn(double{});
    case DType::BF16:
      return fn(bfloat16{});
    case DType::F16:
      return fn(float16{});
    case DType::U8:
      return fn(std::uint8_t{});
    case DType::S8:
      return fn(std::int8_t{});
    case DType::S32:
      return fn(std::int32_t{});
  }
  fail("tensor: unknown element type");
}

/// `x` as an element of another type.
template <typename To, typename From>
To converted(From x) {
  if constexpr (std::is_integral_v<To>) {
    return static_cast<To>(
        nearest_integer(static_cast<double>(x), std::numeric_limits<To>::min(), std::numeric_limits<To>::max()));
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace

Tensor Tensor::empty(Shape shape, DType dtype, Arena* arena) {
  Tensor tensor;
  tensor.elements_ = shape.elements();
  check(tensor.elements_ <= std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(size_of(dtype)),
        "tensor: ", dtype, ' ', shape, " has more bytes than a number of 64 bits counts");
  tensor.shape_ = std::move(shape);
  tensor.dtype_ = dtype;
  tensor.memory_ = arena ? arena->allocate(tensor.bytes()) : allocate_aligned(tensor.bytes());
  return tensor;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Arena* arena) {
  Tensor tensor = empty(std::move(shape), dtype, arena);
  tensor.fill_zero();
  return tensor;
}

Tensor Tensor::full(Shape shape, DType dtype, double value) {
  Tensor tensor = empty(std::move(shape), dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    std::ranges::fill(tensor.data<T>(), converted<T>(value));
  });
  return tensor;
}

double Tensor::item() const {
  check(elements_ == 1, "tensor: item() needs one element, shape is ", shape_);
  return dispatch(dtype_, [&](auto zero) { return static_cast<double>(data<decltype(zero)>()[0]); });
}

Tensor Tensor::reshape(Shape shape) const {
  check(shape.elements() == elements_ && defined(), "reshape: ", shape_, " has ", elements_, " elements, ", shape,
        " has ", shape.elements());
  Tensor tensor = *this;
  tensor.shape_ = std::move(shape);
  return tensor;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  check(shape_.rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0], "rows: [", begin, ", ", end,
        ") does not lie in shape ", shape_);
  Tensor tensor = *this;
  const std::int64_t row = shape_.row_elements();
  tensor.shape_ = shape_.row().batched(end - begin);
  tensor.elements_ = row * (end - begin);
  const auto offset = static_cast<std::size_t>(begin * row) * size_of(dtype_);
  tensor.memory_ = std::shared_ptr<std::byte>(memory_, memory_.get() + offset);
  return tensor;
}

Tensor Tensor::clone(Arena* arena) const {
  if (!defined()) {
    return {};
  }
  Tensor tensor = empty(shape_, dtype_, arena);
  tensor.qparams_ = qparams_;
  std::memcpy(tensor.raw(), raw(), bytes());
  return tensor;
}

Tensor Tensor::to(DType dtype) const {
  if (!defined()) {
    return {};
  }
  Tensor tensor = empty(shape_, dtype);
  dispatch(dtype_, [&](auto from_zero) {
    dispatch(dtype, [&](auto to_zero) {
      using To = decltype(to_zero);
      std::ranges::transform(data<decltype(from_zero)>(), tensor.data<To>().begin(),
                             [](auto x) { return converted<To>(x); });
    });
  });
  return tensor;
}

Tensor Tensor::as(DType dtype, Arena* arena) const {
  if (dtype_ == dtype || !defined()) {
    return *this;
  }
  Tensor tensor = empty(shape_, dtype, arena);
  cast(dtype_, dtype, elements(), raw(), tensor.raw());
  return tensor;
}

void Tensor::copy_from(const Tensor& source) {
  check(defined() && source.defined(), "copy: a tensor without memory is given");
  check(source.shape_ == shape_ && source.dtype_ == dtype_, "copy: expected ", dtype_, ' ', shape_, ", got ",
        source.dtype_, ' ', source.shape_);
  std::memcpy(raw(), source.raw(), bytes());
}

void Tensor::fill_zero() { std::memset(raw(), 0, bytes()); }

Tensor Tensor::with_qparams(std::shared_ptr<const QParams> qparams) const {
  Tensor tensor = *this;
  tensor.qparams_ = std::move(qparams);
  return tensor;
}

}  // namespace detent
