#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>

#include "detent/interchange/onnx/model.h"
#include "detent/interchange/same/c_sources.h"
#include "detent/interchange/same/canonical.h"
#include "detent/interchange/same/difference.h"

/// Files of any format that hold a model, and whether two of them hold the same one.
namespace detent::interchange {

using AnyModel = std::variant<quant::OpenedModel, onnx::Model, CSources>;

/// What a file holds, by the ending of its name: .onnx, .c or .h (both sources are read), else a model file. Throws
/// Error, naming the file, as read_model, read_c_sources and open_model do.
AnyModel read_any_model(const std::filesystem::path& path);

/// The digest of a model: of a model file what it has, computed; of ONNX and C what they state of themselves, "" where
/// they state none, as files of other programs.
std::string digest_of(const AnyModel& model, NodeNames names = NodeNames::Count);

/// What each byte of an example becomes, for those sources that have a table of it.
using Pixels = std::optional<std::array<float, 256>>;

/// The first difference of two files' models.
///
/// Of a model file and one of another format: the model is exported once more, as that file was, and every constant,
/// operation and word of code is compared; then the digest that the file states. So a file is the same only if it is,
/// bit for bit, what the model is written as; what it says of itself proves nothing. ONNX of other programs, which
/// states no digest, is imported, and the float graphs are compared.
///
/// Throws Error, naming neither file, for ONNX beside C, and for two files of one format that were written in two ways
/// (form, opset, rounding): only the model file proves that both were written of it; and as export_model, export_c and
/// import_graph do.
std::optional<Difference> first_difference(const AnyModel& a, const AnyModel& b, NodeNames names, const Pixels& pixels);

}  // namespace detent::interchange
