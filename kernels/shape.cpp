#include "kernels/shape.h"

#include <functional>
#include <numeric>

namespace detent {

std::int64_t Shape::elements() const {
  return std::accumulate(extents_.begin(), extents_.end(), std::int64_t{1}, std::multiplies<>());
}

std::int64_t Shape::row_elements() const { return row().elements(); }

Shape Shape::row() const { return Shape(std::vector<std::int64_t>(extents_.begin() + 1, extents_.end())); }

Shape Shape::batched(std::int64_t n) const {
  std::vector<std::int64_t> extents{n};
  extents.insert(extents.end(), extents_.begin(), extents_.end());
  return Shape(std::move(extents));
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    out << (i ? ", " : "") << shape[i];
  }
  return out << ']';
}

}  // namespace detent
