#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/io/description.h"
#include "detent/recipes/ladder/ladder.h"
#include "detent/recipes/run.h"
#include "detent/report/json_text.h"
#include "detent/report/ladder_table.h"
#include "detent/report/metrics_json.h"
#include "detent/report/metrics_table.h"
#include "detent/train/output_folder.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

train::Existing existing_of(const Arguments& arguments) {
  check(!arguments.has("resume") || !arguments.has("overwrite"),
        "--resume and --overwrite: expected one of them, for a run either goes on or begins anew");
  return arguments.has("resume")      ? train::Existing::Resume
         : arguments.has("overwrite") ? train::Existing::Replace
                                      : train::Existing::Refuse;
}

int status_of(const std::vector<std::string>& failures) {
  for (const std::string& failure : failures) {
    print_error("detent: check failed: " + failure);
  }
  return failures.empty() ? 0 : 1;
}

std::uint64_t seed_of(const Arguments& arguments) {
  return static_cast<std::uint64_t>(arguments.whole("seed", 1, 0, std::int64_t{1} << 53));
}

int run_ladder(const std::string& name, const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  for (const char* const of_one : {"profile", "tensorboard"}) {
    check(!arguments.has(of_one), "run: --", of_one, " is of one training, and ", arguments.positionals()[0],
          " has several; leave it out");
  }
  recipes::LadderOptions options{.overrides = arguments.texts("set"),
                                 .out = arguments.text("out").value_or("runs/" + name),
                                 .seed = seed_of(arguments),
                                 .threads = threads_of(arguments),
                                 .record = record_of(arguments),
                                 .strict = arguments.has("strict")};
  if (const auto folder = arguments.text("data")) {
    options.data = *folder;
  }
  ConsoleReporter reporter(is_json);
  evaluation::Ladder ladder;
  in_pool(arguments, [&] { ladder = recipes::climb(arguments.positionals()[0], options, reporter); });
  print(is_json ? report::json_text(report::to_json(ladder))
                : "\n" + report::to_markdown(ladder) + fmt::format("\nfiles in {}\n", options.out.string()));
  return status_of(ladder.failures());
}

int tell_finished(const train::AlreadyFinished& finished, bool is_json) {
  if (is_json) {
    std::ifstream in(finished.metrics(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    print(report::json_text(parse_description(finished.metrics().string(), text)));
  } else {
    print(fmt::format("the run is finished: nothing is left to do\n  files in {}\n",
                      finished.metrics().parent_path().string()));
  }
  return status_of(finished.failures());
}

}  // namespace

evaluation::RunRecord record_of(const Arguments& arguments) {
  std::error_code ignored;  // the current folder may be gone
  return {.command = arguments.command(),
          .folder = fs::current_path(ignored).string(),
          .data = arguments.text("data").value_or("")};
}

int run_recipe(const recipes::Recipe& recipe, const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  train::RunOptions options;
  options.out = arguments.text("out").value_or("runs/" + recipe.name);
  options.seed = seed_of(arguments);
  options.threads = threads_of(arguments);
  options.strict = arguments.has("strict");
  options.profile = arguments.has("profile");
  options.events = arguments.has("tensorboard");
  options.existing = existing_of(arguments);
  options.checkpoint_seconds = static_cast<double>(arguments.whole("checkpoint-seconds", 30, 0, 1000000));
  options.record = record_of(arguments);
  if (const auto folder = arguments.text("data")) {
    options.data = *folder;
  }

  ConsoleReporter reporter(is_json);
  evaluation::Metrics metrics;
  try {
    in_pool(arguments, [&] { metrics = recipes::run(recipe, options, reporter); });
  } catch (const train::AlreadyFinished& finished) {
    return tell_finished(finished, is_json);
  } catch (const Interrupted&) {
    if (!fs::exists(options.out / train::kCheckpointFile)) {
      throw;
    }
    print_error("detent: interrupted, and saved; to go on: " + arguments.command() +
                (arguments.has("resume") ? "" : " --resume"));
    return 130;
  }
  if (is_json) {
    print(report::json_text(report::to_json(metrics)));
  } else {
    print(report::to_text(metrics) + fmt::format("  files in {0}; look at {0}/report.html\n", options.out.string()));
  }
  return status_of(metrics.failures);
}

std::vector<OptionSpec> run_options() {
  return {data_option(),
          {"out", "DIR", "Folder for the results (default: runs/<recipe>)"},
          {"resume", "", "Go on with the run in that folder, which was cut off"},
          {"overwrite", "", "Begin anew where a run was cut off"},
          {"checkpoint-seconds", "N", "From one checkpoint to the next; 0: one after each step (default: 30)"},
          {"seed", "N", "Seed of everything random (default: 1)"},
          threads_option(),
          {"set", "KEY=VALUE", "Override a key of the recipe; can be given again"},
          {"strict", "", "Fail if a module stays in float that the recipe does not keep in float"},
          {"profile", "", "Tell where the time of training went, by module and phase, and what it saved"},
          {"tensorboard", "", "Write an event file for TensorBoard into that folder, too, epoch by epoch"},
          json_option()};
}

Command run_command() {
  return {.spec = {.name = "run",
                   .positionals = "RECIPE",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Run a recipe: train, quantize, convert, verify, report",
                   .example = "detent run mnist-cnn\n"
                              "detent run mnist-mlp --data mnist/ --seed 2 --set train.epochs=3 --set train.batch=64\n"
                              "detent run my.toml --out runs/mine --json > metrics.json\n"
                              "detent run my.toml --out runs/mine --resume\n"
                              "detent run mnist-ladder",
                   .options = run_options()},
          .run = [](const Arguments& arguments) {
            const recipes::Recipe recipe = recipes::load_recipe(arguments.positionals()[0], arguments.texts("set"));
            return recipe.rungs.empty() ? run_recipe(recipe, arguments) : run_ladder(recipe.name, arguments);
          }};
}

}  // namespace detent::cli
