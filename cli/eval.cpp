#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/evaluation/evaluate.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/json_text.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

int eval(const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  const std::string file = arguments.positionals()[0];
  ConsoleReporter reporter(is_json);
  evaluation::Evaluation result;
  quant::OpenedModel model;
  train::RunData data;
  in_pool(arguments, [&] {
    model = quant::open_model(file);
    data = train::open_model_data(model, arguments.text("data"));
    reporter.message("data: " + data.description);
    result = model.model() != nullptr ? evaluation::evaluate(*model.model(), data.test, data.normalization, reporter)
                                      : evaluation::evaluate(*model.graph(), data.test, data.normalization, reporter);
  });
  const std::size_t images = result.predictions.size();
  if (is_json) {
    print(report::json_text({{"model", file},
                             {"kind", model.kind},
                             {"dataset", data.name},
                             {"dataset_description", data.description},
                             {"images", images},
                             {"correct", result.correct},
                             {"test_accuracy", result.accuracy()},
                             {"seconds", result.seconds}}));
  } else {
    print(fmt::format("{} ({}): {:.2f} % of {} test images right, {:.0f} images/s\n", file, model.kind,
                      100.0 * result.accuracy(), images, static_cast<double>(images) / result.seconds));
  }
  return 0;
}

}  // namespace

Command eval_command() {
  return {.spec = {.name = "eval",
                   .positionals = "MODEL.h5",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Accuracy of a model (float, QAT or int8) on the test set",
                   .example = "detent eval runs/mnist-cnn/int8.h5 --data mnist/",
                   .options = {data_option(), threads_option(), json_option()}},
          .run = eval};
}

}  // namespace detent::cli
