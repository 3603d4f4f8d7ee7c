#include "detent/evaluation/compare.h"

#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/report/comparison_table.h"
#include "detent/report/json_text.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

int compare(const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  check(!arguments.has("sample") || !arguments.has("images"),
        "compare: --sample compares one image; leave out --images");
  ConsoleReporter reporter(is_json);
  evaluation::Comparison comparison;
  in_pool(arguments, [&] {
    const quant::OpenedModel a = quant::open_model(arguments.positionals()[0]);
    const quant::OpenedModel b = quant::open_model(arguments.positionals()[1]);
    train::check_reads_alike(a, b);
    check(train::trained_on(a.attributes).normalization == train::trained_on(b.attributes).normalization,
          "compare: the models bring their inputs to other numbers, so every layer differs; detent eval takes them");
    train::RunData data = train::open_model_data(a, arguments.text("data"));
    reporter.message("data: " + data.description);
    if (arguments.has("sample")) {
      const std::int64_t sample = arguments.whole("sample", 0, 0, data.test.size() - 1);
      data.test = data.test.subset(std::span(&sample, 1));
    } else {
      data.test = data.test.take(arguments.whole("images", 1000, 1, std::int64_t{1} << 32));
    }
    comparison = evaluation::compare(a, b, data.test, data.normalization, reporter);
  });
  print(is_json ? report::json_text(report::to_json(comparison)) : report::to_text(comparison));
  return 0;
}

}  // namespace

Command compare_command() {
  return {.spec = {.name = "compare",
                   .positionals = "A.h5 B.h5",
                   .min_positionals = 2,
                   .max_positionals = 2,
                   .summary = "Where two forms of a model differ, layer by layer",
                   .example = "detent compare runs/mnist-cnn/fp32.h5 runs/mnist-cnn/int8.h5 --data mnist/\n"
                              "detent compare fp32.h5 int8.h5 --sample 17",
                   .options = {data_option(),
                               {"images", "N", "Compare on the first N test images (default: 1000)"},
                               {"sample", "N", "Compare on test image N alone"},
                               threads_option(),
                               json_option()}},
          .run = compare};
}

}  // namespace detent::cli
