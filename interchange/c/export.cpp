#include "detent/interchange/c/export.h"

#include <algorithm>
#include <array>

#include "detent/core/error.h"
#include "detent/interchange/c/sources.h"

namespace detent::interchange::c {
namespace {

/// Headers of C, and of those that are included: NAME.h must not hide one.
constexpr auto kHeaders = std::to_array<std::string_view>(
    {"arm_acle",  "assert",  "complex", "ctype",  "errno",  "fenv",   "float",       "inttypes",
     "iso646",    "limits",  "locale",  "math",   "setjmp", "signal", "stdalign",    "stdarg",
     "stdatomic", "stdbool", "stddef",  "stdint", "stdio",  "stdlib", "stdnoreturn", "string",
     "tgmath",    "threads", "time",    "uchar",  "wchar",  "wctype"});

void check_name(const std::string& name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  check(!name.empty() && identifier(name) == name && is_letter(name[0]),
        "export: c: expected a name of letters, digits and '_' that begins with a letter, got '", name, "'");
  check(std::ranges::find(kHeaders, name) == kHeaders.end(),
        "export: c: expected a name that no header of C has, got '", name, "', whose ", name,
        ".h would hide it; write --name ", name, "_model");
}

}  // namespace

Export export_c(const runtime::Model& model, const Options& options, std::span<const Tensor> examples) {
  check_name(options.name);
  const Program program = make_program(model, options.requantize);
  Identifiers names;
  for (const char* const taken :
       {"run", "run_in", "run_codes", "run_layers", "run_pixels", "run_pixels_in", "arena", "code_of_pixel"}) {
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
