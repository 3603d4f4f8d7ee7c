#include "detent/quant/kinds/kinds.h"

#include <nlohmann/json.hpp>

#include "detent/io/option_reader.h"
#include "detent/quant/kinds/int8_modules.h"
#include "detent/quant/kinds/qat_options.h"

namespace detent::quant {
namespace {

using nlohmann::json;

/// The float layer that a quantized one is described by.
template <typename Layer>
std::shared_ptr<Layer> layer_of(const json& options, std::string_view kind) {
  return std::static_pointer_cast<Layer>(Layer::from_options(object_at(options, "layer", kind)));
}

template <typename Qat, typename Layer>
std::shared_ptr<nn::Module> make_qat(const json& options) {
  const char* const kind = std::is_same_v<Qat, QatConv2d> ? "qat_conv2d" : "qat_linear";
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
  auto module = std::make_shared<Qat>(layer_of<Layer>(options, kind),
                                      qat_options_from_json(object_at(options, "qat", kind)), std::move(batch_norm));
  rest.erase("layer");
  rest.erase("qat");
  OptionReader(kind, rest).finish();
  return module;
}

template <typename Int8, typename Layer>
std::shared_ptr<nn::Module> make_int8(const json& options) {
  const char* const kind = std::is_same_v<Int8, Int8Conv2d> ? "int8_conv2d" : "int8_linear";
  auto module =
      std::make_shared<Int8>(layer_of<Layer>(options, kind), int8_options_from_json(object_at(options, "int8", kind)));
  json rest = options;
  rest.erase("layer");
  rest.erase("int8");
  OptionReader(kind, rest).finish();
  return module;
}

}  // namespace

const nn::ModuleKinds& module_kinds() {
  static const nn::ModuleKinds kinds = [] {
    nn::ModuleKinds all = nn::module_kinds();
    all["quantize"] = &Quantize::from_options;
    all["dequantize"] = &Dequantize::from_options;
    all["qat_conv2d"] = &make_qat<QatConv2d, nn::Conv2d>;
    all["qat_linear"] = &make_qat<QatLinear, nn::Linear>;
    all["qat_add"] = &QatAdd::from_options;
    all["qat_avg_pool2d"] = &QatAvgPool2d::from_options;
    all["code_relu"] = &CodeRelu::from_options;
    all["code_dropout"] = &CodeDropout::from_options;
    all["int8_conv2d"] = &make_int8<Int8Conv2d, nn::Conv2d>;
    all["int8_linear"] = &make_int8<Int8Linear, nn::Linear>;
    all["int8_add"] = &Int8Add::from_options;
    all["int8_avg_pool2d"] = &Int8AvgPool2d::from_options;
    return all;
  }();
  return kinds;
}

}  // namespace detent::quant
