#include "quant/convert.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/console.h"
#include "kernels/parallel.h"
#include "nn/model_file.h"
#include "recipes/json_text.h"
#include "recipes/metrics.h"

namespace detent::cli {
namespace {

int convert(const Arguments& arguments) {
  const std::string source = arguments.positionals()[0];
  const std::optional<std::string> target = arguments.text("output");
  check(target.has_value(), "convert: expected an output file; write detent convert ", source, " -o int8.h5");
  std::vector<quant::LedgerRow> ledger;
  ThreadPool pool(threads_of(arguments));
  pool.run([&] {
    nn::Model model = nn::load_model(source, quant::module_kinds());
    check(model.kind == "qat", source, ": expected a model that was prepared for int8 (qat.h5), got kind '", model.kind,
          "'");
    quant::Converted converted = quant::convert(model.graph);
    if (arguments.has("strict")) {
      quant::check_strict(converted.ledger);
    }
    ledger = converted.ledger;
    model.graph = converted.graph;
    model.kind = "int8";
    nn::save_model(model, *target);
  });
  if (arguments.has("json")) {
    print(recipes::json_text({{"model", *target},
                              {"model_bytes", std::filesystem::file_size(*target)},
                              {"ledger", recipes::to_json(ledger)}}));
  } else {
    print(quant::to_text(ledger) + "wrote " + *target + ", " +
          recipes::with_separators(static_cast<std::int64_t>(std::filesystem::file_size(*target))) + " bytes\n");
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
                   .options = {{"o,output", "FILE", "The int8 model to write"},
                               {"strict", "", "Fail if a module stays in float that was not kept in float"},
                               threads_option(),
                               json_option()}},
          .run = convert};
}

}  // namespace detent::cli
