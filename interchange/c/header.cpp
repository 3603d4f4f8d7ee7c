#include <algorithm>
#include <cctype>

#include "detent/core/text/shape_text.h"
#include "detent/interchange/c/kernel_texts.h"
#include "detent/interchange/c/sources.h"

namespace detent::interchange::c {
namespace {

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  return text;
}

std::string shapes_of(const Parts& parts) {
  const Program& program = parts.program;
  std::string text;
  for (runtime::ValueId input = 0; input < program.inputs.size(); ++input) {
    text += " *   " + program.inputs[input] + "  " + text_of(program.type(input).shape) + "\n";
  }
  return text + " *   output  " + text_of(program.type(program.model->output).shape) + "\n";
}

std::string macros_of(const Parts& parts) {
  const Program& program = parts.program;
  const runtime::ValueType& result = program.type(program.result);
  std::string text;
  if (!parts.options.model_sha256.empty()) {
    text += "/* The digest of the model: `detent same MODEL.h5 " + parts.options.name +
            ".h` proves that it is this one. */\n#define @MODEL_MODEL_SHA256 \"" + parts.options.model_sha256 +
            "\"\n\n";
  }
  text += "#define @MODEL_ARENA_BYTES " + number(program.arena_bytes) + "\n";
  for (runtime::ValueId input = 0; input < program.inputs.size(); ++input) {
    text += "#define @MODEL_" + upper(program.inputs[input]) + "_ELEMENTS " +
            number(program.type(input).shape.elements()) + "\n";
  }
  text += "#define @MODEL_OUTPUT_ELEMENTS " + number(result.shape.elements()) + "\n";
  if (!result.is_codes()) {
    return text;
  }
  const ScaleZero map = result.qparams->tensor();
  return text + "/* What the codes of the output mean: scale * (code - zero point). */\n#define @MODEL_OUTPUT_SCALE " +
         number(map.scale) + "\n#define @MODEL_OUTPUT_ZERO_POINT " + number(map.zero_point) + "\n";
}

/// Functions with an arena of the caller's, and with the one of the source.
std::string pair_of(const std::string& in, const std::string& simple) {
  return in + ";\n#ifndef @MODEL_NO_STATIC_ARENA\n" + simple + ";\n#endif\n";
}

std::string functions_of(const Parts& parts) {
  std::string text;
  const bool has_numbers = parts.has_numbers();
  text += has_numbers
              ? "/* From the model's inputs, normalized as in training, to its outputs. The second has an arena of its "
                "own, so it is for\n * one thread at a time. */\n"
              : "/* The model. The second has an arena of its own, so it is for one thread at a time. */\n";
  text += pair_of(parts.run(true), parts.run(false));
  if (parts.takes_pixels()) {
    text += "\n/* The same from bytes, as images have them. */\n" +
            pair_of(parts.run_pixels(true), parts.run_pixels(false));
  }
  if (has_numbers && parts.is_fixed()) {
    text = "#ifndef @MODEL_NO_FLOAT\n" + text + "#endif\n";
  }
  text += std::string("\n/* The layers alone, ") +
          (parts.program.is_from_codes_to_codes() ? "from codes to codes" : "from what they take to what they give") +
          ". */\n" + parts.run_layers() + ";\n";
  if (parts.takes_pixels()) {
    text += "\n/* The code that each byte of an image becomes. */\nextern const uint8_t @model_code_of_pixel[256];\n";
  }
  return text;
}

}  // namespace

bool Parts::has_numbers() const {
  const auto is_numbers = [&](runtime::ValueId value) { return !program.type(value).is_codes(); };
  return is_numbers(program.model->output) ||
         std::ranges::any_of(program.entries, [&](const Entry& entry) { return is_numbers(entry.input); });
}

bool Parts::takes_pixels() const {
  return options.pixels && program.entries.size() == 1 && program.quantizes(program.entries[0]);
}

std::string Parts::pointer_to(runtime::ValueId value) const {
  return program.type(value).is_codes() ? "uint8_t *" : "float *";
}

std::string Parts::run_layers() const {
  std::string text = "void " + layers_function() + "(@model_arena *arena";
  for (const Entry& entry : program.entries) {
    text += ", const " + pointer_to(entry.value) + entry.name;
  }
  return text + ", " + pointer_to(program.result) + "output)";
}

std::string Parts::run(bool has_arena) const {
  std::string text = has_arena ? "void @model_run_in(@model_arena *arena, " : "void @model_run(";
  for (runtime::ValueId input = 0; input < program.inputs.size(); ++input) {
    text += "const " + pointer_to(input) + program.inputs[input] + ", ";
  }
  return text + pointer_to(program.model->output) + "output)";
}

std::string Parts::run_pixels(bool has_arena) const {
  return std::string(has_arena ? "void @model_run_pixels_in(@model_arena *arena, " : "void @model_run_pixels(") +
         "const uint8_t *pixels, " + pointer_to(program.model->output) + "output)";
}

std::string Parts::with_prefix(std::string_view text) const {
  const std::string result = replaced(std::string(text), "@MODEL_", upper(options.name) + "_");
  return replaced(result, "@model_", options.name + "_");
}

std::string kernel(std::string_view name) {
  return replaced(replaced(std::string(kernel_text(name)), "MODEL_", "@MODEL_"), "model_", "@model_");
}

namespace {

/// What the header promises of the results.
std::string promise_of(const Parts& parts) {
  if (parts.is_fixed()) {
    return " * Sums become codes by integers alone: -D@MODEL_NO_FLOAT leaves out the functions that take or give "
           "floats.\n";
  }
  switch (parts.program.agreement) {
    case Agreement::Exact:
      return " * Sums become codes in floats of 32 bits, as docs/numerics.md of Detent says: the results are the same "
             "bit for bit.\n";
    case Agreement::Sums:
      return " * Sums of floats are added in one order, whatever the compiler and the processor: results are Detent's "
             "but for the\n * last bits.\n";
    case Agreement::Rounded:
      return " * Sums of floats are added in one order, whatever the compiler and the processor: results are Detent's "
             "but for the\n * last bits of such sums, and for a step where these decide which code a number "
             "becomes.\n";
  }
  return {};
}

}  // namespace

std::string write_header(const Parts& parts) {
  std::string text = "/* " + parts.options.name + ": " + comment(parts.options.title) +
                     "\n *\n * Written by Detent. Needs a C99 compiler, and nothing else: no library, no heap.\n" +
                     promise_of(parts) + " *\n" + shapes_of(parts) +
                     " *\n * All values of one run lie in an arena. -D@MODEL_NO_STATIC_ARENA leaves out the one of the "
                     "source, and the functions\n * that use it. */\n";
  text += "#ifndef @MODEL_H\n#define @MODEL_H\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
  text += macros_of(parts) + "\n/* The memory of one run: nothing needs to be in it, and nothing in it is kept. */\n" +
          (parts.program.keeps_numbers
               ? "typedef union {\n  uint8_t bytes[@MODEL_ARENA_BYTES];\n  float numbers[@MODEL_ARENA_BYTES / 4];\n}"
               : "typedef struct {\n  uint8_t bytes[@MODEL_ARENA_BYTES];\n}") +
          " @model_arena;\n\n" + functions_of(parts);
  text += "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
  return parts.with_prefix(text);
}

}  // namespace detent::interchange::c
