#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "detent/kernels/codes/quantize.h"
#include "detent/nn/finite.h"
#include "detent/quant/kinds/qat_options.h"
#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {
namespace {

using nlohmann::json;

constexpr std::int64_t kExactInF32 = std::int64_t{1} << 24;

template <typename Layer>
struct Names;
template <>
struct Names<nn::Conv2d> {
  using Qat = QatConv2d;
  static constexpr const char *kFloat = "conv2d", *kQat = "qat_conv2d", *kInt8 = "int8_conv2d";
};
template <>
struct Names<nn::Linear> {
  using Qat = QatLinear;
  static constexpr const char *kFloat = "linear", *kQat = "qat_linear", *kInt8 = "int8_linear";
};

template <typename Layer>
std::shared_ptr<nn::Module> make_qat(const json& options) {
  const char* const kind = Names<Layer>::kQat;
  std::optional<FoldedBatchNorm> batch_norm;
  json rest = options;
  if (options.is_object() && options.contains("batch_norm")) {
    const json frozen = options.value("batch_norm_frozen", json(false));
    check(frozen.is_boolean(), kind, ": batch_norm_frozen: expected true or false, got ", frozen.dump());
    batch_norm.emplace(std::static_pointer_cast<nn::BatchNorm>(nn::BatchNorm::from_options(options["batch_norm"])),
                       frozen.get<bool>());
    rest.erase("batch_norm");
    rest.erase("batch_norm_frozen");
  }
  auto layer = std::static_pointer_cast<Layer>(Layer::from_options(object_at(options, "layer", kind)));
  auto module = std::make_shared<typename Names<Layer>::Qat>(
      std::move(layer), qat_options_from_json(object_at(options, "qat", kind)), std::move(batch_norm));
  rest.erase("layer");
  rest.erase("qat");
  OptionReader(kind, rest).finish();
  return module;
}

template <typename Layer>
void prepare(Preparation& pass, std::size_t index, const QConfig& config) {
  auto& source = module_of<Layer>(pass.node(index));
  const nn::Fusion& fusion = pass.fusion(index);
  std::vector<std::size_t> chain{index};
  for (const nn::Graph::Handle taken : fusion.nodes()) {
    chain.push_back(taken.index);
  }
  std::shared_ptr<nn::Module>& made = pass.stand_in(index);
  if (!made) {
    json options = source.options();
    options["relu"] = false;
    auto layer = std::static_pointer_cast<Layer>(Layer::from_options(options));
    copy_slots(source, *layer);
    std::optional<FoldedBatchNorm> folded;
    if (fusion.batch_norm) {
      auto batch_norm = std::static_pointer_cast<nn::BatchNorm>(pass.copy(fusion.batch_norm->index));
      const bool is_frozen = batch_norm->settings().frozen || pass.state() != FakeQuant::State::Observing;
      folded.emplace(std::move(batch_norm), is_frozen);
    }
    QatOptions qat{.qconfig = config, .relu = source.settings().relu || fusion.relu.has_value(), .state = pass.state()};
    made = std::make_shared<typename Names<Layer>::Qat>(std::move(layer), std::move(qat), std::move(folded));
  }
  const nn::Graph::Handle input = pass.codes_of(pass.node(index).inputs[0], config);
  const std::int64_t depth = source.conv_shape(pass.node(pass.node(index).inputs[0]).shape, 1).depth();
  try {
    kernels::ProductCodes{.x = pass.codes_at(input).qmax, .weight = config.weight.codes().qmax}.check_depth(depth);
  } catch (const Error& error) {
    const std::string& name = pass.node(index).name;
    fail("prepare: ", name, ": ", error.what(), " with keep_float = [\"", name, "\"]");
  }
  pass.add(chain, made, {input}, true);
}

template <typename Layer>
Lowered lower_float(const nn::Graph::Node& node, std::span<const runtime::ValueType> inputs) {
  auto& layer = module_of<Layer>(node);
  return {.op = runtime::Product{.shape = layer.conv_shape(inputs[0].shape, 1),
                                 .weight = copy_of(layer.weight().value),
                                 .bias = copy_of(layer.bias().value),
                                 .relu = layer.settings().relu}};
}

std::string how(const QatProduct& qat, bool has_batch_norm, const SumRange& sums) {
  const QuantizerSpec& weight = qat.settings().qconfig.weight;
  std::string granularity = to_text(weight.granularity);
  std::ranges::replace(granularity, '-', ' ');
  const int bits = weight.grid.bits;
  const std::string grid = weight.grid.is_ternary ? " ternary"
                           : bits == 8            ? ""
                                                  : " of " + std::to_string(bits) + (bits == 1 ? " bit" : " bits");
  std::ostringstream text;
  text << "u8 x s8" << grid << " " << granularity << (has_batch_norm ? ", batch norm folded" : "")
       << (qat.settings().relu ? ", relu fused" : "") << ", sums of " << sums.bits() << " bits"
       << (sums.bound() < kExactInF32 ? "" : ", which may pass 2^24");
  return text.str();
}

/// The codes that the frozen forward pass computes with, made by the same functions.
template <typename Layer>
Lowered lower_codes(const nn::Graph::Node& node, std::span<const runtime::ValueType> inputs) {
  auto& qat = module_of<typename Names<Layer>::Qat>(node);
  check(inputs[0].is_codes(), "convert: ", node.name, ": its input is not codes: prepare puts a quantize before it");
  const ScaleZero input = inputs[0].qparams->tensor();
  const FoldedBatchNorm* const batch_norm = qat.batch_norm();
  const std::vector<float> factor = batch_norm ? batch_norm->factor() : std::vector<float>();
  const std::vector<float> bias = qat.folded_bias();
  const std::string what = "convert: " + node.name + ": with the batch norm folded, ";
  nn::check_finite(qat.folded_weight(factor, nullptr).template data<float>(), what + "weight");
  nn::check_finite(bias, what + "bias");
  const QuantizedWeight weight = qat.quantized_weight(input, factor, bias, nullptr);
  runtime::Product product{.shape = qat.conv_shape(inputs[0].shape, 1),
                           .weight = weight.codes.with_qparams(std::make_shared<const QParams>(weight.qparams)),
                           .bias = {},
                           .relu = qat.settings().relu};
  std::vector<std::int32_t> bias_s32;
  if (!bias.empty()) {
    bias_s32 = kernels::bias_codes(input, weight.qparams, bias);
    product.bias = Tensor::from(bias_s32, {static_cast<std::int64_t>(bias_s32.size())});
  }
  const SumRange sums = sum_range(weight.codes, *inputs[0].qparams, bias_s32);
  return {.op = std::move(product),
          .kind = Names<Layer>::kInt8,
          .how = how(qat, batch_norm != nullptr, sums),
          .sum_bound = sums.bound(),
          .sum_bits = sums.bits()};
}

template <typename Layer>
void add_rows(Kinds& kinds) {
  Kind in_float = kind_of_class<Layer>();
  in_float.prepare = &prepare<Layer>;
  in_float.lower = &lower_float<Layer>;
  Kind on_codes{.type = typeid(typename Names<Layer>::Qat), .make = &make_qat<Layer>};
  on_codes.is_prepared = true;
  on_codes.lower = &lower_codes<Layer>;
  kinds.emplace(Names<Layer>::kFloat, std::move(in_float));
  kinds.emplace(Names<Layer>::kQat, std::move(on_codes));
}

}  // namespace

Kinds product_kinds() {
  Kinds kinds;
  add_rows<nn::Conv2d>(kinds);
  add_rows<nn::Linear>(kinds);
  return kinds;
}

}  // namespace detent::quant
