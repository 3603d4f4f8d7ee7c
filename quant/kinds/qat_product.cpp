#include "detent/quant/kinds/qat_product.h"
#include "detent/kernels/codes/quantize.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/autograd/ops.h"
#include "detent/quant/kinds/ops/learned_codes.h"
#include "detent/quant/kinds/product/product_gradient.h"
#include "detent/quant/kinds/qat_options.h"
#include "detent/quant/quantizers/measure.h"

namespace detent::quant {
namespace {

std::span<const float> values_of(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<float>() : std::span<const float>();
}

Tensor scaled_rows(const Tensor& weight, std::span<const float> factor, Arena* arena) {
  Tensor result = Tensor::empty(weight.shape(), DType::F32, arena);
  const auto row = static_cast<std::size_t>(weight.shape().row_elements());
  const std::span<const float> from = weight.data<float>();
  const std::span<float> to = result.data<float>();
  const Slices slices = slice_by_bytes(weight.shape()[0], static_cast<std::int64_t>(row * sizeof(float)));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (auto o = static_cast<std::size_t>(slices[slice].begin); o < static_cast<std::size_t>(slices[slice].end); ++o) {
      const float f = factor[o];
      std::ranges::transform(from.subspan(o * row, row), to.subspan(o * row, row).begin(),
                             [f](float w) { return w * f; });
    }
  });
  return result;
}

/// The type of the backward products where `wanted` is asked for: without units for bf16 that is only slower.
DType products_dtype(DType wanted) { return kernels::has_bf16_units() ? wanted : DType::F32; }

}  // namespace

QatProduct::QatProduct(QatOptions options, std::optional<FoldedBatchNorm> batch_norm)
    : options_(std::move(options)),
      batch_norm_(std::move(batch_norm)),
      output_(options_.qconfig.activation, options_.state),
      weight_gradient_(make_gradient_rule(options_.qconfig.weight.gradient)) {
  options_.qconfig.validate();
}

void QatProduct::begin_learning() {
  if (weight_gradient_->learned() > 0 && weight().value.defined()) {
    const Tensor folded = folded_weight(batch_norm_ ? batch_norm_->factor() : std::vector<float>(), nullptr);
    learned_.value = LearnedWeightMaps(options_.qconfig.weight, folded.shape()).first_numbers(folded);
  }
}

Tensor QatProduct::changed_weight(Arena* arena) {
  const Tensor& value = weight().value;
  check(value.defined(), name(), ": its weights are not set: call Graph::initialize or load a model");
  if (!weight_gradient_->changes_weights()) {
    return value;
  }
  Tensor changed = Tensor::empty(value.shape(), DType::F32, arena);
  weight_gradient_->change(value.data<float>(), changed.data<float>());
  return changed;
}

Tensor QatProduct::folded_weight(std::span<const float> factor, Arena* arena) {
  const Tensor value = changed_weight(arena);
  return factor.empty() ? value : scaled_rows(value, factor, arena);
}

std::vector<float> QatProduct::folded_bias() {
  const std::span<const float> layer_bias = values_of(bias().value);
  return batch_norm_ ? batch_norm_->bias(layer_bias) : std::vector<float>(layer_bias.begin(), layer_bias.end());
}

QuantizedWeight QatProduct::quantized_weight(ScaleZero input, std::span<const float> factor,
                                             std::span<const float> bias, Arena* arena) {
  return quantize_folded(folded_weight(factor, arena), input, bias, arena);
}

bool QatProduct::folds_as_it_quantizes(std::span<const float> factor) const {
  const QuantizerSpec& spec = options_.qconfig.weight;
  return !factor.empty() && std::holds_alternative<PerChannel>(spec.granularity) &&
         !weight_gradient_->changes_weights() && !may_clip(spec);
}

QuantizedWeight QatProduct::quantize_folded(const Tensor& folded, ScaleZero input, std::span<const float> bias,
                                            Arena* arena, std::span<const float> factor) {
  try {
    std::vector<float> scales;
    if (weight_gradient_->learned() > 0) {
      scales = LearnedWeightMaps(options_.qconfig.weight, folded.shape()).scales(values_of(learned_.value));
    }
    return quantize_weight(folded, bias, input.scale, options_.qconfig.weight, arena, scales, factor);
  } catch (const Error& error) {
    fail(name(), ": ", error.what());
  }
}

std::optional<WeightRounding> QatProduct::weight_rounding(const Tensor& folded) {
  const bool changes = weight_gradient_->changes_weights();
  if (!changes && !may_clip(options_.qconfig.weight)) {
    return std::nullopt;
  }
  const std::span<const float> learned = values_of(learned_.value);
  return WeightRounding{.rule = weight_gradient_,
                        .weight = folded,
                        .layer_weight = changes ? weight().value : Tensor(),
                        .learned = {learned.begin(), learned.end()}};
}

Shape QatProduct::result_shape(const Shape& x) const { return output_shape(std::vector{x.row()}).batched(x[0]); }

nn::Variable QatProduct::calibrate(nn::Context& context, const nn::Variable& x) {
  const Tensor weight_value =
      folded_weight(batch_norm_ ? batch_norm_->factor() : std::vector<float>(), context.tape.arena());
  const std::vector<float> bias_value = folded_bias();
  const kernels::ConvShape shape = conv_shape(x.shape().row(), x.shape()[0]);
  const kernels::PackedWeight packed = kernels::pack_forward(shape, DType::F32, weight_value.raw());
  Tensor y = context.tape.empty(result_shape(x.shape()));
  const auto compute = [&](bool relu) {
    kernels::conv2d_forward(shape, DType::F32, x.value().raw(), packed,
                            bias_value.empty() ? nullptr : bias_value.data(), relu, DType::F32, y.raw());
  };
  if (means_ != nullptr && !context.training) {
    compute(false);
    means_->add(y);
  }
  compute(options_.relu);
  output_.observe(y, x.shape()[0]);
  return context.tape.constant(std::move(y));
}

std::vector<nn::Variable> QatProduct::inputs_on_tape(nn::Context& context, const nn::Variable& x) {
  const auto leaf = [&](nn::Parameter& parameter) {
    return parameter.value.defined() ? nn::on_tape(context, *this, parameter) : context.tape.constant({});
  };
  const bool affine = batch_norm_ && batch_norm_->module().settings().affine;
  return {x,
          leaf(weight()),
          leaf(bias()),
          affine ? leaf(batch_norm_->module().weight()) : context.tape.constant({}),
          affine ? leaf(batch_norm_->module().bias()) : context.tape.constant({}),
          leaf(learned_)};
}

nn::Variable QatProduct::forward_running(nn::Context& context, const nn::Variable& x, const kernels::ConvShape& shape) {
  Arena* const arena = context.tape.arena();
  const bool observe = context.training && output_.wants_ranges();
  const std::vector<float> factor = batch_norm_ ? batch_norm_->factor() : std::vector<float>();
  const ScaleZero input = x.value().qparams()->tensor();
  const std::vector<float> bias_value = folded_bias();
  const bool folds_late = folds_as_it_quantizes(factor);
  const Tensor folded = folds_late ? changed_weight(arena) : folded_weight(factor, arena);
  const QuantizedWeight quantized = quantize_folded(
      folded, input, bias_value, arena, folds_late ? std::span<const float>(factor) : std::span<const float>());
  if (means_ != nullptr && !context.training) {
    const kernels::Requantization before_relu =
        kernels::make_requantization(input, quantized.qparams, bias_value, shape.o, {}, output_.codes(), false);
    means_->add(real_results(shape, x.value(), quantized, before_relu, arena));
  }
  const auto requantization = [&](ScaleZero map) {
    return kernels::make_requantization(input, quantized.qparams, bias_value, shape.o, map, output_.codes(),
                                        options_.relu);
  };
  const auto reals = [&] { return real_results(shape, x.value(), quantized, requantization({}), arena); };
  if (output_.is_measuring() && !context.training) {
    return measured_codes(output_, [&](const std::shared_ptr<const QParams>& map, MinMax* seen) {
      Tensor codes = context.tape.empty(result_shape(x.shape()), DType::U8);
      integer_product(shape, x.value(), quantized, requantization(map->tensor()), codes, nullptr, seen);
      return context.tape.constant(codes.with_qparams(map));
    });
  }

  Tensor y = context.tape.empty(result_shape(x.shape()), DType::U8);
  const bool observe_first = observe && (!output_.has_range() || options_.qconfig.range == RangeUse::Current);
  if (observe_first) {
    // The range first, on any map; then the codes.
    MinMax seen;
    integer_product(shape, x.value(), quantized, requantization({}), y, nullptr, &seen);
    output_.observe(seen, x.shape()[0], reals);
  }
  output_.check_range(name());
  const std::shared_ptr<const QParams> y_map = output_.qparams();
  const bool saves = context.tape.is_recording();
  SliceMask mask = saves ? SliceMask(shape, arena) : SliceMask();
  MinMax seen;
  const bool observe_after = observe && !observe_first;
  integer_product(shape, x.value(), quantized, requantization(output_.map()), y, saves ? &mask : nullptr,
                  observe_after ? &seen : nullptr);
  if (observe_after) {
    output_.observe(seen, x.shape()[0], reals);
  }
  y = y.with_qparams(y_map);
  if (!saves) {
    return context.tape.constant(std::move(y));
  }
  ProductGradient gradient{.shape = shape,
                           .dtype = products_dtype(options_.qconfig.backward),
                           .x = x.value(),
                           .weight = quantized,
                           .mask = std::move(mask),
                           .rounding = weight_rounding(folded)};
  if (batch_norm_) {
    gradient.fold = FrozenFold(*batch_norm_, factor, changed_weight(arena), bias().value);
  }
  nn::Variable codes =
      context.tape.record(kind(), std::move(y), inputs_on_tape(context, x),
                          [gradient = std::move(gradient)](autograd::Backward& backward) { gradient.run(backward); });
  if (!output_.is_learning()) {
    return codes;
  }
  if (quantized.qparams.is_per_group()) {
    return learned_codes(context, *this, output_, std::move(codes),
                         step_sums_of([shape, x = x.value(), quantized, r = requantization({}),
                                       arena] { return real_results(shape, x, quantized, r, arena); },
                                      y_map));
  }
  return learned_codes(context, *this, output_, std::move(codes),
                       [shape, x = x.value(), quantized, r = requantization(y_map->tensor()),
                        arena](const autograd::Backward& backward) {
                         return ProductSums(shape, x, quantized, arena).step_sums(r, backward);
                       });
}

nn::Variable QatProduct::forward_batch_statistics(nn::Context& context, const nn::Variable& x,
                                                  const kernels::ConvShape& shape) {
  check(shape.n * shape.out_h() * shape.out_w() >= 2, name(), ": its batch norm gets a single value a channel from ",
        x.shape(), ", which has no variance to train with; use larger batches, or leave out the last one");
  Arena* const arena = context.tape.arena();
  const std::vector<float> factor = batch_norm_->training_factor();
  const ScaleZero input = x.value().qparams()->tensor();
  const bool folds_late = folds_as_it_quantizes(factor);
  const Tensor folded = folds_late ? changed_weight(arena) : folded_weight(factor, arena);
  const QuantizedWeight quantized = quantize_folded(
      folded, input, folded_bias(), arena, folds_late ? std::span<const float>(factor) : std::span<const float>());
  const ProductSums sums(shape, x.value(), quantized, arena);
  ProductSums sums_at_hand = sums;  // of this pass
  const SumStatistics statistics(sums_at_hand, input, factor, *batch_norm_, arena);
  statistics.update_running(*batch_norm_, values_of(bias().value));

  // y = (sum * slope[o] + intercept[o]) in reals: requantized with `slope / s_x` in the place of the weights' scales.
  const QParams slopes = statistics.slopes(input);
  const auto requantization = [&](ScaleZero map) {
    return kernels::make_requantization(input, slopes, statistics.intercepts(), shape.o, map, output_.codes(),
                                        options_.relu);
  };
  const auto reals = [&] { return sums_at_hand.reals(requantization({}), arena); };
  Tensor y = context.tape.empty(result_shape(x.shape()), DType::U8);
  const bool observe = output_.wants_ranges();
  const bool observe_first = observe && (!output_.has_range() || options_.qconfig.range == RangeUse::Current);
  const MinMax seen = kernels::range_of_reals(statistics.moments(), requantization({}));
  if (observe_first) {
    output_.observe(seen, x.shape()[0], reals);
  }
  output_.check_range(name());
  const std::shared_ptr<const QParams> y_map = output_.qparams();
  SliceMask mask(shape, arena);
  NormalizedSums normalized{statistics, factor, {}, {}};
  if (options_.qconfig.backward == DType::BF16) {
    normalized.narrow.emplace(shape, statistics.moments(), arena);
  } else {
    normalized.exact.emplace(sums);
  }
  sums_at_hand.requantize(requantization(output_.map()), y, mask, normalized.narrow ? &*normalized.narrow : nullptr);
  if (observe && !observe_first) {
    output_.observe(seen, x.shape()[0], reals);
  }
  const std::optional<NarrowSums> narrow = output_.is_learning() ? normalized.narrow : std::nullopt;
  ProductGradient gradient{.shape = shape,
                           .dtype = products_dtype(options_.qconfig.backward),
                           .x = x.value(),
                           .weight = quantized,
                           .mask = std::move(mask),
                           .rounding = weight_rounding(folded),
                           .normalized = std::move(normalized)};
  nn::Variable codes =
      context.tape.record(kind(), y.with_qparams(y_map), inputs_on_tape(context, x),
                          [gradient = std::move(gradient)](autograd::Backward& backward) { gradient.run(backward); });
  if (!output_.is_learning()) {
    return codes;
  }
  return learned_codes(context, *this, output_, std::move(codes),
                       [sums, narrow, r = requantization(y_map->tensor())](const autograd::Backward& backward) {
                         return sums.step_sums(r, backward, narrow ? &*narrow : nullptr);
                       });
}

nn::Variable QatProduct::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  const nn::Variable& x = inputs[0];
  if (output_.is_calibrating()) {
    return calibrate(context, x);
  }
  check(x.value().qparams() != nullptr, name(), ": expected codes, got plain ", x.dtype(), " numbers");
  const kernels::ConvShape shape = conv_shape(x.shape().row(), x.shape()[0]);
  return batch_norm_ && batch_norm_->uses_batch_statistics(context.training)
             ? forward_batch_statistics(context, x, shape)
             : forward_running(context, x, shape);
}

void QatProduct::bind(std::span<const Shape> inputs) {
  layer().bind(inputs);
  if (batch_norm_) {
    const Shape result = layer().output_shape(inputs);
    batch_norm_->module().bind(std::span(&result, 1));
  }
}

Shape QatProduct::output_shape(std::span<const Shape> inputs) const { return layer().output_shape(inputs); }

std::int64_t QatProduct::multiply_adds(std::span<const Shape> inputs) const { return layer().multiply_adds(inputs); }

std::vector<nn::Slot> QatProduct::slots() {
  std::vector<nn::Slot> slots = layer().slots();
  if (batch_norm_) {
    for (nn::Slot slot : batch_norm_->module().slots()) {
      slot.name = "batch_norm_" + slot.name;
      slots.push_back(std::move(slot));
    }
  }
  if (weight_gradient_->learned() > 0) {
    slots.push_back({"weight_learned", &learned_.value, &learned_});
  }
  std::ranges::copy(output_.slots(), std::back_inserter(slots));
  return slots;
}

void QatProduct::loaded() {
  output_.check_loaded();
  if (weight_gradient_->learned() > 0 && weight().value.defined()) {
    LearnedWeightMaps(options_.qconfig.weight, weight().value.shape()).scales(values_of(learned_.value));
  }
}

nlohmann::json QatProduct::options() const {
  QatOptions current = options_;
  current.state = output_.state();
  nlohmann::json json{{"layer", layer().options()}, {"qat", to_json(current)}};
  if (batch_norm_) {
    json["batch_norm"] = batch_norm_->module().options();
    json["batch_norm_frozen"] = batch_norm_->is_frozen();
  }
  return json;
}

}  // namespace detent::quant
