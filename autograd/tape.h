#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "detent/autograd/lazy_gradient.h"
#include "detent/core/profiler.h"
#include "detent/core/tensor.h"

namespace detent::autograd {

class Tape;

using NodeId = std::uint32_t;
inline constexpr NodeId kNoNode = std::numeric_limits<NodeId>::max();

/// A value on a tape: what ops take and return. Cheap to copy; valid as long as its tape.
class Variable {
 public:
  Variable() = default;
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  DType dtype() const { return value_.dtype(); }
  Tape& tape() const { return *tape_; }
  bool needs_grad() const { return id_ != kNoNode; }
  NodeId id() const { return id_; }

 private:
  friend class Tape;
  Variable(Tape* tape, NodeId id, Tensor value) : tape_(tape), id_(id), value_(std::move(value)) {}
  Tape* tape_ = nullptr;
  NodeId id_ = kNoNode;
  Tensor value_;
};

/// What an op's backward lambda sees: the gradient of its output, and where to put the gradients of its inputs.
class Backward {
 public:
  /// dL/dy of the op's output.
  const Tensor& dy() const;
  /// The same as the op behind gave it, if that is a `Gradient`, a class of lazy gradients, and nothing was added to
  /// it; null otherwise. It ends with the first call of `dy`.
  template <typename Gradient>
  const Gradient* lazy_dy() const {
    return dynamic_cast<const Gradient*>(any_lazy_dy());
  }
  /// Whether anybody wants the gradient of input `input`.
  bool needs(std::size_t input) const;
  /// If the gradient of input `input` is wanted: computes it, a Tensor or a std::unique_ptr of a LazyGradient, and adds
  /// it. The only place where gradients are checked and summed. A gradient has its value's shape; its type is the
  /// value's, or f32 or bf16 where the value holds codes or low-precision numbers.
  template <typename Fn>
  void grad(std::size_t input, Fn&& compute) {
    if (needs(input)) {
      accumulate(input, compute());
    }
  }
  /// Memory for temporaries and gradients.
  Arena* arena() const;
  Tape& tape() const { return tape_; }

 private:
  friend class Tape;
  Backward(Tape& tape, NodeId node) : tape_(tape), node_(node) {}
  void accumulate(std::size_t input, Tensor gradient);
  void accumulate(std::size_t input, std::unique_ptr<const LazyGradient> gradient);
  const LazyGradient* any_lazy_dy() const;
  Tape& tape_;
  NodeId node_;
};

/// The record of one step, for reverse-mode differentiation. It is append-only, so the reverse of the order in which
/// nodes were made is topological already: `backward` is a loop.
class Tape {
 public:
  enum class Mode : std::uint8_t { Record, Inference };

  /// `arena` gives memory to all values and gradients; null: the heap. In mode Inference nothing is recorded.
  explicit Tape(Arena* arena = nullptr, Mode mode = Mode::Record) : arena_(arena), mode_(mode) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Arena* arena() const { return arena_; }
  bool is_recording() const { return mode_ == Mode::Record; }
  /// Who measures this step; null: nobody. It must outlive the tape.
  Profiler* profiler() const { return profiler_; }
  void set_profiler(Profiler* profiler) { profiler_ = profiler; }
  /// A tensor of this step, not initialized.
  Tensor empty(Shape shape, DType dtype = DType::F32) const { return Tensor::empty(std::move(shape), dtype, arena_); }

  /// A value that wants no gradient.
  Variable constant(Tensor value) { return {this, kNoNode, std::move(value)}; }
  /// A value whose gradient can be asked for with `gradient` after `backward`.
  Variable variable(Tensor value);
  /// A leaf whose gradient is added to `*gradient` (assigned if that is undefined), such as a parameter's.
  /// `*gradient` must outlive the tape.
  Variable parameter(const Tensor& value, Tensor* gradient);

  /// The value of an op, and how its gradient flows. `inputs` are the op's inputs in order; nothing is stored if none
  /// of them wants a gradient. `backward` captures what it needs: its capture list is the list of what is saved.
  Variable record(std::string_view name, Tensor value, std::vector<Variable> inputs,
                  std::function<void(Backward&)> backward);

  /// Runs the tape in reverse from `loss`, starting with `seed` (default: 1). REQUIRES: loss has one element unless a
  /// seed is given. A tape can be run backward once; throws Error the second time.
  void backward(const Variable& loss, double seed = 1.0);
  void backward(const Variable& output, Tensor seed);

  /// The gradient of a leaf made by `variable`, after `backward`; undefined if none flowed.
  Tensor gradient(const Variable& variable) const;

  /// How many nodes were recorded.
  std::size_t size() const { return nodes_.size(); }

 private:
  friend class Backward;
  struct Lazy {
    std::unique_ptr<const LazyGradient> gradient;
    std::string_view from;  // the op that gave it
    std::size_t input;      // of that op
  };
  struct Node {
    std::string_view name;  // a literal: op names live for ever
    std::vector<NodeId> inputs;
    std::function<void(Backward&)> backward;
    Shape shape;
    DType dtype;
    Tensor gradient;
    Lazy lazy;  // the gradient, as long as nobody needs the tensor
    Tensor* sink = nullptr;
    std::size_t profiled_row = 0;  // of the module that recorded it
  };
  void add_gradient(NodeId id, Tensor gradient, std::string_view from, std::size_t input);
  const Tensor& dense_gradient(NodeId id);

  Arena* arena_;
  Mode mode_;
  Profiler* profiler_ = nullptr;
  bool ran_backward_ = false;
  std::vector<Node> nodes_;
};

}  // namespace detent::autograd
