#include "detent/nn/modules/concat.h"

#include <nlohmann/json.hpp>

namespace detent::nn {

void Concat::Options::describe(OptionList& list) {
  list.integer("inputs", inputs, {.min = 1, .max = 1 << 16}, "how many it takes");
}

Concat::Concat(Options options) : options_(std::move(options)) { check_options(kind(), options_); }

nlohmann::json Concat::options() const { return write_options(options_); }

std::shared_ptr<Module> Concat::from_options(const nlohmann::json& options) {
  return std::make_shared<Concat>(read_options<Options>("concat", options));
}

Shape Concat::output_shape(std::span<const Shape> inputs) const {
  const auto first = inputs[0].extents();
  std::vector<std::int64_t> extents(first.begin(), first.end());
  check(!extents.empty(), "concat: expected inputs with channels, got scalars");
  for (const Shape& other : inputs.subspan(1)) {
    const auto these = other.extents();
    const bool fits = these.size() == extents.size() && std::equal(these.begin(), these.end() - 1, extents.begin());
    check(fits, "concat: expected inputs that differ in their channels alone, got ", inputs[0], " and ", other);
    extents.back() += these.back();
  }
  return Shape(extents);
}

Variable Concat::forward(Context&, std::span<const Variable> inputs) { return autograd::concat(inputs); }

}  // namespace detent::nn
