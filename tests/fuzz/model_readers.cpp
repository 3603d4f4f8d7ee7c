#include <nlohmann/json.hpp>

#include "detent/io/tensor_file.h"
#include "detent/nn/model_file.h"
#include "detent/quant/passes/open_model.h"
#include "detent/recipes/model_builder.h"
#include "detent/recipes/recipe.h"
#include "detent/recipes/shipped.h"
#include "detent/runtime/model_file.h"
#include "tests/fuzz/readers.h"
#include "tests/fuzz/seed_models.h"

namespace detent::fuzz {
namespace {

std::string_view text_of(View input) { return {reinterpret_cast<const char*>(input.data()), input.size()}; }

TensorFile integer_file() { return runtime::to_file({.model = integer_model()}); }

Bytes bytes_of(const TensorFile& content) {
  const ScratchFile file(".h5");
  content.write(file.path());
  return file.read();
}

void read_hdf5_model(View input) {
  const ScratchFile file(".h5");
  file.write(input);
  quant::open_model(file.path());
}

std::vector<Bytes> hdf5_model_seeds() {
  return {bytes_of(nn::to_file({.graph = float_graph(), .kind = "fp32"})), bytes_of(integer_file())};
}

// What a file says of its graph, in a file that is whole otherwise.
void read_graph(View input) { nn::graph_from_text(text_of(input), quant::factories_of(quant::standard_kinds())); }

std::vector<Bytes> graph_seeds() { return {bytes_of_text(nn::to_json(float_graph()).dump())}; }

void read_description(View input) {
  static const TensorFile whole = integer_file();
  TensorFile file = whole;
  file.attributes["graph"] = std::string(text_of(input));
  runtime::from_file(std::move(file));
}

std::vector<Bytes> description_seeds() { return {bytes_of_text(integer_file().text("graph"))}; }

void read_recipe(View input) {
  const recipes::Recipe recipe = recipes::parse_recipe(text_of(input), "input.toml");
  if (recipe.model.file.empty()) {
    recipes::build_model(recipe.model, {28, 28, 1}, 10);
  }
}

std::vector<Bytes> recipe_seeds() {
  std::vector<Bytes> seeds;
  for (const recipes::ShippedRecipe& shipped : recipes::shipped_recipes()) {
    seeds.push_back(bytes_of_text(shipped.text));
  }
  return seeds;
}

}  // namespace

std::vector<Reader> model_readers() {
  return {{.name = "hdf5_model", .read = read_hdf5_model, .seeds = hdf5_model_seeds, .repair = repair_hdf5},
          {.name = "graph", .read = read_graph, .seeds = graph_seeds},
          {.name = "description", .read = read_description, .seeds = description_seeds},
          {.name = "recipe", .read = read_recipe, .seeds = recipe_seeds}};
}

}  // namespace detent::fuzz
