#pragma once

#include "detent/cli/commands.h"
#include "detent/evaluation/sensitivity.h"

namespace detent::cli {

/// The float model that a command names, and the data that it was trained on, for measuring quantized forms of it.
evaluation::Trial open_trial(const Arguments& arguments, evaluation::Reporter& reporter);
/// What --bits, --weights and --activations say.
evaluation::SensitivitySettings sensitivity_settings(const Arguments& arguments);
/// The options that both read.
std::vector<OptionSpec> sensitivity_options();

}  // namespace detent::cli
