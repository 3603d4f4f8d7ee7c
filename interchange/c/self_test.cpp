#include "detent/interchange/c/sources.h"

namespace detent::interchange::c {
namespace {

std::string rows_of(const std::string& name, const Tensor& rows) {
  const std::int64_t count = rows.shape()[0];
  const auto elements = static_cast<std::size_t>(rows.shape()[1]);
  std::string text = "static const uint8_t " + name + "[" + number(count) + "][" + number(rows.shape()[1]) + "] = {";
  for (std::int64_t n = 0; n < count; ++n) {
    const auto row = rows.data<std::uint8_t>().subspan(static_cast<std::size_t>(n) * elements, elements);
    text += (n == 0 ? "\n    " : ",\n    ") + braces(row, "        ");
  }
  return text + "};\n\n";
}

}  // namespace

std::string write_self_test(const Parts& parts, const Golden& golden) {
  std::string text =
      "/* " + parts.options.name +
      ": examples, as codes, and the codes that Detent computes of them. Compile it with the model's "
      "source\n * and run it: exit status 0 says that none differs. -D@MODEL_NO_MAIN leaves out main. */\n"
      "#include \"" +
      parts.options.name + ".h\"\n\n#define @MODEL_EXAMPLES " + number(golden.examples) + "\n\n";
  std::string arguments;
  for (std::size_t i = 0; i < golden.entries.size(); ++i) {
    text += rows_of(parts.program.entries[i].name, golden.entries[i]);
    arguments += parts.program.entries[i].name + "[n], ";
  }
  text += rows_of("expected", golden.result);
  text += "static @model_arena arena;\nstatic uint8_t codes[@MODEL_OUTPUT_ELEMENTS];\n\n";
  text += replaced(kernel("self_test"), "@MODEL_EXAMPLE(n), ", arguments);
  return parts.with_prefix(replaced(text, "@MODEL_NAME", parts.options.name));
}

}  // namespace detent::interchange::c
