#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "detent/core/dtype.h"
#include "detent/core/memory.h"
#include "detent/core/qparams.h"
#include "detent/core/shape.h"

namespace detent {

/// An n-dimensional array: shape, element type, memory and, where the elements are codes, their QParams.
/// Copies share the memory; `clone` copies it. Elements lie row by row, the last axis fastest.
class Tensor {
 public:
  /// No elements, no memory: `defined()` is false.
  Tensor() = default;

  /// Not initialized. Memory comes from `arena` if one is given. All that make tensors throw Error for a shape with a
  /// negative extent or more bytes than 2^63 - 1, and std::bad_alloc where there is no memory.
  static Tensor empty(Shape shape, DType dtype, Arena* arena = nullptr);
  static Tensor zeros(Shape shape, DType dtype, Arena* arena = nullptr);
  /// Every element is `value`, converted as `to` does.
  static Tensor full(Shape shape, DType dtype, double value);
  /// REQUIRES: as many values as the shape has elements; throws Error otherwise.
  template <typename T>
  static Tensor from(const std::vector<T>& values, Shape shape);
  template <typename T>
  static Tensor scalar(T value) {
    return from<T>({value}, Shape{});
  }

  bool defined() const { return memory_ != nullptr; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  std::int64_t elements() const { return elements_; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements_) * size_of(dtype_); }

  /// The elements as T. Throws Error if T is not the element type.
  template <typename T>
  std::span<T> data();
  template <typename T>
  std::span<const T> data() const;
  /// Whether another tensor lies in the same memory.
  bool shares_memory() const { return memory_.use_count() > 1; }
  /// An owner of the memory, for what outlives this tensor.
  std::shared_ptr<const std::byte> owner() const { return memory_; }
  std::byte* raw() { return memory_.get(); }
  const std::byte* raw() const { return memory_.get(); }
  /// The one element of a one-element tensor, whatever its type.
  double item() const;

  /// The same elements under another shape with as many elements; shares the memory.
  Tensor reshape(Shape shape) const;
  /// Rows [begin, end) of the first axis; shares the memory.
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  Tensor clone(Arena* arena = nullptr) const;
  /// A copy with every element converted: to nearest, ties to even (f64 and s32 to a 16-bit type by way of f32).
  /// Integers saturate, and NaN gives them 0. Codes are converted as numbers: to see what they mean, dequantize them.
  Tensor to(DType dtype) const;
  /// The same among the pairs of cast, in parallel; the tensor itself where its elements have the type.
  Tensor as(DType dtype, Arena* arena) const;
  /// Copies all elements of `source`, which must have this shape and element type.
  void copy_from(const Tensor& source);
  void fill_zero();

  /// The map from these codes to real numbers; null where the elements are plain numbers.
  const std::shared_ptr<const QParams>& qparams() const { return qparams_; }
  /// The same codes with `qparams` attached; shares the memory.
  Tensor with_qparams(std::shared_ptr<const QParams> qparams) const;

 private:
  Shape shape_;
  DType dtype_ = DType::F32;
  std::int64_t elements_ = 0;
  std::shared_ptr<std::byte> memory_;
  std::shared_ptr<const QParams> qparams_;
};

template <typename T>
std::span<T> Tensor::data() {
  check(dtype_of<T> == dtype_, "tensor: read as ", dtype_of<T>, " but its elements are ", dtype_);
  return {reinterpret_cast<T*>(memory_.get()), static_cast<std::size_t>(elements_)};
}

template <typename T>
std::span<const T> Tensor::data() const {
  check(dtype_of<T> == dtype_, "tensor: read as ", dtype_of<T>, " but its elements are ", dtype_);
  return {reinterpret_cast<const T*>(memory_.get()), static_cast<std::size_t>(elements_)};
}

template <typename T>
Tensor Tensor::from(const std::vector<T>& values, Shape shape) {
  check(static_cast<std::int64_t>(values.size()) == shape.elements(), "tensor: ", values.size(),
        " values do not fill shape ", shape);
  Tensor tensor = empty(std::move(shape), dtype_of<T>);
  std::memcpy(tensor.raw(), values.data(), tensor.bytes());
  return tensor;
}

}  // namespace detent
