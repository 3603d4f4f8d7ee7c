#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/interchange/same/difference.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_table.h"

namespace detent::cli {
namespace {

using interchange::CanonicalModel;

/// A model of a file, and what stands beside it there.
struct Loaded {
  CanonicalModel model;
  std::map<std::string, TensorFile::Attribute> attributes;
};

Loaded load(const std::string& file, interchange::NodeNames names) {
  const quant::OpenedModel opened = quant::open_model(file);
  return {interchange::canonical(opened, names), opened.attributes};
}

/// The attributes that differ, or that one file alone has.
std::vector<std::string> other_attributes(const Loaded& a, const Loaded& b) {
  std::vector<std::string> names;
  for (const auto& [name, value] : a.attributes) {
    const auto other = b.attributes.find(name);
    if (other == b.attributes.end() || other->second != value) {
      names.push_back(name);
    }
  }
  for (const auto& [name, value] : b.attributes) {
    if (!a.attributes.contains(name)) {
      names.push_back(name);
    }
  }
  std::ranges::sort(names);
  return names;
}

std::int64_t elements_of(const CanonicalModel& model) {
  std::int64_t elements = 0;
  for (const auto& [name, tensor] : model.tensors) {
    elements += tensor.elements();
  }
  return elements;
}

std::string for_people(const Loaded& a, const std::vector<std::string>& attributes) {
  std::string text = "the same model: " + std::to_string(a.model.graph["nodes"].size()) + " nodes, " +
                     std::to_string(a.model.tensors.size()) + " tensors, " +
                     report::with_separators(elements_of(a.model)) + " numbers\nmodel_sha256 " +
                     interchange::model_sha256(a.model) + "\n";
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    text += (i == 0 ? "beside the model these attributes differ: " : ", ") + attributes[i];
  }
  return attributes.empty() ? text : text + "\n";
}

int same(const Arguments& arguments) {
  const std::string& file_a = arguments.positionals()[0];
  const std::string& file_b = arguments.positionals()[1];
  const auto names = arguments.has("ignore-names") ? interchange::NodeNames::Ignored : interchange::NodeNames::Count;
  Loaded a, b;
  std::optional<interchange::Difference> difference;
  in_pool(arguments, [&] {
    a = load(file_a, names);
    b = load(file_b, names);
    difference = interchange::first_difference(a.model, b.model);
  });
  const std::vector<std::string> attributes = other_attributes(a, b);
  if (arguments.has("json")) {
    nlohmann::json json{{"same", !difference},
                        {"a", {{"model", file_a}, {"model_sha256", interchange::model_sha256(a.model)}}},
                        {"b", {{"model", file_b}, {"model_sha256", interchange::model_sha256(b.model)}}},
                        {"attributes", attributes}};
    if (difference) {
      json["difference"] = {{"node", difference->node},
                            {"field", difference->field},
                            {"index", difference->index},
                            {"a", difference->a},
                            {"b", difference->b},
                            {"differing", difference->differing},
                            {"elements", difference->elements}};
    }
    print(report::json_text(json));
  } else {
    print(difference ? "not the same model: " + to_text(*difference, file_a, file_b) + "\n"
                     : for_people(a, attributes));
  }
  return difference ? 1 : 0;
}

}  // namespace

Command same_command() {
  return {.spec = {.name = "same",
                   .positionals = "A.h5 B.h5",
                   .min_positionals = 2,
                   .max_positionals = 2,
                   .summary = "Whether two files hold the same model, to the bit; if not, where they part",
                   .example = "detent same runs/mnist-cnn/int8.h5 int8.h5",
                   .options = {{"ignore-names", "", "Nodes may be called otherwise"}, json_option()}},
          .run = same};
}

}  // namespace detent::cli
