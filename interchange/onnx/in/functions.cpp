// Operations that work element by element.
#include <algorithm>
#include <cmath>
#include <limits>

#include "detent/interchange/onnx/in/operations.h"
#include "detent/nn/modules/add.h"
#include "detent/nn/modules/concat.h"
#include "detent/nn/modules/softmax.h"

namespace detent::onnx {
namespace {

/// Functions of functions are looked through so deep; gelu in parts has five.
constexpr int kDeepest = 12;

using Arguments = std::span<const double>;

double sigmoid_of(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double gelu_of(double x) { return x * (1.0 + std::erf(x / std::sqrt(2.0))) / 2.0; }
double tanh_gelu_of(double x) {
  return x * (1.0 + std::tanh(std::sqrt(2.0 / std::acos(-1.0)) * (x + 0.044715 * x * x * x))) / 2.0;
}
double hard_sigmoid_of(double x, double alpha, double beta) { return std::clamp(alpha * x + beta, 0.0, 1.0); }

/// The function that a node is of its inputs that are computed; of those that are one number it takes in the value.
Function function_of(const Node& node) {
  const std::string& op = node.op;
  const auto alpha = [&](float other) { return static_cast<double>(node.real("alpha", other)); };
  if (op == "Relu") {
    return [](Arguments x) { return std::max(x[0], 0.0); };
  }
  if (op == "LeakyRelu") {
    return [slope = alpha(0.01F)](Arguments x) { return x[0] > 0.0 ? x[0] : slope * x[0]; };
  }
  if (op == "PRelu") {
    return [](Arguments x) { return x[0] > 0.0 ? x[0] : x[1] * x[0]; };
  }
  if (op == "Sigmoid") {
    return [](Arguments x) { return sigmoid_of(x[0]); };
  }
  if (op == "Tanh") {
    return [](Arguments x) { return std::tanh(x[0]); };
  }
  if (op == "Erf") {
    return [](Arguments x) { return std::erf(x[0]); };
  }
  if (op == "Exp") {
    return [](Arguments x) { return std::exp(x[0]); };
  }
  if (op == "Neg") {
    return [](Arguments x) { return -x[0]; };
  }
  if (op == "HardSigmoid") {
    return [a = alpha(0.2F), b = static_cast<double>(node.real("beta", 0.5F))](Arguments x) {
      return hard_sigmoid_of(x[0], a, b);
    };
  }
  if (op == "HardSwish") {
    return [](Arguments x) { return x[0] * hard_sigmoid_of(x[0], 1.0 / 6.0, 0.5); };
  }
  if (op == "Swish") {
    return [a = alpha(1.0F)](Arguments x) { return x[0] * sigmoid_of(a * x[0]); };
  }
  if (op == "Gelu") {
    const bool is_exact = node.text("approximate", "none") == "none";
    return [is_exact](Arguments x) { return is_exact ? gelu_of(x[0]) : tanh_gelu_of(x[0]); };
  }
  if (op == "Clip") {
    return [](Arguments x) { return std::min(std::max(x[0], x[1]), x[2]); };
  }
  if (op == "Add" || op == "Sum") {
    return [](Arguments x) { return x[0] + x[1]; };
  }
  if (op == "Sub") {
    return [](Arguments x) { return x[0] - x[1]; };
  }
  if (op == "Mul") {
    return [](Arguments x) { return x[0] * x[1]; };
  }
  if (op == "Div") {
    return [](Arguments x) { return x[0] / x[1]; };
  }
  if (op == "Min") {
    return [](Arguments x) { return std::min(x[0], x[1]); };
  }
  if (op == "Max") {
    return [](Arguments x) { return std::max(x[0], x[1]); };
  }
  return [](Arguments x) { return std::pow(x[0], x[1]); };  // Pow
}

std::size_t arity_of(const std::string& op) {
  constexpr const char* kOfTwo[] = {"PRelu", "Add", "Sum", "Sub", "Mul", "Div", "Min", "Max", "Pow"};
  return op == "Clip" ? 3 : std::ranges::find(kOfTwo, op) != std::end(kOfTwo) ? 2 : 1;
}

/// An argument of a function: computed, or one number.
struct Argument {
  std::optional<ValueId> id = {};
  double number = 0.0;
};

bool are_alike(const Value& a, const Value& b) {
  const bool same_order = a.order == b.order || (a.order && b.order && *a.order == *b.order);
  return a.dims == b.dims && a.channels_first == b.channels_first && same_order;
}

std::optional<double> number_of(const Value& value) {
  if (value.constant->elements() != 1) {
    return std::nullopt;
  }
  return value.constant->type == ElementType::S64 || value.constant->type == ElementType::S32
             ? static_cast<double>(value.constant->integers()[0])
             : static_cast<double>(value.constant->reals()[0]);
}

/// x + c, x * c and the like with a constant a channel: nothing else is made of constants of several numbers.
void with_constant(Builder& builder, const Node& node, std::size_t x_input) {
  const Value& x = builder.computed(node, x_input);
  const Array& array = *builder.in(node, 1 - x_input).constant;
  const bool is_known = node.op == "Add" || node.op == "Sum" || node.op == "Mul" ||
                        ((node.op == "Sub" || node.op == "Div" || node.op == "PRelu") && x_input == 0);
  const std::optional<std::vector<float>> numbers = is_known ? per_channel(array, x) : std::nullopt;
  check(numbers.has_value(), "its constant '", array.name, "' has the shape ", to_text(array.dims),
        "; expected one number, or one for each of ", channels_of(x),
        " channels of a value that is added or multiplied");
  if (node.op == "PRelu") {
    const bool is_one = std::ranges::all_of(*numbers, [&](float slope) { return slope == numbers->front(); });
    check(is_one, "its slopes differ from channel to channel; Detent's leaky_relu has one");
    const Value like = x;
    Value made{.dims = like.dims,
               .channels_first = like.channels_first,
               .order = like.order,
               .function = [slope = static_cast<double>(numbers->front())](
                               Arguments v) { return v[0] > 0.0 ? v[0] : slope * v[0]; },
               .arguments = {builder.id(node, x_input)},
               .root = like.root,
               .depth = like.depth + 1};
    builder.give(node, std::move(made));
    return;
  }
  std::vector<float> a(numbers->size(), 1.0F), b(numbers->size(), 0.0F);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float c = (*numbers)[i];
    check(node.op != "Div" || c != 0.0F, "it divides by 0");
    a[i] = node.op == "Mul" ? c : node.op == "Div" ? 1.0F / c : 1.0F;
    b[i] = node.op == "Sub" ? -c : node.op == "Mul" || node.op == "Div" ? 0.0F : c;
  }
  give_affine(builder, node, x_input, std::move(a), std::move(b));
}

/// A sum of two values of which neither is a function of the other's root.
void give_sum(Builder& builder, const Node& node) {
  const nn::Graph::Handle a = builder.at(node, 0), b = builder.at(node, 1);
  builder.give_like(node, builder.add(node, std::make_shared<nn::Add>(), {a, b}), builder.in(node, 0));
}

void function(Builder& builder, const Node& node) {
  const std::size_t arity = arity_of(node.op);
  check(node.op != "Sum" || node.inputs.size() == 2, "it adds ", node.inputs.size(), " values; expected 2");
  std::vector<Argument> arguments;
  std::vector<ValueId> computed;
  for (std::size_t i = 0; i < arity; ++i) {
    if (node.op == "Clip" && i > 0 && !node.has_input(i)) {
      const double infinity = std::numeric_limits<double>::infinity();
      arguments.push_back({.number = i == 1 ? -infinity : infinity});
      continue;
    }
    const Value& value = builder.in(node, i);
    if (!value.constant) {
      (void)builder.computed(node, i);
      arguments.push_back({.id = builder.id(node, i)});
      computed.push_back(*arguments.back().id);
    } else if (const std::optional<double> number = number_of(value)) {
      arguments.push_back({.number = *number});
    } else {
      check(arity == 2 && !builder.in(node, 1 - i).constant, "its constant '", node.inputs[i], "' has the shape ",
            to_text(value.constant->dims), "; expected one number");
      with_constant(builder, node, 1 - i);
      return;
    }
  }
  check(!computed.empty(), "all that it is computed from is constant; fold constants when exporting");
  const Value first = builder.value(computed[0]);
  for (const ValueId id : computed) {
    const Value& other = builder.value(id);
    check(are_alike(first, other), "its inputs are ", to_text(first.dims), " and ", to_text(other.dims),
          first.dims == other.dims ? " in two orders" : "", "; expected values of one shape");
    if (other.root != first.root) {
      check(node.op == "Add" || node.op == "Sum",
            "it combines two values that are not functions of one; Detent adds and concatenates values, and no more");
      give_sum(builder, node);
      return;
    }
  }
  Value made{.dims = first.dims, .channels_first = first.channels_first, .order = first.order, .arguments = computed};
  made.function = [of = function_of(node), arguments](Arguments given) {
    double values[3] = {};
    std::size_t next = 0;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      values[i] = arguments[i].id ? given[next++] : arguments[i].number;
    }
    return of(Arguments(values, arguments.size()));
  };
  made.root = first.root;
  for (const ValueId id : computed) {
    made.depth = std::max(made.depth, builder.value(id).depth + 1);
  }
  if (made.depth > kDeepest && computed.size() == 1) {  // what is so deep is no one function
    (void)builder.at(computed[0]);
    made.root = computed[0];
    made.depth = 1;
  }
  check(made.depth <= 2 * kDeepest, "it ends a function of more than ", 2 * kDeepest, " operations");
  builder.give(node, std::move(made));
}

void softmax(Builder& builder, const Node& node) {
  constexpr std::int64_t kFirstOfOneAxis = 13;
  const Value& x = builder.computed(node, 0);
  const bool has_one_axis = builder.opset() >= kFirstOfOneAxis;
  const std::size_t axis = axis_of(node.integer("axis", has_one_axis ? -1 : 1), x.dims.size() + 1);
  const std::size_t channels = x.channels_first ? 1 : x.dims.size();
  const bool is_of_channels = axis == channels && (has_one_axis || elements_of(x.dims) == channels_of(x));
  check(is_of_channels, "it is a softmax over axis ", axis, " of [N, ", to_text(x.dims).substr(1),
        "; expected the channels, axis ", channels);
  const nn::Graph::Handle handle = builder.at(node, 0);
  builder.give_like(node, builder.add(node, std::make_shared<nn::Softmax>(), {handle}), builder.in(node, 0));
}

/// The order of rows one behind the other; null: that of the format.
std::shared_ptr<const std::vector<std::int64_t>> joined_order(Builder& builder, const Node& node) {
  auto order = std::make_shared<std::vector<std::int64_t>>();
  bool is_ordered = false;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    is_ordered = is_ordered || builder.in(node, i).order != nullptr;
  }
  for (std::size_t i = 0; is_ordered && i < node.inputs.size(); ++i) {
    const Value& value = builder.in(node, i);
    const auto offset = static_cast<std::int64_t>(order->size());
    check(offset + value.dims[0] <= kLargestRow, "it makes a row of more than ", kLargestRow, " elements");
    for (std::int64_t k = 0; k < value.dims[0]; ++k) {
      order->push_back(offset + (value.order ? (*value.order)[static_cast<std::size_t>(k)] : k));
    }
  }
  return is_ordered ? order : nullptr;
}

void concat(Builder& builder, const Node& node) {
  if (give_folded(builder, node)) {
    return;
  }
  const Value first = builder.computed(node, 0);
  const std::size_t axis = axis_of(node.integer("axis", 1), first.dims.size() + 1);
  check(axis > 0 && axis == (first.channels_first ? 1 : first.dims.size()), "it joins along axis ", axis,
        "; expected the channels, axis ", first.channels_first ? 1 : first.dims.size());
  Dims dims = first.dims;
  dims[axis - 1] = 0;
  std::vector<nn::Graph::Handle> handles;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Value& value = builder.computed(node, i);
    check(value.dims.size() == dims.size() && value.channels_first == first.channels_first, "it joins ",
          to_text(first.dims), " and ", to_text(value.dims));
    dims[axis - 1] += value.dims[axis - 1];
    handles.push_back(builder.at(node, i));
  }
  auto module =
      std::make_shared<nn::Concat>(nn::Concat::Options{.inputs = static_cast<std::int64_t>(node.inputs.size())});
  Value made{.dims = dims, .channels_first = first.channels_first};
  made.handle = builder.add(node, std::move(module), std::move(handles));
  made.order = joined_order(builder, node);
  builder.give(node, std::move(made));
}

}  // namespace

void add_functions(Operations& table) {
  for (const char* const op :
       {"Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "Erf", "Exp", "Neg", "HardSigmoid", "HardSwish", "Swish",
        "Gelu", "Clip",      "Add",   "Sum",     "Sub",  "Mul", "Div", "Min", "Max",         "Pow"}) {
    table[op] = function;
  }
  table["Softmax"] = softmax;
  table["Concat"] = concat;
}

}  // namespace detent::onnx
