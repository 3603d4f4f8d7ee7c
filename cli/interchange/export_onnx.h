#pragma once

#include <filesystem>

#include "detent/cli/arguments.h"
#include "detent/quant/passes/open_model.h"

namespace detent::cli {

/// Writes a model of any kind as an ONNX file, and prints what it wrote. Of a model in training for int8 it is what it
/// is converted to.
int export_to_onnx(const Arguments& arguments, const quant::OpenedModel& model, const std::filesystem::path& out);

}  // namespace detent::cli
