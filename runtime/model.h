#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "detent/core/memory.h"
#include "detent/core/tensor.h"
#include "detent/kernels/layers/activation.h"
#include "detent/kernels/layers/pool.h"
#include "detent/kernels/product/conv.h"

/// What ships: a short list of typed operations on values. Execution (runtime/plan.h), files (runtime/model_file.h) and
/// every exporter come from this one description. The arithmetic of each operation is that of docs/numerics.md.
namespace detent::runtime {

/// What a value is: the shape of one example, the type of its elements and, where they are codes, their map.
struct ValueType {
  Shape shape = {};
  DType dtype = DType::F32;                          ///< F32, or U8 for codes
  std::shared_ptr<const QParams> qparams = nullptr;  ///< of codes
  bool is_codes() const { return qparams != nullptr; }
};

/// f32 to codes on the output's map.
struct Quantize {};
/// Codes to f32.
struct Dequantize {};

/// A convolution, or a linear layer: its images are then one pixel.
///
///   codes   y_q = requantize(sum (x_q - x_zp) * w_q + bias), ReLU as the lower clamp
///   f32     y = x * weight + bias, then `+ inputs[1]` if there is a second input, then ReLU if `relu`
struct Product {
  kernels::ConvShape shape = {};  ///< n = 1
  Tensor weight = {};  ///< O KH KW I, or O I: s8 codes with their QParams; f32; bf16, to which x is rounded, too
  Tensor bias = {};    ///< [O]: s32 in units of s_x * s_w[o], within +-2^30, or f32; undefined: none
  bool relu = false;
};

/// A product of f32 whose weights are codes, of f32: the codes of the input, if it has some, are made as it runs.
///
///   dynamic       one map an example, of its own finite values alone (kernels/product/hybrid/dynamic_product.h):
///                 y = (sum over groups g of float(sum (x_q - x_zp) * w_q) * s_w[o, g]) * s_x + bias, then ReLU
///   weight-only   y = sum over groups g of s_w[o, g] * (sum x * w_q) + bias, then ReLU; of an `input` of bf16 each x
///   is
///                 rounded to that first
///
/// An example's result never depends on the batch that it is in.
struct HybridProduct {
  kernels::ConvShape shape = {};  ///< n = 1
  Tensor weight = {};             ///< O KH KW I, or O I: s8 codes that carry their QParams
  Tensor bias = {};               ///< f32 [O]; undefined: none
  bool relu = false;
  std::optional<CodeRange> dynamic = {};  ///< the codes that the input gets, u8; none: weight-only
  DType input = DType::F32;               ///< of weight-only: F32, or BF16
};

/// a + b, of one shape, then ReLU if `relu`: codes on any maps, or f32.
struct Add {
  bool relu = false;
};

/// Its inputs one behind the other along the last axis: f32, or codes, each brought to the output's map.
struct Concat {};

enum class PoolKind : std::uint8_t { Max, Average };
/// Windows of images [H, W, C]. Max gives codes on the map that it gets them on. The output may have fewer axes than
/// [OH, OW, C] (a global average gives [C]), with the same elements.
struct Pool {
  PoolKind kind = PoolKind::Max;
  kernels::PoolShape shape = {};  ///< n = 1
};

/// Any function of one value, of codes: y_q = table[x_q]. u8 [256], or [C, 256] for a table a channel (the last axis).
struct Lookup {
  Tensor table = {};
};

/// exp(x) / sum exp(x) over the last axis, the channels: f32, or codes (kernels/codes/softmax_codes.h), whose table
/// holds the exponentials of 256 differences of codes of the input's map.
struct Softmax {
  Tensor table = {};  ///< of codes: s32 [256], in units of 2^-30, the first 2^30; of f32: undefined
};

/// The same elements under the output's shape.
struct Reshape {};

/// y = f(x) of f32.
struct Activation {
  kernels::Activation function = kernels::Activation::Relu;
  double slope = kernels::kLeakySlope;
};

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias of f32, a value a channel (the last axis): a batch norm
/// that no product could take in.
struct BatchNorm {
  Tensor mean = {}, variance = {};  ///< f32 [C]
  Tensor weight = {}, bias = {};    ///< f32 [C]; undefined: 1 and 0
  double epsilon = 1e-5;
};

/// An operation that this list does not have: of a module that a user defined. Immutable.
class CustomOp {
 public:
  virtual ~CustomOp() = default;
  /// The name by which a file finds it again, what it is made from, and the tensors that are saved with it.
  virtual std::string_view kind() const = 0;
  virtual nlohmann::json options() const = 0;
  virtual std::map<std::string, Tensor> tensors() const { return {}; }
  /// The result for a whole batch, [N, ...output shape], of the output's type and map. `arena` gives memory. Called by
  /// any thread, and by several at once.
  virtual Tensor run(std::span<const Tensor> inputs, const ValueType& output, Arena* arena) const = 0;
};
struct Custom {
  std::shared_ptr<const CustomOp> op = nullptr;
};

/// A closed set: who adds an operation is told by the compiler where an executor, a file or an exporter lacks it.
using Op = std::variant<Quantize, Dequantize, Product, HybridProduct, Add, Concat, Pool, Lookup, Reshape, Activation,
                        BatchNorm, Softmax, Custom>;
/// "quantize", "product", "custom": what files and messages call it.
std::string_view name_of(const Op& op);
/// The geometry of a product of any kind; null: it is none.
const kernels::ConvShape* product_shape(const Op& op);
/// Its weights, or null.
const Tensor* product_weight(const Op& op);

/// A value of a model: its inputs come first, then what its nodes give, in their order.
using ValueId = std::size_t;

struct Node {
  std::string name = {};
  Op op = {};
  std::vector<ValueId> inputs = {};
  ValueType output = {};
  std::string note = {};  ///< why it stayed in float, where it did
};

struct Input {
  std::string name = {};
  ValueType type = {};
};

/// Inputs, and nodes in an order in which they can run. Cheap to copy: tensors share their memory, and nobody writes to
/// them.
struct Model {
  std::vector<Input> inputs = {};
  std::vector<Node> nodes = {};
  ValueId output = 0;

  std::size_t values() const { return inputs.size() + nodes.size(); }
  const ValueType& type(ValueId value) const;
  const std::string& name(ValueId value) const;
  /// The node that gives `value`; null for an input.
  const Node* node_of(ValueId value) const;
  ValueId value_of(std::size_t node) const { return inputs.size() + node; }
  /// Whether a value between its operations is codes, and computed with.
  bool is_integer() const;
  /// Throws Error, naming the node and what is wrong, unless every operation has the inputs, types, shapes and tensors
  /// that it wants, maps are maps, codes lie in their ranges, biases within +-2^30, and real numbers are finite.
  void validate() const;
};

}  // namespace detent::runtime
