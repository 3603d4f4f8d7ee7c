#pragma once

#include "detent/kernels/codes/quantize.h"
#include "detent/nn/modules/modules.h"
#include "detent/quant/kinds/qat_modules.h"

/// The modules of a converted graph: integers in, integers out, everything fixed. Quantize, Dequantize and CodeRelu
/// are those of the prepared graph; max-pooling and flatten are nn's.
namespace detent::quant {

/// The fixed map of a module's output, and what it is saved as: output_scale f32 [1], output_zero_point s32 [1].
class FixedMap {
 public:
  explicit FixedMap(int bits);
  explicit FixedMap(const FakeQuant& output);  ///< a copy of its stored map

  int bits() const { return bits_; }
  CodeRange codes() const { return unsigned_codes(bits_); }
  ScaleZero map() const;
  std::shared_ptr<const QParams> qparams() const;
  std::vector<nn::Slot> slots();
  /// Throws Error unless what was loaded is a map.
  void check_loaded() const { qparams()->validate(); }

 private:
  int bits_;
  Tensor scale_;
  Tensor zero_point_;
};

/// A convolution or linear layer in integers: DESIGN section 5 to the letter, by the function that training ran.
///
///   weight             s8 [O, KH, KW, I] or [O, I]   weight_scale f32 [O] or [1], weight_zero_point s32: all 0
///   bias               s32 [O], in units of input_scale * weight_scale[o]; absent where there is none
///   input_scale, input_zero_point, output_scale, output_zero_point   [1]
class Int8Product : public nn::Module {
 public:
  /// What is fixed at conversion.
  struct State {
    QuantizedWeight weight;
    Tensor bias;  ///< s32 [O], or undefined
    ScaleZero input;
  };
  virtual nn::Module& layer() const = 0;
  virtual kernels::ConvShape conv_shape(const Shape& example, std::int64_t batch) const = 0;
  /// The largest |sum| + |bias| of any input: see sum_bound.
  std::int64_t bound() const;
  const Tensor& weight_scale() const { return weight_scale_; }
  /// What its forward pass computes with.
  const Tensor& weight() const { return weight_; }
  CodeRange weight_codes() const { return signed_codes(options_.weight_bits); }
  ScaleZero input_map() const;
  kernels::Requantization requantization() const;

  nlohmann::json options() const override;
  void bind(std::span<const Shape> inputs) override { layer().bind(inputs); }
  Shape output_shape(std::span<const Shape> inputs) const override { return layer().output_shape(inputs); }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override;
  void loaded() override;
  std::int64_t multiply_adds(std::span<const Shape> inputs) const override { return layer().multiply_adds(inputs); }

  /// What a file says of the layer besides its geometry.
  struct Options {
    int weight_bits = 8;
    bool is_per_channel = true;
    bool has_bias = true;
    bool relu = false;
    int output_bits = 8;
  };

 protected:
  explicit Int8Product(const Options& options);
  Int8Product(const Options& options, State state, const FakeQuant& output);

 private:
  void make_plan(const kernels::ConvShape& shape, const Tensor& x);
  QParams weight_qparams() const;

  Options options_;
  Tensor weight_, weight_scale_, weight_zero_point_, bias_, input_scale_, input_zero_point_;
  FixedMap output_;
  // Derived from the above at the first forward pass.
  kernels::PackedWeight packed_;
  kernels::Requantization requantization_;
};

/// The two kinds, by the float layer whose geometry they have (its own weights are never set).
template <typename Layer>
class Int8ProductOf : public Int8Product {
 public:
  Int8ProductOf(std::shared_ptr<Layer> layer, const Options& options)
      : Int8Product(options), layer_(std::move(layer)) {}
  Int8ProductOf(std::shared_ptr<Layer> layer, const Options& options, State state, const FakeQuant& output)
      : Int8Product(options, std::move(state), output), layer_(std::move(layer)) {}
  std::string_view kind() const override;
  Layer& layer() const override { return *layer_; }
  kernels::ConvShape conv_shape(const Shape& example, std::int64_t batch) const override {
    return layer_->conv_shape(example, batch);
  }

 private:
  std::shared_ptr<Layer> layer_;
};
using Int8Conv2d = Int8ProductOf<nn::Conv2d>;
using Int8Linear = Int8ProductOf<nn::Linear>;
template <>
inline std::string_view Int8Conv2d::kind() const {
  return "int8_conv2d";
}
template <>
inline std::string_view Int8Linear::kind() const {
  return "int8_linear";
}

Int8Product::Options int8_options_from_json(const nlohmann::json& json);

/// y_q = requantize(a + b), then ReLU if `relu`.
class Int8Add : public nn::Module {
 public:
  Int8Add(FixedMap output, bool relu) : output_(std::move(output)), relu_(relu) {}
  bool relu() const { return relu_; }
  std::string_view kind() const override { return "int8_add"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return nn::Add().output_shape(inputs); }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }
  std::size_t arity() const override { return 2; }

 private:
  FixedMap output_;
  bool relu_;
};

/// y_q = requantize(mean over windows, or over the whole image).
class Int8AvgPool2d : public nn::Module {
 public:
  Int8AvgPool2d(const AverageGeometry& geometry, FixedMap output) : geometry_(geometry), output_(std::move(output)) {}
  const AverageGeometry& geometry() const { return geometry_; }
  std::string_view kind() const override { return "int8_avg_pool2d"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return geometry_.output_shape(inputs[0]); }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }

 private:
  AverageGeometry geometry_;
  FixedMap output_;
};

}  // namespace detent::quant
