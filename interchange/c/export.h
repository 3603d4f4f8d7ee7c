#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "detent/interchange/c/program.h"

/// Models as C99 sources that need no library, no heap and no operating system: docs/export-c.md.
namespace detent::interchange::c {

struct Options {
  /// Prefix of all that the sources name: letters, digits, '_'; a letter first; no header of the C library.
  std::string name = "model";
  std::string title = {};  ///< what the sources say of where the model comes from
  Requantize requantize = Requantize::F32;
  std::string model_sha256 = {};  ///< the model's digest (interchange/same), which the header states; "": none
  /// What each byte of an example becomes before the model takes it, where examples are bytes: gives NAME_run_pixels.
  std::optional<std::array<float, 256>> pixels = {};
};

/// The texts of NAME.h, NAME.c and NAME_test.c, and what they take.
struct Export {
  std::string header = {};
  std::string source = {};
  std::string self_test = {};
  std::int64_t arena_bytes = 0;
  std::int64_t constant_bytes = 0;  ///< weights, tables and the like
  std::int64_t products = 0;        ///< multiplications of codes and weights, an example
  std::int64_t examples = 0;        ///< of the self-test
};

/// `model` in C, with `examples` [N, ...] of its inputs in the self-test. Throws Error, naming all layers that have no
/// C form, for a name that is none, for examples that do not fit, and as Model::validate.
Export export_c(const runtime::Model& model, const Options& options, std::span<const Tensor> examples);

/// `count` examples that have every code of the model's inputs about equally often; numbers that are never codes lie
/// evenly in [-1, 1].
std::vector<Tensor> drawn_examples(const runtime::Model& model, std::int64_t count, std::uint64_t seed = 1);

}  // namespace detent::interchange::c
