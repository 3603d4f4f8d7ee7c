#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/utf8.h"
#include "detent/interchange/weights/transfer.h"
#include "detent/recipes/run.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_table.h"
#include "detent/train/run_data.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

// The options that one action has and the other does not.
constexpr std::array<std::pair<const char*, const char*>, 5> kWeightOptions{
    {{"tensor", "export"}, {"model", "import"}, {"recipe", "import"}, {"set", "import"}, {"data", "import"}}};

interchange::WeightOptions weight_options(const Arguments& arguments) {
  interchange::WeightOptions options;
  if (const auto file = arguments.text("map")) {
    options.names = interchange::NameMap(*file);
  }
  for (const std::string& pair : arguments.texts("name")) {
    const std::size_t at = pair.find('=');
    check(at != std::string::npos, "--name ", pair, ": expected two names; write --name conv1=features.0");
    options.names.add(pair.substr(0, at), pair.substr(at + 1));
  }
  if (const auto layout = arguments.text("layout")) {
    options.layout = interchange::layout_from_name(*layout);
  }
  return options;
}

std::string output_of(const Arguments& arguments, const std::string& example) {
  const std::optional<std::string> path = arguments.text("output");
  check(path.has_value(), "weights ", arguments.positionals()[0], ": expected a file to write; write -o ", example);
  return *path;
}

/// Leaves the tensors that --tensor names, by their names in the file, where it names some.
void select(const std::vector<std::string>& wanted, std::map<std::string, Tensor>& weights) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : weights) {
    names.push_back(name);
  }
  for (const std::string& name : wanted) {
    check(weights.contains(name), "weights export: the model has no tensor '", name, "'", hint(name, names),
          " `detent inspect` lists its tensors");
  }
  if (!wanted.empty()) {
    std::erase_if(weights, [&](const auto& row) { return !std::ranges::count(wanted, row.first); });
  }
}

int export_weights(const Arguments& arguments) {
  const std::string& source = arguments.positionals()[1];
  const std::string target = output_of(arguments, "weights.safetensors");
  interchange::check_weight_path(target);
  const interchange::WeightOptions options = weight_options(arguments);
  std::map<std::string, Tensor> weights;
  in_pool(arguments, [&] {
    weights = interchange::weights_of(quant::open_model(source), options);
    select(arguments.texts("tensor"), weights);
    interchange::write_weights(target, weights, options.layout.value_or(interchange::Layout::Detent));
  });
  const auto bytes = static_cast<std::int64_t>(fs::file_size(target));
  print(arguments.has("json")
            ? report::json_text({{"model", source}, {"file", target}, {"tensors", weights.size()}, {"bytes", bytes}})
            : "wrote " + target + ": " + std::to_string(weights.size()) + " tensors, " +
                  report::with_separators(bytes) + " bytes\n");
  return 0;
}

/// The float model of a file or a recipe whose weights are replaced.
nn::Model model_to_fill(const Arguments& arguments, evaluation::Reporter& reporter) {
  if (const auto file = arguments.text("model")) {
    quant::OpenedModel opened = quant::open_model(*file);
    check(opened.kind == "fp32", *file, ": weights are read into float models (fp32.h5), this is of kind ",
          opened.kind);
    return {.graph = std::move(*opened.graph()), .attributes = std::move(opened.attributes)};
  }
  const recipes::Recipe recipe = recipes::load_recipe(*arguments.text("recipe"), arguments.texts("set"));
  const train::RunData data = train::open_run_data(recipe.data, arguments.text("data"));
  reporter.message("data: " + data.description);
  nn::Model model{.graph = recipe.model.file.empty()
                               ? recipes::build_model(recipe.model, data.train.example_shape(), data.train.classes)
                               : recipes::trained_model_of(recipe, quant::standard_kinds()).graph,
                  .attributes = train::model_attributes(recipe.name, 0, data)};
  train::check_fits(data.test, data.description, model.graph.input_shape(), model.graph.output_shape());
  model.graph.initialize(0);  // so that all tensors are there
  return model;
}

int import_weights(const Arguments& arguments) {
  const std::string& source = arguments.positionals()[1];
  const std::string target = output_of(arguments, "fp32.h5");
  const interchange::WeightOptions options = weight_options(arguments);
  check(arguments.has("model") != arguments.has("recipe"),
        "weights import: expected one of --model and --recipe, which say what the weights belong to; write --recipe "
        "mnist-cnn");
  check(arguments.has("recipe") || (!arguments.has("set") && !arguments.has("data")),
        "weights import: --set and --data are for the model of a recipe; leave them out with --model");
  check(fs::path(target).extension() == ".h5" || fs::path(target).extension() == ".hdf5", "weights import: -o ", target,
        ": expected a name that ends in .h5 or .hdf5");
  ConsoleReporter reporter(arguments.has("json"));
  interchange::ReadWeights read;
  in_pool(arguments, [&] {
    nn::Model model = model_to_fill(arguments, reporter);
    const std::unique_ptr<interchange::WeightFile> file = interchange::WeightFile::open(source);
    read = interchange::read_weights(*file, model.graph, options);
    model.attributes["weights"] = valid_utf8(fs::path(source).filename().string());
    nn::save_model(model, target);
  });
  if (arguments.has("json")) {
    print(report::json_text({{"model", target},
                             {"tensors", read.tensors},
                             {"elements", read.elements},
                             {"passed_over", read.passed_over}}));
    return 0;
  }
  std::string text = "wrote " + target + ": " + std::to_string(read.tensors) + " tensors, " +
                     report::with_separators(read.elements) + " numbers, all that the model has\n";
  if (!read.passed_over.empty()) {
    text += "passed over: " + std::to_string(read.passed_over.size()) + " counters num_batches_tracked\n";
  }
  print(text);
  return 0;
}

int weights(const Arguments& arguments) {
  const std::vector<std::string> actions{"export", "import"};
  const std::string& action = arguments.positionals()[0];
  check(std::ranges::count(actions, action) > 0, "weights: unknown action '", action, "'", hint(action, actions),
        " `detent weights --help` lists them");
  for (const auto& [option, its_action] : kWeightOptions) {
    check(!arguments.has(option) || action == its_action, "weights ", action, ": --", option,
          " is an option of detent weights ", its_action);
  }
  return action == "export" ? export_weights(arguments) : import_weights(arguments);
}

}  // namespace

Command weights_command() {
  return {
      .spec = {.name = "weights",
               .positionals = "export MODEL.h5 | import FILE",
               .min_positionals = 2,
               .max_positionals = 2,
               .summary = "Write a model's tensors as .safetensors or .npz, or read them into a model",
               .example = "detent weights export fp32.h5 -o weights.safetensors --layout pytorch\n"
                          "detent weights import weights.safetensors --recipe mnist-cnn --name conv1=features.0 "
                          "-o fp32.h5\n"
                          "detent weights import weights.npz --model fp32.h5 --map names.json -o new.h5",
               .options = {{"o,output", "FILE", "The file to write: .safetensors or .npz; import: .h5"},
                           {"layout", "NAME", "How tensors lie in the file: detent (O KH KW I), pytorch (O I KH KW)"},
                           {"map", "FILE", "Names in the file, as JSON: {\"conv1\": \"features.0\"}"},
                           {"name", "A=B", "What tensor or node A is called in the file; can be given again"},
                           {"tensor", "NAME", "export: this tensor alone; can be given again"},
                           {"model", "FILE", "import: the float model whose weights are replaced"},
                           {"recipe", "RECIPE", "import: the recipe that says the model"},
                           {"set", "KEY=VALUE", "import: a key of the recipe; can be given again"},
                           {"data", "DIR", "import: the recipe's data set, from which inputs and classes come"},
                           threads_option(),
                           json_option()}},
      .run = weights};
}

}  // namespace detent::cli
