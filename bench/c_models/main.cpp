// Models as C, compiled by every compiler that is here, against Detent:
//
//   c_models [--data DIR] [--images N] [--others N] [NAME=]MODEL...
//
// MODEL is a model file, or a folder: then every int8.h5 in it. Each is exported with f32 and, where it has such a
// form, with fixed-point requantization, compiled without a warning under kFlags, and run on the first N images of the
// test set (default 10,000) by gcc, and on `--others` (default 500) by the rest and under the sanitizers. What every
// layer gives is compared with Detent's plan of the same rounding. Prints a table in Markdown; exit status 1 says that
// something differs.
//
// Sums of f32 have an order of their own in C. Of models that have them the results may be farther from Detent's than
// the last bits only as docs/export-c.md says, and all compilers must give the bits that gcc gives.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>
#include <optional>

#include "bench/c_models/compiled.h"
#include "bench/c_models/expected.h"
#include "detent/core/threads/parallel.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/metrics_table.h"
#include "detent/train/run_data.h"

namespace detent::bench {
namespace {

namespace c = interchange::c;
namespace fs = std::filesystem;

constexpr const char* kCompilers[] = {"gcc -O3", "clang -O2", "gcc -m32 -O2",
                                      "gcc -O1 -fsanitize=address,undefined -fno-sanitize-recover=all",
                                      "clang -O1 -fsanitize=undefined -fno-sanitize-recover=all"};

struct Request {
  std::vector<std::pair<std::string, std::string>> models = {};  ///< name and file
  std::optional<fs::path> data = {};
  std::int64_t images = 0;
  std::int64_t others = 0;
};

/// "1.2e-07"
std::string small(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1e", number);
  return text.data();
}

std::string grouped(std::int64_t count) { return report::with_separators(count); }

void add_models(Request& request, const std::string& argument) {
  const std::size_t equals = argument.find('=');
  const fs::path path = equals == std::string::npos ? argument : argument.substr(equals + 1);
  const std::string name = equals == std::string::npos ? path.filename().string() : argument.substr(0, equals);
  if (!fs::is_directory(path)) {
    request.models.emplace_back(name, path.string());
    return;
  }
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    if (entry.path().filename() == "int8.h5") {
      found.push_back(entry.path());
    }
  }
  std::ranges::sort(found);
  check(!found.empty(), path.string(), ": expected a folder with an int8.h5 in it");
  for (const fs::path& file : found) {
    const std::string within = fs::relative(file.parent_path(), path).string();
    request.models.emplace_back(within == "." ? name : name + "/" + within, file.string());
  }
}

/// Nothing where `--help` was asked for, and printed.
std::optional<Request> request_of(int count, char** arguments) {
  cxxopts::Options options("c_models", "Models as C, compiled by every compiler that is here, against Detent.");
  options.positional_help("[NAME=]MODEL...");
  options.add_options()("data", "The data set that the models are run on; else the one that each was trained on.",
                        cxxopts::value<std::string>(), "DIR");
  options.add_options()("images", "How many images of the test set gcc's programs are run on.",
                        cxxopts::value<std::int64_t>()->default_value("10000"), "N");
  options.add_options()("others", "How many of them the programs of other compilers and of sanitizers are run on.",
                        cxxopts::value<std::int64_t>()->default_value("500"), "N");
  options.add_options()("h,help", "Prints this.");
  options.add_options("positional")("models", "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional("models");
  const cxxopts::ParseResult parsed = options.parse(count, arguments);
  if (parsed.count("help") > 0) {
    std::cout << options.help({""});
    return std::nullopt;
  }
  check(parsed.count("models") > 0, "expected models; write c_models [--data DIR] NAME=MODEL.h5...");
  Request request{.images = parsed["images"].as<std::int64_t>(), .others = parsed["others"].as<std::int64_t>()};
  check(request.images > 0 && request.others > 0, "--images and --others: expected a number above zero");
  if (parsed.count("data") > 0) {
    request.data = parsed["data"].as<std::string>();
  }
  for (const std::string& model : parsed["models"].as<std::vector<std::string>>()) {
    add_models(request, model);
  }
  return request;
}

/// A line of the table. Returns whether all is as it must be.
bool compare(const std::string& name, const runtime::Model& model, c::Requantize requantize, const Tensor& images,
             std::int64_t others) {
  const c::Program program = c::make_program(model, requantize);
  const c::Export made =
      c::export_c(model, {.name = "net", .title = name, .requantize = requantize}, c::drawn_examples(model, 2));
  const std::vector<std::uint32_t> digests = digests_of(program, requantize, images);
  const Tensor results = results_of(program, requantize, images);
  CompiledModel compiled(made, program, images);
  bool is_well = true;
  std::string line;
  Given gcc;
  for (const char* const compiler : kCompilers) {
    const bool is_first = compiler == kCompilers[0];
    const std::int64_t count = is_first ? images.shape()[0] : std::min(others, images.shape()[0]);
    const std::optional<Given> given = compiled.run(compiler, count);
    if (!given) {
      check(!is_first, compiler, ": makes no programs here");
      line += " - |";
      continue;
    }
    const bool is_exact = program.agreement == c::Agreement::Exact;
    const std::int64_t differing = is_exact   ? differing_digests(given->digests, digests)
                                   : is_first ? beyond_tolerance(given->results, results, program.agreement)
                                              : differing_digests(given->digests, gcc.digests);
    is_well &= differing == 0;
    line += " " + grouped(differing) + " |";
    if (is_first) {
      gcc = *given;
      line = " " + grouped(count) + " |" + line;
      const Distance distance = distance_of(given->results, results);
      line += " " + (distance.largest == 0 ? std::string("0") : small(distance.largest)) + " | " +
              grouped(distance.predictions) + " |";
    }
  }
  std::cout << "| " << name << " | " << (requantize == c::Requantize::F32 ? "f32" : "fixed") << " | "
            << grouped(made.products) << " | " << grouped(compiled.object_bytes()) << " | " << grouped(made.arena_bytes)
            << " | " << grouped(compiled.program_bytes()) << " |" << line << std::endl;
  return is_well;
}

Tensor first_images(const quant::OpenedModel& opened, const Request& request) {
  const train::RunData data = train::open_model_data(opened, request.data);
  const std::int64_t count = std::min(request.images, data.test.size());
  data::Loader loader(data.test.take(count), {.batch = count, .normalization = data.normalization});
  data::Batch batch;
  loader.next(batch);
  return batch.examples.clone();
}

int run(const Request& request) {
  std::cout << "| model | requantize | products | flash | arena | program | images | gcc | farthest | predictions | "
               "clang | -m32 | gcc, sanitizers | clang, sanitizer |\n| --- | --- | --- | --- | --- | --- | --- | --- | "
               "--- | --- | --- | --- | --- | --- |\n";
  bool is_well = true;
  for (const auto& [name, file] : request.models) {
    quant::OpenedModel opened = quant::open_model(file);
    const Tensor images = first_images(opened, request);
    const runtime::Model model = opened.model() != nullptr ? *opened.model() : quant::lower(*opened.graph());
    for (const c::Requantize requantize : {c::Requantize::F32, c::Requantize::Fixed}) {
      try {
        c::make_program(model, requantize);
      } catch (const Error& error) {
        if (requantize == c::Requantize::F32) {
          throw;
        }
        continue;  // without a form in fixed point
      }
      is_well &= compare(name, model, requantize, images, request.others);
    }
  }
  return is_well ? 0 : 1;
}

}  // namespace
}  // namespace detent::bench

int main(int count, char** arguments) {
  try {
    int status = 0;
    if (const auto request = detent::bench::request_of(count, arguments)) {
      detent::ThreadPool(detent::hardware_threads()).run([&] { status = detent::bench::run(*request); });
    }
    return status;
  } catch (const std::exception& error) {
    std::cerr << "c_models: " << error.what() << '\n';
    return 2;
  }
}
