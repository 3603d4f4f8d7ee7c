// Constants, and what is computed of constants alone: shapes of values, weights that are turned or dequantized.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "detent/interchange/onnx/in/operations.h"

namespace detent::onnx {
namespace {

std::size_t item_bytes(const Array& array) {
  check(array.type != ElementType::S4, "it moves constants of 4 bits");
  return static_cast<std::size_t>(bytes_of(array.type, 1));
}

Array with_dims(Array array, Dims dims) {
  array.dims = std::move(dims);
  return array;
}

/// The product of extents [begin, end).
std::size_t product(const Dims& dims, std::size_t begin, std::size_t end) {
  std::size_t result = 1;
  for (std::size_t i = begin; i < end; ++i) {
    result *= static_cast<std::size_t>(dims[i]);
  }
  return result;
}

Array transposed(const Array& array, const Dims& order) {
  const std::size_t rank = array.dims.size();
  Dims sorted = order;
  std::ranges::sort(sorted);
  Dims all(rank);
  std::iota(all.begin(), all.end(), 0);
  check(sorted == all, "its axes ", to_text(order), " are not those of ", to_text(array.dims));
  const std::size_t bytes = item_bytes(array);
  Array result{.name = array.name, .type = array.type, .bytes = array.bytes};
  std::vector<std::size_t> steps;  // in the array, of each axis of the result
  for (const std::int64_t axis : order) {
    result.dims.push_back(array.dims[static_cast<std::size_t>(axis)]);
    steps.push_back(product(array.dims, static_cast<std::size_t>(axis) + 1, rank));
  }
  std::vector<std::int64_t> at(rank, 0);
  const auto elements = static_cast<std::size_t>(array.elements());
  for (std::size_t i = 0; i < elements; ++i) {
    std::size_t from = 0;
    for (std::size_t axis = 0; axis < rank; ++axis) {
      from += static_cast<std::size_t>(at[axis]) * steps[axis];
    }
    std::memcpy(result.bytes.data() + i * bytes, array.bytes.data() + from * bytes, bytes);
    for (std::size_t axis = rank; axis-- > 0 && ++at[axis] == result.dims[axis];) {
      at[axis] = 0;
    }
  }
  return result;
}

/// The rows `chosen` of axis 0.
Array rows_of(const Array& array, const std::vector<std::int64_t>& chosen) {
  check(!array.dims.empty(), "it chooses from a single number");
  const std::size_t bytes = product(array.dims, 1, array.dims.size()) * item_bytes(array);
  Array result{.name = array.name, .type = array.type, .dims = array.dims};
  result.dims[0] = static_cast<std::int64_t>(chosen.size());
  for (const std::int64_t row : chosen) {
    const std::size_t begin = axis_of(row, static_cast<std::size_t>(array.dims[0])) * bytes;
    result.bytes.insert(result.bytes.end(), array.bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                        array.bytes.begin() + static_cast<std::ptrdiff_t>(begin + bytes));
  }
  return result;
}

void give_gathered(Builder& builder, const Node& node) {
  const Array& array = builder.constant(node, 0, "data");
  const Array& indices = builder.constant(node, 1, "indices");
  check(node.integer("axis", 0) == 0 && indices.dims.size() <= 1, "it chooses along other axes than the first");
  Array rows = rows_of(array, indices.integers());
  if (indices.dims.empty()) {
    rows.dims.erase(rows.dims.begin());
  }
  builder.give_constant(node, std::move(rows));
}

void give_slice(Builder& builder, const Node& node) {
  const Array& array = builder.constant(node, 0, "data");
  const auto number = [&](std::size_t i, std::int64_t other) {
    if (!node.has_input(i)) {
      return other;
    }
    const std::vector<std::int64_t> numbers = builder.constant(node, i, "numbers").integers();
    check(numbers.size() == 1, "it cuts along several axes");
    return numbers[0];
  };
  check(!array.dims.empty() && number(3, 0) == 0 && number(4, 1) == 1, "it cuts along other axes than the first");
  const std::int64_t extent = array.dims[0];
  const auto bounded = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + extent : at, 0, extent); };
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = bounded(number(1, 0)); i < bounded(number(2, extent)); ++i) {
    chosen.push_back(i);
  }
  builder.give_constant(node, rows_of(array, chosen));
}

void give_joined(Builder& builder, const Node& node) {
  Array result = builder.constant(node, 0, "parts");
  const std::int64_t rank = static_cast<std::int64_t>(result.dims.size());
  check(rank == 1 && axis_of(node.integer("axis", 0), 1) == 0, "it joins constants of several axes");
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    const Array& part = builder.constant(node, i, "parts");
    check(part.dims.size() == 1, "it joins constants of several axes");
    if (part.type != result.type) {  // parts of a shape, of int32 and int64
      std::vector<std::int64_t> numbers = result.integers();
      const std::vector<std::int64_t> more = part.integers();
      numbers.insert(numbers.end(), more.begin(), more.end());
      result = Array::of({}, {std::ssize(numbers)}, numbers);
      continue;
    }
    result.dims[0] += part.dims[0];
    result.bytes.insert(result.bytes.end(), part.bytes.begin(), part.bytes.end());
  }
  builder.give_constant(node, std::move(result));
}

void give_cast(Builder& builder, const Node& node) {
  const Array& array = builder.constant(node, 0, "values");
  const auto to = static_cast<ElementType>(node.integer("to", 0));
  if (to == array.type || (!is_real(array.type) && (to == ElementType::S64 || to == ElementType::S32))) {
    builder.give_constant(node, to == array.type ? array : Array::of({}, array.dims, array.integers()));
    return;
  }
  check(is_real(to), "it makes constants ", name_of(to));
  std::vector<float> values;
  if (is_real(array.type)) {
    values = array.reals();
  } else {
    const std::vector<std::int64_t> numbers = array.integers();
    values.assign(numbers.begin(), numbers.end());
  }
  builder.give_constant(node, Array::of({}, array.dims, values));
}

/// real = scale * (q - zero_point), a scale for all or one for each index of an axis.
void give_dequantized(Builder& builder, const Node& node) {
  check(node.op == "DequantizeLinear", "it quantizes a constant; export the model with its codes");
  check(node.integer("block_size", 0) == 0, "its codes have scales by blocks");
  const Array& codes = builder.constant(node, 0, "codes");
  const std::vector<float> scale = finite_reals(builder.constant(node, 1, "scales"), "scales");
  std::vector<std::int64_t> zero(scale.size(), 0);
  if (node.has_input(2)) {
    zero = builder.constant(node, 2, "zero points").integers();
  }
  const bool is_by_axis = scale.size() != 1;
  const std::size_t axis = is_by_axis ? axis_of(node.integer("axis", 1), codes.dims.size()) : 0;
  check(zero.size() == scale.size() && (!is_by_axis || static_cast<std::int64_t>(scale.size()) == codes.dims[axis]),
        "it has ", scale.size(), " scales and ", zero.size(), " zero points for codes ", to_text(codes.dims));
  const std::vector<std::int64_t> numbers = codes.integers();
  const std::size_t inner = is_by_axis ? product(codes.dims, axis + 1, codes.dims.size()) : 1;
  std::vector<float> values(numbers.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t channel = is_by_axis ? i / inner % scale.size() : 0;
    values[i] = scale[channel] * static_cast<float>(numbers[i] - zero[channel]);
  }
  builder.give_constant(node, Array::of({}, codes.dims, values));
}

void give_reshaped_constant(Builder& builder, const Node& node) {
  const Array& array = builder.constant(node, 0, "values");
  Dims dims;
  if (node.op == "Reshape") {
    dims = builder.constant(node, 1, "new shape").integers();
    for (std::size_t i = 0; i < dims.size(); ++i) {
      dims[i] = dims[i] == 0 && i < array.dims.size() ? array.dims[i] : dims[i];
    }
    const auto open = std::ranges::find(dims, -1);
    if (open != dims.end()) {
      *open = 1;
      const std::int64_t rest = elements_of(dims);
      check(rest > 0, "its new shape is ", to_text(dims));
      *open = array.elements() / rest;
    }
  } else {
    std::vector<std::int64_t> axes = builder.integers(node, 1, "axes").value_or(std::vector<std::int64_t>());
    const bool adds = node.op == "Unsqueeze";
    const std::size_t rank = array.dims.size() + (adds ? axes.size() : 0);
    std::vector<bool> is_named(rank, false);
    for (const std::int64_t axis : axes) {
      is_named[axis_of(axis, rank)] = true;
    }
    std::size_t next = 0;
    for (std::size_t i = 0; i < rank; ++i) {
      const bool drops = !adds && (is_named[i] || (axes.empty() && array.dims[i] == 1));
      check(!adds || is_named[i] || next < array.dims.size(), "it names an axis twice");
      if (!drops) {
        dims.push_back(adds && is_named[i] ? 1 : array.dims[adds ? next++ : i]);
      }
    }
  }
  check(elements_of(dims) == array.elements(), "its new shape ", to_text(dims), " does not keep the ", array.elements(),
        " elements");
  builder.give_constant(node, with_dims(array, dims));
}

void give_shape(Builder& builder, const Node& node) {
  const Value& x = builder.in(node, 0);
  std::vector<std::int64_t> extents;
  if (x.constant) {
    extents = x.constant->dims;
  } else {
    extents = x.dims;
    extents.insert(extents.begin(), kBatch);
  }
  const auto count = static_cast<std::int64_t>(extents.size());
  const auto bounded = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + count : at, 0, count); };
  const std::int64_t begin = bounded(node.integer("start", 0)), end = bounded(node.integer("end", count));
  extents = begin < end ? std::vector(extents.begin() + begin, extents.begin() + end) : std::vector<std::int64_t>();
  builder.give_constant(node, Array::of({}, {static_cast<std::int64_t>(extents.size())}, extents));
}

void give_written(Builder& builder, const Node& node) {
  if (const Array* const array = node.array("value")) {
    builder.give_constant(node, *array);
  } else if (node.has("value_float")) {
    builder.give_constant(node, Array::of({}, {}, std::vector<float>{node.real("value_float", 0.0F)}));
  } else if (node.has("value_int")) {
    builder.give_constant(node, Array::of({}, {}, std::vector<std::int64_t>{node.integer("value_int", 0)}));
  } else if (node.has("value_floats")) {
    const std::vector<float> values = node.reals("value_floats", {});
    builder.give_constant(node, Array::of({}, {static_cast<std::int64_t>(values.size())}, values));
  } else {
    check(node.has("value_ints"), "it is a constant of texts, or sparse");
    const std::vector<std::int64_t> values = node.integers("value_ints", {});
    builder.give_constant(node, Array::of({}, {static_cast<std::int64_t>(values.size())}, values));
  }
}

}  // namespace

bool give_folded(Builder& builder, const Node& node) {
  if (!builder.in(node, 0).constant) {
    return false;
  }
  if (node.op == "Transpose") {
    const Array& array = *builder.in(node, 0).constant;
    Dims reversed(array.dims.size());
    std::iota(reversed.rbegin(), reversed.rend(), 0);
    builder.give_constant(node, transposed(array, node.integers("perm", reversed)));
  } else if (node.op == "Cast") {
    give_cast(builder, node);
  } else if (node.op == "Concat") {
    give_joined(builder, node);
  } else if (node.op == "QuantizeLinear" || node.op == "DequantizeLinear") {
    give_dequantized(builder, node);
  } else {
    give_reshaped_constant(builder, node);
  }
  return true;
}

void add_constants(Operations& table) {
  table["Constant"] = give_written;
  table["Shape"] = give_shape;
  table["Gather"] = give_gathered;
  table["Slice"] = give_slice;
}

const Operations& operations() {
  static const Operations table = [] {
    Operations all;
    add_products(all);
    add_norms(all);
    add_pools(all);
    add_shapes(all);
    add_constants(all);
    add_functions(all);
    return all;
  }();
  return table;
}

std::string key_of(const Node& node) { return node.domain.empty() ? node.op : node.domain + "." + node.op; }

}  // namespace detent::onnx
