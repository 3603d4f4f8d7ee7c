#pragma once

#include <memory>
#include <optional>

#include "detent/nn/modules/conv2d.h"
#include "detent/nn/modules/linear.h"
#include "detent/quant/kinds/product/folded_batch_norm.h"
#include "detent/quant/kinds/product/integer_product.h"
#include "detent/quant/kinds/product/output_means.h"
#include "detent/quant/kinds/product/weight_rounding.h"
#include "detent/quant/quantizers/fake_quant.h"

namespace detent::quant {

/// A module whose result is quantized: what freeze_observers and convert look for.
class QuantizedOutput {
 public:
  virtual ~QuantizedOutput() = default;
  virtual FakeQuant& output() = 0;
};

/// What a quantized layer computes besides its product.
struct QatOptions {
  QConfig qconfig;
  bool relu = false;
  FakeQuant::State state = FakeQuant::State::Observing;
};

/// A convolution or linear layer in training for int8: codes in, codes out. It owns the f32 weights, the batch norm
/// that was folded into it, if there was one, and the quantizer of its output.
///
/// Forward: w_q = quantize(weight * factor), then the integer product and requantization of DESIGN section 5, with
/// the real values' range observed on the way. With observers frozen this is what the converted module runs.
/// Backward (straight-through): dy where the unclamped code lay in range and ReLU was open; then products with the
/// codes, in bf16 or f32, whose scales are multiplied in:
///   dx = sum_o (dy * s_w[o]) * w_q,   dw = s_x * dy^T (x_q - x_zp),   db = sum dy
/// A rule of the weights' gradient may learn the steps of their maps: those of the weights as they are quantized, with
/// the batch norm's factor in them.
/// While calibrating (static quantization) values are real and the layer computes in float.
class QatProduct : public nn::Module, public QuantizedOutput {
 public:
  const QatOptions& settings() const { return options_; }
  /// The float layer whose weights these are. Its own `relu` is off.
  virtual nn::Module& layer() const = 0;
  virtual nn::Parameter& weight() = 0;
  virtual nn::Parameter& bias() = 0;  ///< value undefined if there is none
  virtual kernels::ConvShape conv_shape(const Shape& example, std::int64_t batch) const = 0;
  FakeQuant& output() override { return output_; }
  FoldedBatchNorm* batch_norm() { return batch_norm_ ? &*batch_norm_ : nullptr; }

  /// From now on each forward pass in inference shows `means` its results before ReLU, as real numbers: of a
  /// calibrating layer those in float, else those of the codes. Null: no longer. REQUIRES: `means` lives until then.
  void watch(OutputMeans* means) { means_ = means; }

  /// The weights and bias that the frozen forward quantizes: with the batch norm's factor, if there is one, and changed
  /// where the rule of their gradient does that.
  Tensor folded_weight(std::span<const float> factor, Arena* arena);
  std::vector<float> folded_bias();
  /// The codes of folded_weight beside folded_bias and an input of this map: what training and conversion run.
  QuantizedWeight quantized_weight(ScaleZero input, std::span<const float> factor, std::span<const float> bias,
                                   Arena* arena);

  nlohmann::json options() const override;
  void bind(std::span<const Shape> inputs) override;
  Shape output_shape(std::span<const Shape> inputs) const override;
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override;
  void loaded() override;
  std::int64_t multiply_adds(std::span<const Shape> inputs) const override;

 protected:
  QatProduct(QatOptions options, std::optional<FoldedBatchNorm> batch_norm);
  /// What is learned of the weights begins with those that the layer has, if it has any.
  void begin_learning();

 private:
  nn::Variable calibrate(nn::Context& context, const nn::Variable& x);
  nn::Variable forward_running(nn::Context& context, const nn::Variable& x, const kernels::ConvShape& shape);
  nn::Variable forward_batch_statistics(nn::Context& context, const nn::Variable& x, const kernels::ConvShape& shape);
  /// The f32 leaves on the tape, in the order weight, bias, gamma, beta, learned maps of weights; absent ones are
  /// constants.
  std::vector<nn::Variable> inputs_on_tape(nn::Context& context, const nn::Variable& x);
  Shape result_shape(const Shape& x) const;
  /// The layer's, changed where the rule of their gradient does that.
  Tensor changed_weight(Arena* arena);
  /// What backward needs of the weights' quantizer; nullopt: nothing, for no code is clipped.
  std::optional<WeightRounding> weight_rounding(const Tensor& folded);
  /// As quantized_weight, of what folded_weight gave, or of what it would multiply with `factor`.
  QuantizedWeight quantize_folded(const Tensor& folded, ScaleZero input, std::span<const float> bias, Arena* arena,
                                  std::span<const float> factor = {});
  /// Whether weights are multiplied with the factor as they are quantized, since nobody else needs the product.
  bool folds_as_it_quantizes(std::span<const float> factor) const;

  OutputMeans* means_ = nullptr;
  QatOptions options_;
  std::optional<FoldedBatchNorm> batch_norm_;
  FakeQuant output_;
  std::shared_ptr<const GradientRule> weight_gradient_;
  nn::Parameter learned_{.decay = false};  // of the weights' maps; undefined where nothing is learned
};

class QatConv2d : public QatProduct {
 public:
  QatConv2d(std::shared_ptr<nn::Conv2d> layer, QatOptions options, std::optional<FoldedBatchNorm> batch_norm = {})
      : QatProduct(std::move(options), std::move(batch_norm)), layer_(std::move(layer)) {
    begin_learning();
  }
  std::string_view kind() const override { return "qat_conv2d"; }
  nn::Conv2d& layer() const override { return *layer_; }
  nn::Parameter& weight() override { return layer_->weight(); }
  nn::Parameter& bias() override { return layer_->bias(); }
  kernels::ConvShape conv_shape(const Shape& example, std::int64_t batch) const override {
    return layer_->conv_shape(example, batch);
  }

 private:
  std::shared_ptr<nn::Conv2d> layer_;
};

class QatLinear : public QatProduct {
 public:
  QatLinear(std::shared_ptr<nn::Linear> layer, QatOptions options, std::optional<FoldedBatchNorm> batch_norm = {})
      : QatProduct(std::move(options), std::move(batch_norm)), layer_(std::move(layer)) {
    begin_learning();
  }
  std::string_view kind() const override { return "qat_linear"; }
  nn::Linear& layer() const override { return *layer_; }
  nn::Parameter& weight() override { return layer_->weight(); }
  nn::Parameter& bias() override { return layer_->bias(); }
  kernels::ConvShape conv_shape(const Shape& example, std::int64_t batch) const override {
    return layer_->conv_shape(example, batch);
  }

 private:
  std::shared_ptr<nn::Linear> layer_;
};

}  // namespace detent::quant
