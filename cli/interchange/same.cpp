#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/cli/interchange/pixels.h"
#include "detent/interchange/same/model_file.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_table.h"

namespace detent::cli {
namespace {

using interchange::AnyModel;

/// What stands beside a model in a file of this program.
const std::map<std::string, TensorFile::Attribute>* attributes_of(const AnyModel& model) {
  const auto* const opened = std::get_if<quant::OpenedModel>(&model);
  return opened == nullptr ? nullptr : &opened->attributes;
}

/// The attributes that differ, or that one file alone has.
std::vector<std::string> other_attributes(const AnyModel& model_a, const AnyModel& model_b) {
  const auto *const a = attributes_of(model_a), *const b = attributes_of(model_b);
  std::vector<std::string> names;
  if (a == nullptr || b == nullptr) {
    return names;
  }
  for (const auto& [name, value] : *a) {
    const auto other = b->find(name);
    if (other == b->end() || other->second != value) {
      names.push_back(name);
    }
  }
  for (const auto& [name, value] : *b) {
    if (!a->contains(name)) {
      names.push_back(name);
    }
  }
  std::ranges::sort(names);
  return names;
}

/// What was compared: "8 nodes, 38 tensors, 57,236 numbers".
std::string extent_of(const AnyModel& model) {
  const auto* const opened = std::get_if<quant::OpenedModel>(&model);
  if (opened == nullptr) {
    const auto* const onnx = std::get_if<onnx::Model>(&model);
    return onnx == nullptr ? "the same constants and code" : std::to_string(onnx->nodes.size()) + " operations";
  }
  const interchange::CanonicalModel canonical = interchange::canonical(*opened);
  std::int64_t elements = 0;
  for (const auto& [name, tensor] : canonical.tensors) {
    elements += tensor.elements();
  }
  return std::to_string(canonical.graph["nodes"].size()) + " nodes, " + std::to_string(canonical.tensors.size()) +
         " tensors, " + report::with_separators(elements) + " numbers";
}

/// Two files, and what came of their comparison.
struct Compared {
  std::string file_a, file_b;
  AnyModel a = {}, b = {};
  std::string digest_a = {}, digest_b = {};
  std::optional<interchange::Difference> difference = {};
  std::vector<std::string> attributes = {};

  bool is_model_file(const AnyModel& model) const { return attributes_of(model) != nullptr; }
};

Compared compare(const Arguments& arguments) {
  Compared compared{.file_a = arguments.positionals()[0], .file_b = arguments.positionals()[1]};
  compared.a = interchange::read_any_model(compared.file_a);
  compared.b = interchange::read_any_model(compared.file_b);
  const bool has_other = !compared.is_model_file(compared.a) || !compared.is_model_file(compared.b);
  check(!has_other || !arguments.has("ignore-names"),
        "same: --ignore-names is for two model files (.h5): ONNX and C are compared with what a model is written as");
  interchange::Pixels pixels;
  for (const AnyModel* const model : {&compared.a, &compared.b}) {
    if (has_other && compared.is_model_file(*model)) {
      pixels = pixels_of(std::get<quant::OpenedModel>(*model));
    }
  }
  const auto names = arguments.has("ignore-names") ? interchange::NodeNames::Ignored : interchange::NodeNames::Count;
  try {
    compared.difference = interchange::first_difference(compared.a, compared.b, names, pixels);
  } catch (const Error& error) {
    fail("same: ", compared.file_a, " and ", compared.file_b, ": ", error.what());
  }
  compared.digest_a = interchange::digest_of(compared.a, names);
  compared.digest_b = interchange::digest_of(compared.b, names);
  compared.attributes = other_attributes(compared.a, compared.b);
  return compared;
}

std::string same_text(const Compared& compared) {
  const bool is_file_a = compared.is_model_file(compared.a), is_file_b = compared.is_model_file(compared.b);
  const bool by_b = is_file_b && !is_file_a;
  std::string text = "the same model: " + extent_of(by_b ? compared.b : compared.a) + "\n";
  // What an exported file states is the digest of what it holds: of qat.h5 that of the int8 model that it becomes.
  const std::string& stated = is_file_a && !is_file_b ? compared.digest_b : compared.digest_a;
  const std::string& digest = !stated.empty() ? stated : by_b ? compared.digest_b : compared.digest_a;
  text += digest.empty() ? "" : "model_sha256 " + digest + "\n";
  for (const bool of_a : {true, false}) {
    if (!compared.is_model_file(of_a ? compared.a : compared.b) &&
        (of_a ? compared.digest_a : compared.digest_b).empty()) {
      text += (of_a ? compared.file_a : compared.file_b) + " states no digest of its model\n";
    }
  }
  for (std::size_t i = 0; i < compared.attributes.size(); ++i) {
    text += (i == 0 ? "beside the model these attributes differ: " : ", ") + compared.attributes[i];
  }
  return compared.attributes.empty() ? text : text + "\n";
}

std::string difference_text(const Compared& compared) {
  std::string text =
      "not the same model: " + interchange::to_text(*compared.difference, compared.file_a, compared.file_b) + "\n";
  const bool has_stated = !compared.is_model_file(compared.a) || !compared.is_model_file(compared.b);
  if (has_stated && !compared.digest_a.empty() && compared.digest_a == compared.digest_b) {
    text += "both have model_sha256 " + compared.digest_a +
            ": a file that only states it was changed since it was written, or another version of detent wrote it\n";
  }
  return text;
}

nlohmann::json json_of(const Compared& compared) {
  const auto side = [&](const std::string& file, const AnyModel& model, const std::string& digest) {
    return nlohmann::json{{"model", file}, {compared.is_model_file(model) ? "model_sha256" : "stated_sha256", digest}};
  };
  nlohmann::json json{{"same", !compared.difference},
                      {"a", side(compared.file_a, compared.a, compared.digest_a)},
                      {"b", side(compared.file_b, compared.b, compared.digest_b)},
                      {"attributes", compared.attributes}};
  if (const auto& difference = compared.difference) {
    json["difference"] = {{"node", difference->node},
                          {"field", difference->field},
                          {"index", difference->index},
                          {"a", difference->a},
                          {"b", difference->b},
                          {"differing", difference->differing},
                          {"elements", difference->elements}};
  }
  return json;
}

int same(const Arguments& arguments) {
  Compared compared;
  in_pool(arguments, [&] { compared = compare(arguments); });
  print(arguments.has("json") ? report::json_text(json_of(compared))
        : compared.difference ? difference_text(compared)
                              : same_text(compared));
  return compared.difference ? 1 : 0;
}

}  // namespace

Command same_command() {
  return {.spec = {.name = "same",
                   .positionals = "A B",
                   .min_positionals = 2,
                   .max_positionals = 2,
                   .summary = "Whether two files hold the same model, to the bit; if not, where they part",
                   .example = "detent same runs/mnist-cnn/int8.h5 int8.h5\n"
                              "detent same runs/mnist-cnn/int8.h5 mnist_cnn.onnx",
                   .options = {{"ignore-names", "", "Nodes may be called otherwise"}, json_option()},
                   .names = {{"A", "A model file (.h5), or what was exported: .onnx, or .c and .h of one name"},
                             {"B", "Another; ONNX and C beside the model file that they were written of"}}},
          .run = same};
}

}  // namespace detent::cli
