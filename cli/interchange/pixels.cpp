#include "detent/cli/interchange/pixels.h"

#include "detent/train/run_data.h"

namespace detent::cli {

std::optional<std::array<float, 256>> pixels_of(const quant::OpenedModel& model) {
  const bool has_rule = model.attributes.contains("normalization_mean") && model.input_shape().rank() == 3;
  const data::Normalization normalization =
      has_rule ? train::trained_on(model.attributes).normalization : data::Normalization();
  return has_rule && normalization.means.empty() ? std::optional(data::normalized_pixels(normalization)) : std::nullopt;
}

}  // namespace detent::cli
