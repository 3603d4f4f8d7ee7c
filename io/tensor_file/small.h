#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/tensor.h"

/// Small tensors of a file, end to end. A data set costs about 200 bytes beside its elements, more than most scales,
/// zero points and biases have. Private to io.
///
///   /small/<type>   the elements of all small tensors of that type, one after the other in the order of their names
///   /small/index    one text of a line for each small tensor, in the order of their names: "f32[32,3,3,1]
///   conv1/weight"
namespace detent::hdf5 {

inline constexpr std::string_view kSmallGroup = "small/";
inline constexpr std::string_view kSmallIndex = "small/index";

struct SmallTensors {
  std::map<std::string, Tensor> sets = {};  ///< "small/f32": the data sets
  std::string index = {};                   ///< empty if none lie together
};

/// Whether `tensor` may lie with others.
bool is_small(const std::string& name, const Tensor& tensor);

/// Lays the small ones of `tensors` together; none if there are so few that it would not pay. Throws Error for names in
/// the group /small.
SmallTensors pack_small(const std::map<std::string, Tensor>& tensors);

/// Replaces the data sets /small/<type> in `tensors` by the tensors that `index` names: all, or those that are in
/// `only`. Throws Error for an index that is malformed, names a tensor twice or does not fit the data sets.
void unpack_small(std::string_view index, const std::vector<std::string>& only, std::map<std::string, Tensor>& tensors);

}  // namespace detent::hdf5
