#include "detent/interchange/c/export.h"

#include <algorithm>

#include "detent/core/error.h"
#include "detent/interchange/c/sources.h"

namespace detent::interchange::c {
namespace {

void check_name(const std::string& name) {
  const bool is_name = !name.empty() && identifier(name) == name && !(name[0] >= '0' && name[0] <= '9');
  check(is_name, "export: c: expected a name of letters, digits and '_' that begins with no digit, got '", name, "'");
}

}  // namespace

Export export_c(const runtime::Model& model, const Options& options, std::span<const Tensor> examples) {
  check_name(options.name);
  const Program program = make_program(model, options.requantize);
  Identifiers names;
  for (const char* const taken :
       {"run", "run_in", "run_codes", "run_pixels", "run_pixels_in", "arena", "code_of_pixel"}) {
    names.take(options.name + "_" + taken);
  }
  const Parts parts{.program = program, .options = options, .layers = write_layers(program, options.requantize, names)};
  const Golden golden = golden_of(program, options.requantize, examples);
  Export result{.header = write_header(parts),
                .source = write_source(parts),
                .self_test = write_self_test(parts, golden),
                .arena_bytes = program.arena_bytes,
                .examples = golden.examples};
  for (const Layer& layer : parts.layers.steps) {
    result.constant_bytes += layer.constant_bytes;
    result.products += layer.products;
  }
  return result;
}

}  // namespace detent::interchange::c
