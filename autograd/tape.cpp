#include "detent/autograd/tape.h"

#include <utility>

#include "detent/kernels/layers/elementwise.h"

namespace detent::autograd {
namespace {

bool is_gradient_type(DType value, DType gradient) {
  if (value == gradient) {
    return is_floating(value);
  }
  return value != DType::F64 && (gradient == DType::F32 || gradient == DType::BF16);
}

/// sum += term. Where one is f32 and the other bf16 the sum is f32.
void add_into(Tensor& sum, Tensor term, Arena* arena) {
  if (sum.dtype() != term.dtype()) {
    sum = sum.as(DType::F32, arena);
    term = term.as(DType::F32, arena);
  }
  if (sum.shares_memory()) {
    sum = sum.clone(arena);  // an op may pass its own gradient on, as a view or to several inputs
  }
  kernels::add_in_place(sum.dtype(), sum.elements(), term.raw(), sum.raw());
}

}  // namespace

const Tensor& Backward::dy() const { return tape_.dense_gradient(node_); }

const LazyGradient* Backward::any_lazy_dy() const { return tape_.nodes_[node_].lazy.gradient.get(); }

bool Backward::needs(std::size_t input) const { return tape_.nodes_[node_].inputs.at(input) != kNoNode; }

Arena* Backward::arena() const { return tape_.arena(); }

void Backward::accumulate(std::size_t input, Tensor gradient) {
  const Tape::Node& node = tape_.nodes_[node_];
  tape_.add_gradient(node.inputs[input], std::move(gradient), node.name, input);
}

void Backward::accumulate(std::size_t input, std::unique_ptr<const LazyGradient> gradient) {
  const Tape::Node& from = tape_.nodes_[node_];
  Tape::Node& node = tape_.nodes_[from.inputs[input]];
  const bool is_first = !node.gradient.defined() && !node.lazy.gradient;
  if (is_first && node.backward) {  // a leaf's is for callers, who want tensors
    node.lazy = {.gradient = std::move(gradient), .from = from.name, .input = input};
  } else {
    accumulate(input, gradient->dense(arena()));
  }
}

Variable Tape::variable(Tensor value) { return parameter(value, nullptr); }

Variable Tape::parameter(const Tensor& value, Tensor* gradient) {
  if (!is_recording()) {
    return constant(value);
  }
  nodes_.push_back({.name = "leaf",
                    .inputs = {},
                    .backward = nullptr,
                    .shape = value.shape(),
                    .dtype = value.dtype(),
                    .gradient = {},
                    .lazy = {},
                    .sink = gradient});
  return {this, static_cast<NodeId>(nodes_.size() - 1), value};
}

Variable Tape::record(std::string_view name, Tensor value, std::vector<Variable> inputs,
                      std::function<void(Backward&)> backward) {
  bool wanted = false;
  std::vector<NodeId> ids;
  ids.reserve(inputs.size());
  for (const Variable& input : inputs) {
    check(&input.tape() == this, name, ": an input belongs to another tape");
    wanted |= input.needs_grad();
    ids.push_back(input.id());
  }
  if (!wanted || !is_recording()) {
    return constant(std::move(value));
  }
  nodes_.push_back({.name = name,
                    .inputs = std::move(ids),
                    .backward = std::move(backward),
                    .shape = value.shape(),
                    .dtype = value.dtype(),
                    .gradient = {},
                    .lazy = {},
                    .profiled_row = profiler_ != nullptr ? profiler_->current() : 0});
  return {this, static_cast<NodeId>(nodes_.size() - 1), std::move(value)};
}

void Tape::backward(const Variable& loss, double seed) {
  check(loss.value().elements() == 1, "backward: the loss must have one element, its shape is ", loss.shape(),
        "; reduce it with mean or sum");
  backward(loss, Tensor::full(loss.shape(), loss.dtype(), seed));
}

void Tape::backward(const Variable& output, Tensor seed) {
  check(output.needs_grad(), "backward: nothing that leads here wants a gradient");
  check(!ran_backward_, "backward: this tape was run backward already; record the step on a new tape");
  ran_backward_ = true;
  add_gradient(output.id(), std::move(seed), "backward", 0);
  for (NodeId id = output.id() + 1; id-- > 0;) {
    Node& node = nodes_[id];
    if (node.backward && (node.gradient.defined() || node.lazy.gradient)) {
      const ProfiledScope scope(profiler_, node.profiled_row, Profiler::Phase::Backward);
      Backward context(*this, id);
      node.backward(context);
      // What was saved, and the gradient itself, goes back to the arena as early as possible.
      node.backward = nullptr;
      node.gradient = Tensor();
      node.lazy = {};
    }
  }
}

Tensor Tape::gradient(const Variable& variable) const {
  check(variable.needs_grad(), "gradient: this value wants none");
  return nodes_[variable.id()].gradient;
}

void Tape::add_gradient(NodeId id, Tensor gradient, std::string_view from, std::size_t input) {
  Node& node = nodes_[id];
  check(gradient.shape() == node.shape, from, ": gradient of input ", input, ": expected shape ", node.shape, ", got ",
        gradient.shape());
  check(is_gradient_type(node.dtype, gradient.dtype()), from, ": gradient of input ", input, ": ", gradient.dtype(),
        " does not fit a value of type ", node.dtype);
  dense_gradient(id);
  Tensor& sum = node.sink ? *node.sink : node.gradient;
  if (!sum.defined()) {
    sum = std::move(gradient);
  } else {
    add_into(sum, std::move(gradient), arena_);
  }
}

const Tensor& Tape::dense_gradient(NodeId id) {
  Node& node = nodes_[id];
  if (node.lazy.gradient) {
    const Lazy lazy = std::exchange(node.lazy, {});
    add_gradient(id, lazy.gradient->dense(arena_), lazy.from, lazy.input);
  }
  return node.gradient;
}

}  // namespace detent::autograd
