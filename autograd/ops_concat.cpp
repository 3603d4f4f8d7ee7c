#include <algorithm>
#include <cstring>
#include <vector>

#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"
#include "detent/core/threads/parallel.h"

namespace detent::autograd {
namespace {

/// Where one input lies in the rows of the result, in bytes.
struct Column {
  std::size_t begin = 0, bytes = 0;
};

/// Calls copy(row) for all rows of `rows`, whose rows have `bytes` bytes, in parallel.
template <typename Copy>
void for_each_row(std::int64_t rows, std::size_t bytes, Copy&& copy) {
  const Slices slices = slice_by_bytes(rows, static_cast<std::int64_t>(bytes));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t row = slices[slice].begin; row < slices[slice].end; ++row) {
      copy(static_cast<std::size_t>(row));
    }
  });
}

bool are_alike(const Tensor& a, const Tensor& b) {
  const bool same_map =
      (a.qparams() == nullptr) == (b.qparams() == nullptr) && (a.qparams() == nullptr || *a.qparams() == *b.qparams());
  const auto x = a.shape().extents(), y = b.shape().extents();
  return same_map && a.dtype() == b.dtype() && x.size() == y.size() && !x.empty() &&
         std::equal(x.begin(), x.end() - 1, y.begin());
}

}  // namespace

Variable concat(std::span<const Variable> inputs) {
  check(!inputs.empty(), "concat: expected at least one input");
  Tape& tape = tape_of("concat", inputs[0]);
  const Tensor& first = inputs[0].value();
  std::vector<Column> columns;
  std::size_t row_bytes = 0;
  std::int64_t channels = 0;
  for (const Variable& input : inputs) {
    check(are_alike(first, input.value()),
          "concat: expected inputs of one type and map that differ in their last axis ", "alone, got ", first.dtype(),
          ' ', first.shape(), " and ", input.dtype(), ' ', input.shape());
    const std::int64_t last = input.shape().extents().back();
    columns.push_back({row_bytes, static_cast<std::size_t>(last) * size_of(first.dtype())});
    row_bytes += columns.back().bytes;
    channels += last;
  }
  std::vector<std::int64_t> extents(first.shape().extents().begin(), first.shape().extents().end());
  const std::int64_t rows = extents.back() == 0 ? 0 : first.elements() / extents.back();
  extents.back() = channels;
  Tensor y = tape.empty(Shape(extents), first.dtype());
  std::byte* const out = y.raw();
  for_each_row(rows, row_bytes, [&](std::size_t row) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      std::memcpy(out + row * row_bytes + columns[i].begin, inputs[i].value().raw() + row * columns[i].bytes,
                  columns[i].bytes);
    }
  });
  // Each input's gradient is its columns of dy.
  return tape.record("concat", y.with_qparams(first.qparams()), {inputs.begin(), inputs.end()},
                     [shapes =
                          [&] {
                            std::vector<Shape> shapes;
                            std::ranges::transform(inputs, std::back_inserter(shapes),
                                                   [](const Variable& x) { return x.shape(); });
                            return shapes;
                          }(),
                      dtype = first.dtype(), rows, channels](Backward& bw) {
                       const Tensor dy = is_floating(dtype) ? dy_as(bw, dtype) : bw.dy();
                       const std::size_t unit = size_of(dy.dtype()), dy_row = static_cast<std::size_t>(channels) * unit;
                       std::size_t begin = 0;
                       for (std::size_t i = 0; i < shapes.size(); ++i) {
                         const std::size_t bytes = static_cast<std::size_t>(shapes[i].extents().back()) * unit;
                         bw.grad(i, [&] {
                           Tensor dx = Tensor::empty(shapes[i], dy.dtype(), bw.arena());
                           for_each_row(rows, bytes, [&](std::size_t row) {
                             std::memcpy(dx.raw() + row * bytes, dy.raw() + row * dy_row + begin, bytes);
                           });
                           return dx;
                         });
                         begin += bytes;
                       }
                     });
}

}  // namespace detent::autograd
