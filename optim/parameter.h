#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "detent/core/tensor.h"
#include "detent/core/threads/parallel.h"

namespace detent::optim {

/// A trained tensor, as its owner lends it: the f32 master value and its gradient, undefined where none flowed.
struct ParameterRef {
  std::string name;  ///< "conv1.weight"
  Tensor* value = nullptr;
  Tensor* gradient = nullptr;
  bool decay = true;  ///< whether weight decay applies
  /// What value and gradient are parts of, kept alive by the reference: a parameter of nn::Graph::parameters. Null:
  /// both must outlive whoever holds the reference.
  std::shared_ptr<const void> owner = nullptr;
};

/// Parameters that are trained alike.
struct ParameterGroup {
  std::vector<ParameterRef> parameters;
  double weight_decay = 0.0;
  double learning_rate_multiplier = 1.0;
};

/// Two groups: those that decay, with `weight_decay`, and the rest (biases, norms) without.
std::vector<ParameterGroup> groups_by_decay(std::vector<ParameterRef> parameters, double weight_decay);

/// Throws Error unless value and gradient are f32 and of one shape. REQUIRES: a defined gradient.
void check_gradient(const ParameterRef& parameter);
/// Throws Error unless at least one of the parameters has a gradient.
void check_any_gradient(std::span<const ParameterRef> parameters);

/// The elements of all parameters with a gradient, one after the other, cut into slices of like size, whatever the
/// sizes of the parameters. The cut depends on the shapes alone.
class ElementSlices {
 public:
  /// Throws Error for a gradient that does not fit its parameter.
  explicit ElementSlices(std::span<const ParameterRef> parameters);

  std::int64_t count() const { return slices_.count; }
  /// Calls fn(slice, parameter, elements) for all the ranges of all slices, slices in parallel, the ranges of a slice
  /// in order. `parameter` is the index in the list.
  using Fn = std::function<void(std::int64_t slice, std::size_t parameter, Range elements)>;
  void for_each(const Fn& fn) const;

 private:
  std::vector<std::size_t> parameters_;  // with a gradient
  std::vector<std::int64_t> ends_;       // of their elements in the whole
  Slices slices_;
};

}  // namespace detent::optim
