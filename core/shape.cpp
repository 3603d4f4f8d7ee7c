#include "detent/core/shape.h"

#include <algorithm>

#include "detent/core/error.h"

namespace detent {

std::int64_t Shape::elements() const {
  std::int64_t elements = std::ranges::find(extents_, 0) == extents_.end() ? 1 : 0;
  for (const std::int64_t extent : extents_) {
    check(extent >= 0, "shape: expected extents of at least 0, got ", *this);
    check(elements == 0 || !__builtin_mul_overflow(elements, extent, &elements), "shape: ", *this,
          " has more elements than a number of 64 bits counts");
  }
  return elements;
}

std::int64_t Shape::row_elements() const { return row().elements(); }

Shape Shape::row() const {
  check(rank() >= 1, "shape: expected at least one extent, got a scalar");
  return Shape(std::vector<std::int64_t>(extents_.begin() + 1, extents_.end()));
}

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
