#pragma once

#include <functional>

#include "detent/cli/arguments.h"
#include "detent/evaluation/record/run_record.h"
#include "detent/recipes/recipe.h"

namespace detent::cli {

/// A subcommand: what it takes, and what it does. The exit status is 0, or 1 for a check that failed; a wrong call or
/// input is an Error, and 2.
struct Command {
  CommandSpec spec;
  int (*run)(const Arguments& arguments);
};

/// One function a subcommand, each in the file of its name.
Command run_command();
Command quantize_command();
Command ls_command();
Command eval_command();
Command predict_command();
Command monitor_command();
Command convert_command();
Command export_command();
Command verify_command();
Command compare_command();
Command sensitivity_command();
Command allocate_command();
Command inspect_command();
Command data_command();
Command bench_command();
Command reproduce_command();
Command repeat_command();
Command report_command();
Command import_command();
Command same_command();
Command weights_command();
Command dump_command();
Command version_command();
Command completion_command();

/// All of them, in the order of the overview.
std::vector<Command> commands();

/// Runs a recipe as `run` does, with the options that run_options lists, and prints what came of it.
int run_recipe(const recipes::Recipe& recipe, const Arguments& arguments);
std::vector<OptionSpec> run_options();
/// What the command line says for the record of a run.
evaluation::RunRecord record_of(const Arguments& arguments);

/// Options that several subcommands have.
OptionSpec data_option();
OptionSpec threads_option();
OptionSpec json_option();
/// The value of --threads: all processors by default.
int threads_of(const Arguments& arguments);
/// Runs `work` in a pool of so many threads, until a signal asks for the end (Interrupted).
void in_pool(const Arguments& arguments, const std::function<void()>& work);

}  // namespace detent::cli
