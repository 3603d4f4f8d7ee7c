#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/cli/data_show.h"
#include "detent/data/digits.h"
#include "detent/data/fetch.h"
#include "detent/data/idx.h"
#include "detent/data/source.h"
#include "detent/report/json_text.h"

namespace detent::cli {
namespace {

// The options that one action has and the others do not.
constexpr std::array<std::pair<const char*, const char*>, 6> kOptionActions{{{"to", "fetch"},
                                                                             {"train", "export"},
                                                                             {"test", "export"},
                                                                             {"seed", "export"},
                                                                             {"recipe", "show"},
                                                                             {"set", "show"}}};

// Examples of each class; of values none.
std::vector<std::int64_t> counts_of(const data::Dataset& dataset) {
  return dataset.targets == data::TargetKind::kValues ? std::vector<std::int64_t>()
                                                      : data::class_counts(dataset, dataset.classes);
}

nlohmann::json part_json(const data::Dataset& dataset) {
  const Shape shape = dataset.example_shape();
  return {{"images", dataset.size()},
          {"shape", std::vector<std::int64_t>(shape.extents().begin(), shape.extents().end())},
          {"classes", dataset.classes},
          {"images_by_class", counts_of(dataset)}};
}

std::string part_text(const std::string& name, const data::Dataset& dataset) {
  std::ostringstream text;
  text << "  " << name << ": " << dataset.size() << (dataset.has_images() ? " images " : " examples ")
       << dataset.example_shape() << (dataset.targets == data::TargetKind::kValues ? "" : ", by class");
  for (const std::int64_t count : counts_of(dataset)) {
    text << ' ' << count;
  }
  return text.str() + "\n";
}

int info(const Arguments& arguments) {
  data::SourceOptions options;
  if (arguments.positionals().size() > 1) {
    options.folder = arguments.positionals()[1];
  }
  data::DataSource source;
  in_pool(arguments, [&] { source = data::open_data(options); });
  if (arguments.has("json")) {
    print(report::json_text({{"name", source.name},
                             {"description", source.description},
                             {"is_builtin", source.is_builtin},
                             {"train", part_json(source.train)},
                             {"test", part_json(source.test)}}));
  } else {
    print(source.description + "\n" + part_text("train", source.train) + part_text("test", source.test));
  }
  return 0;
}

int fetch(const Arguments& arguments) {
  const std::vector<std::string>& names = arguments.positionals();
  check(names.size() == 2 && names[1] == "mnist", "data fetch: expected mnist; write detent data fetch mnist");
  const auto cache = data::cache_folder();
  check(arguments.has("to") || cache,
        "data fetch: neither HOME nor XDG_CACHE_HOME is set; name a folder with --to DIR");
  const std::filesystem::path folder =
      arguments.has("to") ? std::filesystem::path(*arguments.text("to")) : *cache / "mnist";
  const std::vector<std::string> files = data::fetch(data::mnist_remote(), folder, [](const data::FetchProgress&) {
    if (is_stop_requested()) {
      throw Interrupted();
    }
  });
  if (arguments.has("json")) {
    print(report::json_text({{"folder", folder.string()}, {"downloaded", files}}));
  } else {
    print(fmt::format("mnist is in {} ({} files downloaded, all checked)\n", folder.string(), files.size()));
  }
  return 0;
}

int export_digits(const Arguments& arguments) {
  const std::vector<std::string>& names = arguments.positionals();
  check(names.size() == 3 && names[1] == "digits",
        "data export: expected digits and a folder; write detent data export digits DIR");
  data::DigitsOptions options;
  options.train = arguments.whole("train", options.train, 10, 10000000);
  options.test = arguments.whole("test", options.test, 10, 10000000);
  options.seed = static_cast<std::uint64_t>(arguments.whole("seed", 1, 0, std::int64_t{1} << 53));
  check(!data::has_idx_files(names[2]), "data export: ", names[2],
        ": has a data set already, which would be overwritten; name another folder, or remove its files first");
  in_pool(arguments, [&] { data::write_idx_folder(names[2], data::make_digits(options)); });
  if (arguments.has("json")) {
    print(report::json_text({{"folder", names[2]}, {"train", options.train}, {"test", options.test}}));
  } else {
    print(fmt::format("wrote {} training and {} test images to {}\n", options.train, options.test, names[2]));
  }
  return 0;
}

int data_main(const Arguments& arguments) {
  const std::vector<std::string> actions{"show", "info", "fetch", "export"};
  const std::string action = arguments.positionals()[0];
  for (const auto& [option, its_action] : kOptionActions) {
    check(!arguments.has(option) || action == its_action || !std::ranges::count(actions, action), "data ", action,
          ": --", option, " is an option of detent data ", its_action);
  }
  if (action == "show") {
    check(arguments.positionals().size() <= 2,
          "data show: expected at most one folder or file; write detent data show ", "DIR");
    return show_data(arguments);
  }
  if (action == "info") {
    check(arguments.positionals().size() <= 2, "data info: expected at most one folder; write detent data info DIR");
    return info(arguments);
  }
  if (action == "fetch") {
    return fetch(arguments);
  }
  if (action == "export") {
    return export_digits(arguments);
  }
  fail("data: unknown action '", action, "'", hint(action, actions), " `detent data --help` lists them");
}

}  // namespace

Command data_command() {
  return {.spec = {.name = "data",
                   .positionals = "show [PATH] | info [PATH] | fetch mnist | export digits DIR",
                   .min_positionals = 1,
                   .max_positionals = 3,
                   .summary = "Show, download or write data sets",
                   .example = "detent data show photos/ --set data.image_size=64    # understood so: classes, sizes, "
                              "what looks wrong\n"
                              "detent data show iris.csv --set data.label=species\n"
                              "detent data info mnist/\n"
                              "detent data fetch mnist\n"
                              "detent data export digits digits/ --train 60000 --test 10000",
                   .options = {{"to", "DIR", "fetch: the folder to download to (default: the user's cache)"},
                               {"train", "N", "export: training images (default: 40000)"},
                               {"test", "N", "export: test images (default: 4000)"},
                               {"seed", "N", "export: seed of the digits (default: 1)"},
                               {"recipe", "RECIPE", "show: what its [data] says"},
                               {"set", "KEY=VALUE", "show: a key of [data], data.label=NAME; can be given again"},
                               threads_option(),
                               json_option()},
                   .names = {{"show", "What is understood of data: classes, counts, shapes, ranges, what looks wrong"},
                             {"info", "Shapes and counts alone"},
                             {"fetch", "Download MNIST"},
                             {"export", "Write the built-in digits as IDX files"},
                             {"PATH", "A folder or file of data; without one, what a recipe that names none would use"},
                             {"DIR", "A folder to write to"}}},
          .run = data_main};
}

}  // namespace detent::cli
