#pragma once

#include <optional>
#include <string>

#include "detent/interchange/same/canonical.h"

namespace detent::interchange {

/// Where two models part.
struct Difference {
  std::string node = {};       ///< its name in the first model; empty: it is of the model as a whole
  std::string field = {};      ///< "op", "geometry.stride[0]", "weight", "output_scale"
  std::string index = {};      ///< of an element of a tensor: "[3, 0, 1, 2]"
  std::string a = {}, b = {};  ///< the values, "none" where there is none
  std::int64_t differing = 0;  ///< elements of the tensor that differ
  std::int64_t elements = 0;   ///< that it has; 0: it is no tensor's element
};

/// The first difference in running order, of a node its description before its tensors; none: the models are the same,
/// to the bit of every number.
std::optional<Difference> first_difference(const CanonicalModel& a, const CanonicalModel& b);

/// "[3, 0, 1, 2]": where element `i` of a tensor of this shape stands.
std::string index_text(const Shape& shape, std::int64_t i);
/// The shortest text that gives the number.
std::string number_text(float value);

/// "conv1: weight [3, 0, 1, 2]: 12 in A.h5, 13 in B.h5 (5 of 288 elements differ)"
std::string to_text(const Difference& difference, const std::string& a, const std::string& b);

}  // namespace detent::interchange
