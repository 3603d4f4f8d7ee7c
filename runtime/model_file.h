#pragma once

#include <filesystem>
#include <functional>

#include "detent/io/tensor_file.h"
#include "detent/runtime/model.h"

/// Models as files.
///
///   attributes   format = "detent-model", version = 3 or 4, kind = "int8", graph = JSON (below), and any others
///   tensors      parameters/<value>/<name>, value: the name of a node or an input
///
///   graph   {"inputs": [{"name", "type": TYPE}], "nodes": [NODE], "output": name}
///   TYPE    {"shape": [28, 28, 1]} of one example, in f32; with "bits": 8 codes, u8, of [0, 2^bits - 1]
///   NODE    {"name", "op", "inputs": [names], "type": TYPE}, with "note" where there is one, and by op:
///     product      "geometry": {"image": [h, w, c], "outputs", "kernel": [h, w], "stride": [h, w],
///                  "padding": [top, left, bottom, right], "dilation": [h, w], "groups"}, "relu", "bias"; of codes also
///                  "weight_bits", "per_channel"
///     hybrid_product  "geometry", "relu", "bias", "weight_bits", "per_channel", and of dynamic ones "input_bits"
///     add          "relu"
///     pool         "pool": "max" or "average", "geometry": {"image", "kernel", "stride", "padding"}
///     activation   "function", "slope"
///     batch_norm   "epsilon", "affine"
///     custom       "kind", "options"
///
///   of every value of codes   output_scale f32 [1], output_zero_point s32 [1]
///   product      weight f32, and bias f32 [O] where there is one; of codes: weight s8 (of 4 bits and fewer: u8,
///                below), weight_scale f32 and weight_zero_point s32 [O] or [1], bias s32 [O], input_scale f32 [1],
///                input_zero_point s32 [1]
///   hybrid_product  weight and weight_scale as of codes; bias f32 [O]
///   lookup       table u8
///   softmax      of codes: table s32 [256], in units of 2^-30
///   batch_norm   mean, variance; weight, bias where it is affine: f32 [C]
///   custom       module/<name>: what it owns
///
/// Weights of at most 4 bits share bytes, u8 [ceil(elements * b / 8)]: b is 1 for codes that all are -1 and 1, which
/// are stored as 0 and 1; 2 for -1, 0 and 1; else 4, both in two's complement. The first code lies in the lowest b bits
/// of a byte; bits behind the last code are 0. In memory codes are s8.
///
/// Who reads a file refuses an operation that he does not know by its name: a new one is no new version.
///
/// A file is of version 4 where weights take 1 bit or 2, else of version 3, in which b is 4 of all these. Version 2 had
/// one byte a code and no tensors that lie together (io/tensor_file.h). Version 1, which still earlier versions of the
/// program wrote, held a graph of modules (docs/file-format.md). Both are read.
namespace detent::runtime {

/// A model, and what stands beside it in its file: how it was made, how its inputs are normalized.
struct ModelFile {
  Model model = {};
  std::map<std::string, TensorFile::Attribute> attributes = {};
};

/// What a file says of a custom operation.
struct CustomDescription {
  std::string node, kind;
  const nlohmann::json& options;
  std::map<std::string, Tensor> tensors = {};
  std::vector<ValueType> inputs = {};
};
struct MadeCustom {
  std::shared_ptr<const CustomOp> op = nullptr;
  Shape shape = {};  ///< of one example of its result
};
/// Makes custom operations. Throws Error for what it does not know, and for what does not fit.
using CustomFactory = std::function<MadeCustom(const CustomDescription& described)>;

/// The file's content. Tensors share the model's memory. Throws Error for attributes that have a name of the format's
/// own.
TensorFile to_file(const ModelFile& model);
/// The model that a file of any of these versions holds, validated. `custom` makes its custom operations; without it
/// they are refused. Throws Error, naming the file, for another format, version or kind, a description that is no
/// model's, tensors that are missing, surplus, or of another shape or type than it asks for, and as Model::validate.
ModelFile from_file(TensorFile file, const CustomFactory& custom = {});

/// to_file, written whole or not at all.
void save_model(const ModelFile& model, const std::filesystem::path& path);
/// from_file of what `path` holds.
ModelFile load_model(const std::filesystem::path& path, const CustomFactory& custom = {});

}  // namespace detent::runtime
