#include "detent/train/evidence/run_drift.h"

#include "detent/quant/passes/open_model.h"
#include "detent/train/model_attributes.h"

namespace detent::train {

std::optional<evaluation::Drift> drift_of_test(const RunData& data, const quant::Kinds& kinds,
                                               const std::filesystem::path& out, bool has_int8) {
  try {
    const quant::OpenedModel model = quant::open_model(out / (has_int8 ? "int8.h5" : "fp32.h5"), kinds);
    const auto stored = model.attributes.find(evaluation::kDistributionsAttribute);
    if (stored == model.attributes.end()) {
      return std::nullopt;
    }
    evaluation::Reporter silent;
    return evaluation::drift_of(evaluation::runnable(model, kinds), evaluation::from_attribute(stored->second),
                                data.test, data.normalization, trained_on(model.attributes).feature_names, {}, silent);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace detent::train
