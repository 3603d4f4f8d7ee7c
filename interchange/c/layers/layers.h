#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "detent/interchange/c/program.h"
#include "detent/interchange/c/text.h"

namespace detent::interchange::c {

/// One step of a program in C.
struct Layer {
  std::string name = {};         ///< its identifier, "layer_conv1"
  std::string operation = {};    ///< "convolution 3 x 3", for people
  std::string definitions = {};  ///< its constants
  std::string calls = {};        ///< what runs it, a line each
  std::int64_t products = 0;     ///< multiplications of codes and weights
  std::int64_t constant_bytes = 0;
};

struct Layers {
  std::vector<Layer> steps = {};       ///< in the order of Program::steps
  std::set<std::string> kernels = {};  ///< the functions that they call, by the names of kernel_text
};

/// `names`: what is taken already.
Layers write_layers(const Program& program, Requantize requantize, Identifiers& names);

}  // namespace detent::interchange::c
