#pragma once

#include <filesystem>
#include <span>

#include "detent/interchange/onnx/model.h"

/// ONNX files: the protobuf messages of the format's onnx.proto, read and written by the protobuf library.
namespace detent::onnx {

/// What a file holds. Tensors that lie in files of their own (external data) are read from `path`'s folder and those
/// below it, and nowhere else. Throws Error, naming the file, for what is no ONNX model, is truncated or larger than
/// 2 GB, has no operations, sets a name twice, or a tensor whose bytes are not those that its shape and type ask for:
/// sizes are checked before memory is asked for.
Model read_model(const std::filesystem::path& path);
/// The same of a file's bytes; `folder` is where tensors in files of their own lie.
Model parse_model(std::span<const std::byte> file, const std::filesystem::path& folder);

/// The file's bytes. The same model gives the same bytes.
std::vector<std::byte> to_bytes(const Model& model);
/// to_bytes, written whole or not at all.
void write_model(const Model& model, const std::filesystem::path& path);

}  // namespace detent::onnx
