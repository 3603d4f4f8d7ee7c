#include "detent/recipes/published/reproduce.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/report/json_text.h"
#include "detent/report/reproduction_table.h"

namespace detent::cli {
namespace {

int list_tables(bool is_json) {
  nlohmann::json json = nlohmann::json::array();
  std::string text;
  for (const recipes::PublishedTable& table : recipes::published_tables()) {
    nlohmann::json rows = nlohmann::json::array();
    std::string names;
    for (const recipes::PublishedRow& row : table.rows) {
      rows.push_back(row.name);
      names += (names.empty() ? "" : ", ") + row.name;
    }
    json.push_back({{"name", table.name}, {"description", table.description}, {"rows", std::move(rows)}});
    text += fmt::format("{:<8}{}; rows {}\n", table.name, table.description, names);
  }
  print(is_json ? report::json_text({{"tables", json}}) : text);
  return 0;
}

int reproduce(const Arguments& arguments) {
  const bool is_json = arguments.has("json");
  if (arguments.positionals().empty()) {
    return list_tables(is_json);
  }
  const recipes::PublishedTable table = recipes::published_table(arguments.positionals()[0]);
  recipes::ReproduceOptions options;
  options.out = arguments.text("out").value_or("runs/reproduce-" + table.name);
  options.seeds = arguments.whole("seeds", options.seeds, 1, recipes::kMostSeeds);
  options.only = arguments.texts("only");
  options.threads = threads_of(arguments);
  if (arguments.has("epochs")) {
    options.epochs = arguments.whole("epochs", 1, 1, 1000000);
  }
  options.record = record_of(arguments);
  if (const auto folder = arguments.text("data")) {
    options.data = *folder;
  }
  ConsoleReporter reporter(is_json);
  evaluation::Reproduction result;
  in_pool(arguments, [&] { result = recipes::reproduce(table, options, reporter); });
  print(is_json ? report::json_text(report::to_json(result))
                : "\n" + report::to_markdown(result) + fmt::format("\nfiles in {}\n", options.out.string()));
  const std::vector<std::string> failures = result.failures();
  for (const std::string& failure : failures) {
    print_error("detent: check failed: " + failure);
  }
  return failures.empty() ? 0 : 1;
}

}  // namespace

Command reproduce_command() {
  return {.spec = {.name = "reproduce",
                   .positionals = "[TABLE]",
                   .max_positionals = 1,
                   .summary = "Train the models of a published table, and print ours beside theirs",
                   .example = "detent reproduce\n"
                              "detent reproduce lenet\n"
                              "detent reproduce tfc --seeds 5 --only 2/2 --epochs 50",
                   .options = {data_option(),
                               {"seeds", "N", "How often, from seeds 1 to N (default: 3)"},
                               {"only", "ROW", "Of the rows this one; can be given again (default: all)"},
                               {"epochs", "N", "Of each training, in float and on codes (default: as the table says)"},
                               {"out", "DIR",
                                "Folder for the results (default: runs/reproduce-TABLE); what is there "
                                "is used again"},
                               threads_option(),
                               json_option()},
                   .names = {{"TABLE", "A published table; without one, those that there are"}}},
          .run = reproduce};
}

}  // namespace detent::cli
