#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/console.h"
#include "recipes/json_text.h"
#include "recipes/run.h"

namespace detent::cli {
namespace {

int run(const Arguments& arguments) {
  const recipes::Recipe recipe = recipes::load_recipe(arguments.positionals()[0], arguments.texts("set"));
  const bool is_json = arguments.has("json");
  recipes::RunOptions options;
  options.out = arguments.text("out").value_or("runs/" + recipe.name);
  options.seed = static_cast<std::uint64_t>(arguments.whole("seed", 1, 0, std::int64_t{1} << 53));
  options.threads = threads_of(arguments);
  options.strict = arguments.has("strict");
  options.profile = arguments.has("profile");
  if (const auto folder = arguments.text("data")) {
    options.data = *folder;
  }

  ConsoleReporter reporter(is_json);
  recipes::Metrics metrics;
  in_pool(arguments, [&] { metrics = recipes::run(recipe, options, reporter); });
  if (is_json) {
    print(recipes::json_text(recipes::to_json(metrics)));
  } else {
    print(recipes::to_text(metrics) + fmt::format("  files in {}\n", options.out.string()));
  }
  for (const std::string& failure : metrics.failures) {
    print_error("detent: check failed: " + failure);
  }
  return metrics.failures.empty() ? 0 : 1;
}

}  // namespace

Command run_command() {
  return {.spec = {.name = "run",
                   .positionals = "RECIPE",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Run a recipe: train, quantize, convert, verify, report",
                   .example = "detent run mnist-cnn\n"
                              "detent run mnist-mlp --data mnist/ --seed 2 --set train.epochs=3 --set train.batch=64\n"
                              "detent run my.toml --out runs/mine --json > metrics.json",
                   .options = {data_option(),
                               {"out", "DIR", "Folder for the results (default: runs/<recipe>)"},
                               {"seed", "N", "Seed of everything random (default: 1)"},
                               threads_option(),
                               {"set", "KEY=VALUE", "Override a key of the recipe; can be given again"},
                               {"strict", "", "Fail if a module stays in float that the recipe does not keep in float"},
                               {"profile", "",
                                "Tell where the time of training went, by module and phase, and what it saved"},
                               json_option()}},
          .run = run};
}

}  // namespace detent::cli
