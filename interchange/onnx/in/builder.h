#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "detent/core/error.h"
#include "detent/interchange/onnx/in/import.h"

namespace detent::onnx {

/// Stands in constants for the extent of the batch: what Shape gives of a value.
inline constexpr std::int64_t kBatch = std::numeric_limits<std::int64_t>::min();
/// The most elements of an example anywhere in a model, and of a row that was an image, whose order is kept.
inline constexpr std::int64_t kLargestExample = std::int64_t{1} << 27;
inline constexpr std::int64_t kLargestRow = std::int64_t{1} << 24;

using Dims = std::vector<std::int64_t>;
using ValueId = std::size_t;
/// y of its arguments, element by element.
using Function = std::function<double(std::span<const double>)>;

/// A value of the format while its graph is imported: a constant, or what is computed for each example. The latter is a
/// value of the graph, or a function of one that becomes one only if somebody else than another function reads it.
struct Value {
  std::string name = {};
  const Node* node = nullptr;  ///< that gives it
  bool is_failed = false;      ///< its node could not be imported
  std::optional<Array> constant = {};

  Dims dims = {};  ///< of one example, as the format has them
  /// Whether `dims` are [C, H, W] where the graph has [H, W, C], or [C] where H and W are 1.
  bool channels_first = false;
  /// Of a row: element i in the graph is element order[i] in the format. Null: the same order.
  std::shared_ptr<const std::vector<std::int64_t>> order = nullptr;
  Padding2d padding = 0;  ///< zeros around it, which are in `dims`, and left to its reader

  std::optional<nn::Graph::Handle> handle = {};
  Function function = {};
  std::vector<ValueId> arguments = {};  ///< of `function`
  ValueId root = 0;                     ///< what it is a function of in the end; itself if it is none
  int depth = 0;                        ///< functions between it and `root`
};

/// Thrown where something depends on a node that was reported already.
struct Skipped {};

/// The graph in the making, for the functions that import operations.
class Builder {
 public:
  Builder(const Model& model, const ImportOptions& options);
  Imported run() &&;

  nn::Graph graph;
  std::vector<std::string> remarks;

  /// The version of the node's operations.
  std::int64_t opset() const { return opset_; }
  /// The batch size that the file is fixed to; -1: any.
  std::int64_t batch() const { return batch_; }

  /// Input i of a node. Throws Error if nothing before the node gives it, Skipped if what gives it failed.
  const Value& in(const Node& node, std::size_t i);
  ValueId id(const Node& node, std::size_t i);
  const Value& value(ValueId id) const { return values_[id]; }
  /// The same, which must be computed, and without padding that its reader would have to add.
  const Value& computed(const Node& node, std::size_t i, bool may_be_padded = false);
  /// The same, which must be a constant. `what` is what messages call it: "weights".
  const Array& constant(const Node& node, std::size_t i, const char* what);
  /// Input i, or else the attribute, as newer and older versions of an operation say it.
  std::optional<std::vector<std::int64_t>> integers(const Node& node, std::size_t i, std::string_view attribute);

  /// The value in the graph: of a function, its module is made now. Throws Skipped.
  nn::Graph::Handle at(ValueId id);
  nn::Graph::Handle at(const Node& node, std::size_t i) { return at(id(node, i)); }
  /// Its shape there.
  const Shape& shape(const Node& node, std::size_t i) { return graph.node(at(node, i)).shape; }

  /// Adds a module that is called as its weights (input `weight`) or its node are, or as its kind if that is 0.
  nn::Graph::Handle add(const Node& node, std::shared_ptr<nn::Module> module, std::vector<nn::Graph::Handle> inputs,
                        std::size_t weight = 0);

  /// Says what output 0 of the node is.
  void give(const Node& node, Value value);
  void give(const Node& node, nn::Graph::Handle handle, Dims dims, bool channels_first);
  /// A value laid out as `like`.
  void give_like(const Node& node, nn::Graph::Handle handle, const Value& like);
  void give_constant(const Node& node, Array array);
  /// The same value under another name.
  void give_same(const Node& node, std::size_t i = 0);

  /// The one node that reads output 0 of `node`, if it has this operation; else null.
  const Node* sole_reader(const Node& node, std::string_view op) const;
  /// Makes `node` one that was imported with `with`: its output is that of `with`.
  void take_in(const Node& node, const Node& with);
  /// Passes over an operation between real numbers and codes: what it gives is its input, called codes if it quantizes.
  void pass_over_quantization(const Node& node, bool gives_codes);
  bool are_codes(const std::string& name) const { return codes_.contains(name); }

 private:
  void check_opset();
  /// Whether an operation, of this kind unless that is "", gives the value.
  bool is_given(const std::string& name, std::string_view op) const;
  std::string chosen_output();
  /// What the softmax takes that gives `output`, as it is or under another name; "": no softmax gives it.
  std::string scores_of(std::string output) const;
  void find_needed(const std::string& output);
  void add_inputs();
  nn::Graph::Handle add_input(const Shape& shape, const std::string& name);
  void import(const Node& node);
  void report(const Node& node, const std::string& problem);
  void fail_with_problems() const;
  void set(const std::string& name, Value value);
  std::optional<std::vector<double>> table(ValueId id, ValueId base) const;
  std::vector<ValueId> bases_of(ValueId id) const;
  std::string name_for(const Node& node, std::size_t weight) const;

  const Model& model_;
  const ImportOptions& options_;
  std::int64_t opset_ = 0;
  std::int64_t batch_ = -1;
  std::vector<Value> values_;
  std::map<std::string, ValueId> by_name_;
  std::set<const Node*> needed_;
  std::map<std::string, std::vector<const Node*>> readers_;
  std::map<const Node*, const Node*> taken_in_;
  struct Problem {
    std::string op = {}, text = {};
    std::vector<std::string> nodes = {};
  };
  std::vector<Problem> problems_;
  std::int64_t quantized_ = 0;
  std::set<std::string> codes_;  // names of what QuantizeLinear gives
};

/// "[1, 28, 28]"
std::string to_text(const Dims& dims);
/// An axis that counts from the end if it is negative. Throws Error unless it is one of `rank`.
std::size_t axis_of(std::int64_t axis, std::size_t rank);
/// Elements of an example of these extents.
std::int64_t elements_of(const Dims& dims);
/// Weights as f32, finite. Throws Error otherwise.
std::vector<float> finite_reals(const Array& array, const char* what);

}  // namespace detent::onnx
