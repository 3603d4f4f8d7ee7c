#pragma once

#include <optional>
#include <string>
#include <vector>

#include "detent/interchange/onnx/model.h"
#include "detent/nn/graph.h"

namespace detent::onnx {

struct ImportOptions {
  /// The output to import, or any value that becomes it: what is behind it is left out. "": the model's only one, or
  /// only one of real numbers.
  std::string output = {};
  /// Whether a softmax at the end is left out, so that the model gives the scores before it: what a loss over classes
  /// takes.
  bool scores = false;
  /// Images [H, W, C] that the rows are which the model takes, H W C: they are flattened in front of it. None: it takes
  /// what it says.
  std::optional<Shape> image = {};
};

struct Imported {
  nn::Graph graph = {};
  std::vector<std::string> remarks = {};  ///< what is not as it was in the file, each a sentence
};

/// The float graph that a model of the format is, opset 11 and later (docs/interchange.md lists the operations). Images
/// [N, C, H, W] become [H, W, C] of one example, and weights behind a flatten are put into that order, so that the
/// graph gives what the model gives. What lies in no way from the inputs to the output is left out.
///
/// Operations that are functions of one value, whatever parts they are written in, are found by what they compute: x *
/// sigmoid(x) is SiLU.
///
/// Throws Error in one line that names all nodes that cannot be imported, each with what it would take.
Imported import_graph(const Model& model, const ImportOptions& options = {});

/// import_graph of the model in a file. Throws Error, naming the file, as read_model and import_graph do.
Imported import_file(const std::string& path, const ImportOptions& options = {});

}  // namespace detent::onnx
