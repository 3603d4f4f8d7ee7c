#include "detent/quant/passes/convert.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_json.h"
#include "detent/report/metrics_table.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

// A model is written to a file of its own, in the one format that there is.
void check_target(const std::string& source, const std::string& target) {
  const fs::path path(target);
  check(path.extension() == ".h5" || path.extension() == ".hdf5", "convert: -o ", target,
        ": expected a name that ends in .h5 or .hdf5, for models are written as HDF5; write -o ",
        fs::path(path).replace_extension(".h5").string());
  std::error_code ignored;
  check(!fs::equivalent(source, path, ignored), "convert: -o ", target, ": is the model that is converted, ", source,
        "; name another file, for the model in training cannot be made again from its int8 form");
}

int convert(const Arguments& arguments) {
  const std::string source = arguments.positionals()[0];
  const std::optional<std::string> target = arguments.text("output");
  check(target.has_value(), "convert: expected an output file; write detent convert ", source, " -o int8.h5");
  check_target(source, *target);
  std::vector<quant::LedgerRow> ledger;
  in_pool(arguments, [&] {
    const quant::OpenedModel model = quant::open_model(source);
    check(model.kind == "qat", source, ": expected a model that was prepared for int8 (qat.h5), got kind '", model.kind,
          "'");
    quant::Converted converted = quant::convert(*model.graph());
    if (arguments.has("strict")) {
      quant::check_strict(converted.ledger);
    }
    ledger = converted.ledger;
    runtime::save_model({.model = std::move(converted.model), .attributes = model.attributes}, *target);
  });
  if (arguments.has("json")) {
    print(report::json_text(
        {{"model", *target}, {"model_bytes", fs::file_size(*target)}, {"ledger", report::to_json(ledger)}}));
  } else {
    print(quant::to_text(ledger) + "wrote " + *target + ", " +
          report::with_separators(static_cast<std::int64_t>(fs::file_size(*target))) + " bytes\n");
  }
  return 0;
}

}  // namespace

Command convert_command() {
  return {.spec = {.name = "convert",
                   .positionals = "QAT.h5",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Convert a model from quantization-aware training to int8",
                   .example = "detent convert runs/mnist-cnn/qat.h5 -o int8.h5",
                   .options = {{"o,output", "FILE.h5", "The int8 model to write"},
                               {"strict", "", "Fail if a module stays in float that was not kept in float"},
                               threads_option(),
                               json_option()}},
          .run = convert};
}

}  // namespace detent::cli
