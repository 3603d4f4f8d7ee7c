#pragma once

#include <string>
#include <vector>

#include "detent/train/settings.h"

namespace detent::train {

inline constexpr const char* kFloatModel = "fp32.h5";
inline constexpr const char* kNotImproved = "static-not-improved.h5";

/// All that a run of these settings writes, by name.
std::vector<std::string> files_of(const Settings& settings);

/// What a static int8 model of such weights is called beside the main one, "static int8 per-channel", and its file.
std::string variant_name(const quant::QuantizerSpec& weights);
std::string file_of_variant(const quant::QuantizerSpec& weights);

}  // namespace detent::train
