#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/processor/detected.h"
#include "detent/core/threads/parallel.h"
#include "detent/evaluation/record/versions.h"
#include "detent/recipes/library_versions.h"
#include "detent/report/json_text.h"

namespace detent::cli {
namespace {

LibraryVersions libraries() {
  LibraryVersions all = evaluation::library_versions();
  all.merge(recipes::library_versions());
  all.emplace("cxxopts", cxxopts_version());
  return all;
}

// What the environment says of the units that may be used.
std::map<std::string, std::string> limits() {
  std::map<std::string, std::string> set;
  for (const char* const name : {"DETENT_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA"}) {
    if (const char* const value = std::getenv(name)) {
      set.emplace(name, value);
    }
  }
  return set;
}

nlohmann::json to_json(const ProcessorUnits& units) {
  return {{"class", std::string(class_of(units))}, {"features", names_of(units)}};
}

// "AVX2: avx2"
std::string to_text(const ProcessorUnits& units) {
  std::string text(class_of(units));
  std::string separator = ": ";
  for (const std::string& name : names_of(units)) {
    text += separator + name;
    separator = ", ";
  }
  return text;
}

int version(const Arguments& arguments) {
  const ProcessorUnits has = detected_units();
  const ProcessorUnits& used = processor_units();
  if (arguments.has("json")) {
    nlohmann::json processor = to_json(has);
    processor["name"] = processor_name();
    processor["threads"] = hardware_threads();
    nlohmann::json in_use = to_json(used);
    in_use["limits"] = limits();
    print(report::json_text({{"detent", evaluation::program_version()},
                             {"compiler", evaluation::compiler_version()},
                             {"libraries", libraries()},
                             {"processor", std::move(processor)},
                             {"in_use", std::move(in_use)}}));
    return 0;
  }
  std::string text = fmt::format("detent {}\n", evaluation::program_version());
  const std::string name = processor_name();
  text += fmt::format("compiler   {}\n", evaluation::compiler_version());
  text += fmt::format("processor  {}, {} threads\n", name.empty() ? "without a name" : name, hardware_threads());
  text += fmt::format("  has      {}\n", to_text(has));
  text += fmt::format("  in use   {}", has == used ? "all of it" : to_text(used));
  for (const auto& [variable, value] : limits()) {
    text += fmt::format(" ({}={})", variable, value);
  }
  text += "\nlibraries\n";
  for (const auto& [library, its_version] : libraries()) {
    text += fmt::format("  {:<15}{}\n", library, its_version);
  }
  print(text);
  return 0;
}

}  // namespace

Command version_command() {
  return {.spec = {.name = "version",
                   .positionals = "",
                   .summary = "Versions of the program and its libraries, and what the processor can do",
                   .example = "detent version\n"
                              "DETENT_MAX_CPU_ISA=avx2 detent --version --json",
                   .options = {json_option()}},
          .run = version};
}

}  // namespace detent::cli
