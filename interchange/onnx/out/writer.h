#pragma once

#include <map>
#include <string>
#include <vector>

#include "detent/interchange/onnx/model.h"
#include "detent/interchange/onnx/out/export.h"
#include "detent/runtime/model.h"

namespace detent::onnx {

using Numbers = std::vector<std::int64_t>;

inline constexpr std::int64_t kFirstOpsetWritten = 13;
/// The first that has int4 and scales by blocks.
inline constexpr std::int64_t kOpsetOfBlocks = 21;

/// A model of the format in the making.
class Writer {
 public:
  Writer(const runtime::Model& source, std::int64_t opset, Form form) : source_(source), opset_(opset), form_(form) {}

  Model made;

  std::int64_t opset() const { return opset_; }
  Form form() const { return form_; }
  const runtime::ValueType& type(runtime::ValueId value) const { return source_.type(value); }
  const std::string& name(runtime::ValueId value) const { return source_.name(value); }

  /// A value as operations take it that move elements only: codes, or in the QDQ form real numbers.
  std::string unchanged(runtime::ValueId value) { return form_ == Form::Qdq ? real(value) : name(value); }
  /// A value as real numbers: of codes they are dequantized, once for all who read them.
  std::string real(runtime::ValueId value);
  /// Real numbers called `output` of a value of codes.
  std::string dequantize(runtime::ValueId value, const std::string& output);
  /// Adds an operation that gives `output`, and returns that name.
  std::string node(std::string op, std::vector<std::string> inputs, std::string output,
                   std::vector<Attribute> attributes = {});
  /// Adds a constant, and returns its name.
  std::string constant(Array array);
  std::string constant(const std::string& name, float value) {
    return constant(Array::of(name, {}, std::vector{value}));
  }

  /// Gives `value` what the real numbers `from` are: quantizes them if it is of codes.
  void finish(runtime::ValueId value, const std::string& from);
  /// Gives `value` what the operation that was added last gives, made of what `unchanged` gave.
  void finish_unchanged(runtime::ValueId value);
  /// The constants of a value's map: its scale and its zero point.
  std::vector<std::string> map_of(runtime::ValueId value);
  /// A name for what stands between the operations that make up one: of real numbers that `finish` takes.
  std::string between(runtime::ValueId value, const std::string& what) const { return name(value) + "/" + what; }

 private:
  const runtime::Model& source_;
  std::int64_t opset_;
  Form form_;
  std::map<runtime::ValueId, std::string> reals_;
  std::map<runtime::ValueId, std::vector<std::string>> maps_;
};

/// The extents that a value has in the format, the batch open: [N, C, H, W] of [H, W, C].
ValueInfo info_of(const std::string& name, const runtime::ValueType& type);

/// Adds what makes up one node of the source, whose value is `value`.
void write_product(Writer& writer, const runtime::Node& node, const runtime::Product& product, runtime::ValueId value);
void write_product(Writer& writer, const runtime::Node& node, const runtime::HybridProduct& product,
                   runtime::ValueId value);
void write_activation(Writer& writer, const runtime::Node& node, const runtime::Activation& activation,
                      runtime::ValueId value);

/// Adds a node between codes as the QOperator and Integer forms have it; false: it is written as in the QDQ form.
bool write_of_codes(Writer& writer, const runtime::Node& node, runtime::ValueId value);
bool write_product_of_codes(Writer& writer, const runtime::Node& node, const runtime::Product& product,
                            runtime::ValueId value);
/// Gives `value` the codes clamp(rne(sum + zero_point)) of real numbers `sum` in units of its scale.
void finish_sum(Writer& writer, runtime::ValueId value, std::string sum, bool relu);
/// table[codes] as `output`.
void write_table(Writer& writer, const std::string& codes, Array table, const std::string& output);

}  // namespace detent::onnx
