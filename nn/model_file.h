#pragma once

#include "detent/io/tensor_file.h"
#include "detent/nn/graph.h"

/// Graphs as files. (Int8 models: runtime/model_file.h.)
///
///   attributes   format = "detent-model", version = 2, kind = "fp32" | "qat",
///                graph = the JSON of to_json(graph), and any others
///   tensors      parameters/<node>/<slot>: every slot of every module, weights and state alike, in its own type, under
///                the module's first node; beside `parameters/` any others, such as a checkpoint's optimizer state
namespace detent::nn {

inline constexpr std::string_view kModelFormat = "detent-model";
/// Version 1 had no small tensors that lie together (io/tensor_file.h). It is read.
inline constexpr std::int64_t kModelVersion = 2;

/// A graph, and what stands beside it in its file.
struct Model {
  Graph graph;
  std::string kind = "fp32";  ///< "fp32" or "qat"
  std::map<std::string, TensorFile::Attribute> attributes = {};
  std::map<std::string, Tensor> tensors = {};  ///< names do not start with "parameters/"
};

/// The file's content. Tensors share the model's memory. Throws Error for a slot without a value, an unknown kind, and
/// attributes or tensors that have a name of the format's own.
TensorFile to_file(const Model& model);
/// The model that a file holds: the graph is made by `kinds`, and every slot is set and checked, so that the graph's
/// forward pass cannot fail on it. Throws Error, naming the file, for another format, version or kind, a graph that
/// cannot be made, tensors that are missing, surplus, or of another shape or type than the graph asks for, and real
/// numbers that are not finite.
Model from_file(TensorFile file, const ModuleKinds& kinds);

/// to_file, written whole or not at all.
void save_model(const Model& model, const std::filesystem::path& path);
/// from_file of what `path` holds.
Model load_model(const std::filesystem::path& path, const ModuleKinds& kinds = module_kinds());

}  // namespace detent::nn
