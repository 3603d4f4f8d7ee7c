#pragma once

#include <span>
#include <string>
#include <string_view>

#include "detent/interchange/c/layers/layers.h"
#include "detent/kernels/codes/targets/rounding_target.h"

namespace detent::interchange::c {

struct ProductConstants;

/// Writes the steps of a program, an operation a function: those of codes in layers.cpp, those of numbers in
/// number_layers.cpp.
class LayerWriter {
 public:
  LayerWriter(const Program& program, Requantize requantize, Identifiers& names, Layers& layers)
      : program_(program), requantize_(requantize), names_(names), layers_(layers) {}

  Layer write(std::size_t index);

  void operator()(const runtime::Quantize& quantize);
  void operator()(const runtime::Dequantize& dequantize);
  void operator()(const runtime::Product& product);
  void operator()(const runtime::HybridProduct& product);
  void operator()(const runtime::Add& add);
  void operator()(const runtime::Concat& concat);
  void operator()(const runtime::Pool& pool);
  void operator()(const runtime::Lookup& lookup);
  void operator()(const runtime::Softmax& softmax);
  void operator()(const runtime::Activation& activation);
  void operator()(const runtime::BatchNorm& norm);
  /// What is no step.
  void operator()(const runtime::Reshape& reshape);
  void operator()(const runtime::Custom& custom);

 private:
  using ValueType = runtime::ValueType;

  const ValueType& type(std::size_t i) const { return program_.type(node_->inputs[i]); }
  const ValueType& out() const { return node_->output; }
  ScaleZero map(std::size_t i) const { return type(i).qparams->tensor(); }
  const std::string& in(std::size_t i = 0) const { return program_.address[node_->inputs[i]]; }
  const std::string& y() const { return program_.address[program_.model->value_of(index_)]; }
  const std::string& scratch() const { return program_.scratch[index_]; }
  std::string elements() const { return number(out().shape.elements()); }
  std::int64_t channels() const { return out().shape.extents().back(); }
  bool is_fixed() const { return requantize_ == Requantize::Fixed; }
  kernels::RoundingTarget target() const {
    return is_fixed() ? kernels::RoundingTarget::Tflite : kernels::RoundingTarget::Detent;
  }

  void use(const std::string& kernel) { layers_.kernels.insert(kernel); }
  void call(const std::string& text) { layer_.calls += "  " + text + ";\n"; }
  template <typename T>
  std::string define(std::span<const T> values, const std::string& suffix) {
    const std::string name = names_.take(layer_.name + "_" + suffix);
    layer_.definitions += array(name, values);
    layer_.constant_bytes += static_cast<std::int64_t>(values.size_bytes());
    return name;
  }
  void describe(const kernels::ConvShape& shape, bool is_depthwise, std::string_view more);
  void take_constants(const ProductConstants& constants);
  void product_of_numbers(const ProductConstants& constants, const kernels::ConvShape& shape);
  void define_window(const kernels::PoolShape& shape);
  void average_of_codes(const runtime::Pool& pool);

  const Program& program_;
  Requantize requantize_;
  Identifiers& names_;
  Layers& layers_;
  const runtime::Node* node_ = nullptr;
  std::size_t index_ = 0;
  Layer layer_ = {};
};

}  // namespace detent::interchange::c
