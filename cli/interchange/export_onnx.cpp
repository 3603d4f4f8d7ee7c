#include "detent/cli/interchange/export_onnx.h"

#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/interchange/onnx/model_file.h"
#include "detent/interchange/onnx/out/export.h"
#include "detent/interchange/same/exported.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_table.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

onnx::Form form_of(const std::string& name) {
  try {
    return onnx::parse_form(name);
  } catch (const Error& error) {
    fail("export: --form: ", error.what(), hint(name, {"qdq", "qoperator", "integer"}));
  }
}

}  // namespace

int export_to_onnx(const Arguments& arguments, const quant::OpenedModel& model, const fs::path& out) {
  constexpr std::int64_t kOldest = 13, kNewest = 21;
  check(out.extension() == ".onnx", "export: -o ", out.string(), ": expected a name that ends in .onnx; write -o ",
        fs::path(out).replace_extension(".onnx").string());
  onnx::ExportOptions options{.form = form_of(arguments.text("form").value_or("qdq")),
                              .opset = arguments.has("opset") ? arguments.whole("opset", 0, kOldest, kNewest) : 0};
  onnx::Model made;
  in_pool(arguments, [&] {
    const interchange::Exported source = interchange::exported(model);
    options.model_sha256 = source.sha256;
    made = onnx::export_model(source.model, options);
  });
  onnx::write_model(made, out);
  const auto bytes = static_cast<std::int64_t>(fs::file_size(out));
  const std::int64_t opset = made.opsets.at("");
  if (arguments.has("json")) {
    print(report::json_text({{"format", "onnx"},
                             {"file", out.string()},
                             {"file_bytes", bytes},
                             {"opset", opset},
                             {"operations", made.nodes.size()},
                             {"model_sha256", options.model_sha256},
                             {"input", made.inputs[0].name},
                             {"output", made.outputs[0].name}}));
  } else {
    print("wrote " + out.string() + ", " + report::with_separators(bytes) +
          " bytes: " + report::with_separators(static_cast<std::int64_t>(made.nodes.size())) + " operations of opset " +
          std::to_string(opset) + ", from '" + made.inputs[0].name + "' to '" + made.outputs[0].name +
          "'\nmodel_sha256 " + options.model_sha256 + "\n");
  }
  return 0;
}

}  // namespace detent::cli
