#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <typeindex>
#include <typeinfo>
#include <vector>

#include "detent/autograd/tape.h"
#include "detent/core/philox.h"

namespace detent::nn {

using autograd::Tape;
using autograd::Variable;

/// A trained tensor: an f32 master value, and its gradient between backward and the optimizer's step.
struct Parameter {
  Tensor value = {};
  Tensor gradient = {};  ///< undefined until a backward pass reached it
  bool decay = true;     ///< whether weight decay applies: true for weights, false for biases and norms
};

/// What a module owns: one entry of the list from which parameters, saving, loading, summaries and passes come.
struct Slot {
  std::string name;          ///< "weight"
  Tensor* tensor;            ///< the value; may be undefined where the module is not initialized yet
  Parameter* parameter;      ///< the parameter that `tensor` is the value of; null for state such as running statistics
  Shape shape = {0};         ///< what a file must hold for it; without elements: not known, any shape
  DType dtype = DType::F32;  ///< likewise
  bool is_code = false;      ///< whether it was a parameter once, and is fixed now: the codes of weights and biases
  bool is_optional = false;  ///< whether a file may lack it: the tensor then stays as the module was made
};

/// What a forward pass runs in: the tape of the step, and whether the network is training.
struct Context {
  Tape& tape;
  bool training = false;
  DType product_dtype = DType::F32;  ///< the type of the factors of float products: F32, BF16, F16
  std::uint64_t seed = 0;            ///< of dropout masks
  std::uint64_t step = 0;            ///< the number of the training step: the index of dropout masks
  std::string_view node = {};        ///< the node that runs, set by Graph::forward: the key of its random numbers
};

/// A layer. It names what it owns once, in `slots`.
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// The name of the module's kind, in tables, files and passes: "conv2d".
  virtual std::string_view kind() const = 0;
  /// What, with the kind, makes the module again: {"out_channels": 32, ...}.
  virtual nlohmann::json options() const = 0;
  /// What tables and default names call it: the kind, or something closer ("relu" for an activation).
  virtual std::string_view label() const { return kind(); }
  /// The name of its first node, set by Graph::add; "" before.
  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }

  /// Called by Graph::add with the shapes of its inputs: takes from them what the options left open (`in_channels`).
  /// Throws Error for a shape that does not fit.
  virtual void bind(std::span<const Shape> inputs) { (void)inputs; }
  /// The shape of one example after the module. Throws Error for a shape that does not fit.
  virtual Shape output_shape(std::span<const Shape> inputs) const = 0;
  virtual Variable forward(Context& context, std::span<const Variable> inputs) = 0;

  /// Everything that it owns, in the order in which it is saved.
  virtual std::vector<Slot> slots() { return {}; }
  /// Called after slots were set from a file or another module: checks what shapes alone do not say, and drops what
  /// was derived from the old ones.
  virtual void loaded() {}
  /// Sets initial weights, in the memory of those that it has. `random` belongs to this module alone.
  virtual void initialize(RandomStream& random) { (void)random; }
  /// Multiply-adds of one example.
  virtual std::int64_t multiply_adds(std::span<const Shape> inputs) const {
    (void)inputs;
    return 0;
  }
  /// How many inputs it takes.
  virtual std::size_t arity() const { return 1; }

 private:
  std::string name_;
};

/// The random numbers of a use of `module` in this step: a function of the context's seed and step, `purpose` and the
/// node that runs (outside of a graph: the module's name).
RandomStream random_of(const Context& context, const Module& module, std::string_view purpose);
/// The class of a module: what tables of rules go by, so that a module of another class that has a known kind's name is
/// not taken for one of it.
inline std::type_index type_of(const Module& module) { return typeid(module); }

/// `module` as an `M`, if it is one and not of a class derived from it; else null.
template <typename M, typename Base>
M* exactly(Base* module) {
  return module != nullptr && type_of(*module) == typeid(M) ? static_cast<M*>(module) : nullptr;
}

/// The parameter as a leaf of the step's tape. Throws Error if it has no value yet.
Variable on_tape(Context& context, const Module& owner, Parameter& parameter);
/// Gives `tensor` zeros of this shape, in f32; in the memory that it has if the shape is the same.
void allocate(Tensor& tensor, const Shape& shape);
/// The elements of its parameters, whatever their type: weights and biases that became codes count, too. Of a module
/// without weights yet, what they will be.
std::int64_t parameter_count(Module& module);

/// A parameter by its owner's path, "conv1.weight". It keeps the module that owns it alive.
struct NamedParameter {
  std::string name;
  std::shared_ptr<Parameter> parameter;
};

}  // namespace detent::nn
