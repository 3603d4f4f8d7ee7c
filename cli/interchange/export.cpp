#include <filesystem>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/cli/interchange/export_onnx.h"
#include "detent/cli/interchange/pixels.h"
#include "detent/core/text/list_text.h"
#include "detent/data/loader.h"
#include "detent/interchange/c/export.h"
#include "detent/interchange/c/text.h"
#include "detent/interchange/same/exported.h"
#include "detent/io/tensor_file.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_table.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

namespace c = interchange::c;
namespace fs = std::filesystem;

c::Requantize requantize_of(const std::string& name) {
  check(name == "f32" || name == "fixed", "export: --requantize: expected f32 or fixed, got '", name, "'",
        hint(name, {"f32", "fixed"}), " f32 gives Detent's codes, fixed computes with integers alone");
  return name == "f32" ? c::Requantize::F32 : c::Requantize::Fixed;
}

/// What the sources are called: as --name says, else as the recipe that made the model.
std::string name_of(const Arguments& arguments, const quant::OpenedModel& model) {
  const auto recipe = model.attributes.find("recipe");
  const auto* const text = recipe == model.attributes.end() ? nullptr : std::get_if<std::string>(&recipe->second);
  std::string made = text == nullptr ? "" : c::identifier(*text);
  if (made.empty() || (made[0] >= '0' && made[0] <= '9')) {
    made = "model";
  }
  return arguments.text("name").value_or(made);
}

/// The first examples of the test set that --data names, or drawn ones.
std::vector<Tensor> examples_of(const Arguments& arguments, const quant::OpenedModel& model,
                                const runtime::Model& runnable, std::int64_t count) {
  if (!arguments.has("data")) {
    return c::drawn_examples(runnable, count);
  }
  const train::RunData data = train::open_model_data(model, arguments.text("data"));
  data::Loader loader(data.test.take(count), {.batch = count, .normalization = data.normalization});
  data::Batch batch;
  loader.next(batch);
  return {batch.examples.clone()};
}

/// All files, or none: where one cannot be written, those before it are taken away again.
void write_all(const std::vector<std::pair<std::string, std::string>>& files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    try {
      write_text_file(files[i].first, files[i].second);
    } catch (...) {
      for (std::size_t written = 0; written < i; ++written) {
        std::error_code error;
        fs::remove(files[written].first, error);
      }
      throw;
    }
  }
}

int export_to_c(const Arguments& arguments, const quant::OpenedModel& model, const fs::path& folder) {
  check(model.kind != "qat", arguments.positionals()[0],
        ": expected a model of kind 'int8' or 'fp32', got 'qat'; detent convert QAT.h5 -o int8.h5 makes one");
  const interchange::Exported source = interchange::exported(model);
  const c::Options options{.name = name_of(arguments, model),
                           .title = arguments.positionals()[0],
                           .requantize = requantize_of(arguments.text("requantize").value_or("f32")),
                           .model_sha256 = source.sha256,
                           .pixels = pixels_of(model)};
  const std::int64_t count = arguments.whole("examples", 8, 1, 100000);
  c::Export made;
  in_pool(arguments,
          [&] { made = c::export_c(source.model, options, examples_of(arguments, model, source.model, count)); });
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, "export: -o ", folder.string(), ": cannot be made: ", error.message());
  const auto path = [&](const char* ending) { return (folder / (options.name + ending)).string(); };
  write_all({{path(".h"), made.header}, {path(".c"), made.source}, {path("_test.c"), made.self_test}});
  if (arguments.has("json")) {
    print(report::json_text({{"format", "c"},
                             {"name", options.name},
                             {"files", {path(".h"), path(".c"), path("_test.c")}},
                             {"arena_bytes", made.arena_bytes},
                             {"constant_bytes", made.constant_bytes},
                             {"products", made.products},
                             {"examples", made.examples},
                             {"model_sha256", options.model_sha256}}));
  } else {
    print("wrote " + path(".h") + ", " + path(".c") + " and " + path("_test.c") + "\n" +
          report::with_separators(made.constant_bytes) + " bytes of constants, an arena of " +
          report::with_separators(made.arena_bytes) + " bytes, " + report::with_separators(made.products) +
          " products an example\nmodel_sha256 " + options.model_sha256 + "\ntry it: cc -std=c99 -O2 " +
          shell_quoted(path(".c")) + " " + shell_quoted(path("_test.c")) + " -o " + shell_quoted(path("_test")) +
          " && " + shell_quoted(path("_test")) + "\n");
  }
  return 0;
}

/// A format, and what writes it.
struct Format {
  const char* name;
  int (*write)(const Arguments& arguments, const quant::OpenedModel& model, const fs::path& out);
};
constexpr Format kFormats[] = {{"c", export_to_c}, {"onnx", export_to_onnx}};

const Format& format_of(const std::string& name) {
  std::vector<std::string> known;
  for (const Format& format : kFormats) {
    if (name == format.name) {
      return format;
    }
    known.emplace_back(format.name);
  }
  fail("export: --format: unknown format '", name, "'", hint(name, known), " expected ", comma_separated(known));
}

int export_model(const Arguments& arguments) {
  const std::string& source = arguments.positionals()[0];
  const std::optional<std::string> name = arguments.text("format");
  check(name.has_value(), "export: expected a format; write detent export ", source, " --format c -o folder");
  const Format& format = format_of(*name);
  const std::optional<std::string> out = arguments.text("out");
  check(out.has_value(), "export: expected a place to write to; write detent export ", source, " --format ", *name,
        " -o folder");
  const quant::OpenedModel model = quant::open_model(source);
  return format.write(arguments, model, *out);
}

}  // namespace

Command export_command() {
  return {
      .spec = {.name = "export",
               .positionals = "MODEL.h5",
               .min_positionals = 1,
               .max_positionals = 1,
               .summary = "Write a model for other programs: ONNX, or C sources",
               .example = "detent export runs/mnist-fast/int8.h5 --format c -o c/\n"
                          "detent export runs/mnist-fast/int8.h5 --format onnx -o model.onnx\n"
                          "detent export runs/mnist-fast/int8.h5 --format c -o c/ --requantize fixed --data mnist/",
               .options = {{"format", "NAME",
                            "c: C99 sources that need no library; onnx: an ONNX file; of float models, too"},
                           {"o,out", "PATH", "Where to write: the folder of the sources, or the file"},
                           {"opset", "N",
                            "onnx: the version of its operations, 13 to 21 (default: the oldest that will do)"},
                           {"form", "qdq|qoperator|integer",
                            "onnx: how operations of codes are written (default: qdq); integer gives Detent's codes"},
                           {"name", "NAME", "c: prefix of files and functions (default: the recipe's name)"},
                           {"requantize", "RULE",
                            "c: from sums to codes: f32, which gives Detent's codes, or fixed, by integers alone"},
                           {"examples", "N", "c: examples in the self-test (default: 8)"},
                           {"data", "DIR", "c: take them from the test set in this folder or file (default: drawn)"},
                           threads_option(),
                           json_option()}},
      .run = export_model};
}

}  // namespace detent::cli
