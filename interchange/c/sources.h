#pragma once

#include "detent/interchange/c/export.h"
#include "detent/interchange/c/golden.h"
#include "detent/interchange/c/layers/layers.h"

/// The three texts of an export.
namespace detent::interchange::c {

/// What all texts are written from.
struct Parts {
  const Program& program;
  const Options& options;
  Layers layers = {};

  bool is_fixed() const { return options.requantize == Requantize::Fixed; }
  /// Whether some function takes or gives numbers.
  bool has_numbers() const;
  /// Whether examples may be bytes: there is a NAME_run_pixels.
  bool takes_pixels() const;

  /// "uint8_t *" for codes, "float *" for numbers.
  std::string pointer_to(runtime::ValueId value) const;
  /// The layers alone: NAME_run_codes, from codes to codes, or NAME_run_layers.
  std::string layers_function() const {
    return program.is_from_codes_to_codes() ? "@model_run_codes" : "@model_run_layers";
  }
  /// Declarations of the functions, without the ';'.
  std::string run_layers() const;
  std::string run(bool has_arena) const;
  std::string run_pixels(bool has_arena) const;

  /// `text` with the model's prefix for "@MODEL_" and "@model_", which no text of a model has: names have no '@'.
  std::string with_prefix(std::string_view text) const;
};

/// kernel_text with the tokens of with_prefix.
std::string kernel(std::string_view name);

std::string write_header(const Parts& parts);
std::string write_source(const Parts& parts);
std::string write_self_test(const Parts& parts, const Golden& golden);

}  // namespace detent::interchange::c
