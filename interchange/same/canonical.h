#pragma once

#include <map>
#include <string>

#include "detent/io/description.h"
#include "detent/quant/passes/open_model.h"

/// A model as what it is, however its file came to be: what files are compared by, what exporters take tensors from,
/// and the one digest of a model.
namespace detent::interchange {

/// Whether two models that differ in nothing but the names of their nodes are the same.
enum class NodeNames : std::uint8_t { Count, Ignored };

/// The description and the tensors of a model file (nn/model_file.h, runtime/model_file.h) without what a file may say
/// in one way or another: weights are one code a byte, inputs are always a list, and notes, which are for people, are
/// left out, as is all that stands beside the model (recipe, seed, normalization).
struct CanonicalModel {
  std::string kind = {};                          ///< "fp32", "qat" or "int8"
  nlohmann::json graph = {};                      ///< {"inputs": [...], "nodes": [...] in running order, "output"}
  std::map<std::string, Tensor> tensors = {};     ///< "<node>/<name>": "conv1/weight", "conv1/weight_scale"
  std::map<std::string, std::string> names = {};  ///< of nodes: where names are ignored, by what stands for them
};

/// Tensors share the model's memory. Where names are ignored, "#0", "#1", ... stand for those of the values, in running
/// order. Throws Error for a graph without weights.
CanonicalModel canonical(const quant::OpenedModel& model, NodeNames names = NodeNames::Count);

/// The same of a model that runs: its kind is "int8".
CanonicalModel canonical(const runtime::Model& model);

/// The SHA-256, in hexadecimal digits, of
///
///     "detent " kind "\n"
///     graph "\n"                          JSON without blanks, keys in order, reals as the shortest text that gives
///     them name " " type " " shape "\n" bytes  of each tensor, in the order of names; elements little-endian
std::string model_sha256(const CanonicalModel& model);

}  // namespace detent::interchange
