#include "detent/optim/parameter.h"

#include <algorithm>

namespace detent::optim {
namespace {

constexpr std::int64_t kElementsPerSlice = 32768;

}  // namespace

std::vector<ParameterGroup> groups_by_decay(std::vector<ParameterRef> parameters, double weight_decay) {
  std::vector<ParameterGroup> groups(2);
  groups[0].weight_decay = weight_decay;
  for (ParameterRef& parameter : parameters) {
    groups[parameter.decay ? 0 : 1].parameters.push_back(std::move(parameter));
  }
  return groups;
}

void check_gradient(const ParameterRef& parameter) {
  const Tensor& value = *parameter.value;
  const Tensor& gradient = *parameter.gradient;
  check(value.defined() && value.dtype() == DType::F32, "optimizer: ", parameter.name, ": expected an f32 value");
  check(gradient.dtype() == DType::F32, "optimizer: ", parameter.name, ": expected an f32 gradient, got ",
        gradient.dtype());
  check(gradient.shape() == value.shape(), "optimizer: ", parameter.name, ": its gradient has shape ", gradient.shape(),
        ", expected ", value.shape());
}

void check_any_gradient(std::span<const ParameterRef> parameters) {
  const bool any = std::ranges::any_of(parameters, [](const ParameterRef& p) { return p.gradient->defined(); });
  check(any,
        "optimizer: no parameter has a gradient: call backward first, or make the optimizer from the graph that is "
        "trained");
}

ElementSlices::ElementSlices(std::span<const ParameterRef> parameters) {
  std::int64_t elements = 0;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (parameters[p].gradient->defined()) {
      check_gradient(parameters[p]);
      elements += parameters[p].value->elements();
      parameters_.push_back(p);
      ends_.push_back(elements);
    }
  }
  slices_ = slice_rows(elements, kElementsPerSlice);
}

void ElementSlices::for_each(const Fn& fn) const {
  parallel_slices(slices_.count, [&](std::int64_t slice) {
    const Range range = slices_[slice];
    auto p = static_cast<std::size_t>(std::ranges::upper_bound(ends_, range.begin) - ends_.begin());
    for (std::int64_t at = range.begin; at < range.end; ++p) {
      const std::int64_t begin = p == 0 ? 0 : ends_[p - 1];
      const std::int64_t end = std::min(ends_[p], range.end);
      if (at < end) {
        fn(slice, parameters_[p], {at - begin, end - begin});
        at = end;
      }
    }
  });
}

}  // namespace detent::optim
