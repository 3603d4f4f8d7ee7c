#include "detent/interchange/same/model_file.h"

#include "detent/core/error.h"
#include "detent/interchange/onnx/in/import.h"
#include "detent/interchange/onnx/model_file.h"
#include "detent/interchange/onnx/out/export.h"
#include "detent/interchange/same/exported.h"
#include "detent/interchange/same/onnx_difference.h"

namespace detent::interchange {
namespace {

using quant::OpenedModel;

/// Of two files, in the order in which they are given.
using Found = std::optional<Difference>;

std::string stated(const onnx::Model& model) {
  const auto digest = model.metadata.find(onnx::kModelDigest);
  return digest == model.metadata.end() ? std::string() : digest->second;
}
std::string stated(const CSources& sources) { return sources.stated_sha256(); }

/// What an export must be asked for to write such a file.
onnx::ExportOptions options_of(const onnx::Model& file) {
  const auto opset = file.opsets.find("");
  const auto form = file.metadata.find(onnx::kModelForm);
  return {.form = form == file.metadata.end() ? onnx::Form::Qdq : onnx::parse_form(form->second),
          .opset = opset == file.opsets.end() ? 0 : opset->second};
}

/// The digest that a file states beside that of the model that it holds.
Found wrong_digest(const std::string& stated_one, const std::string& sha256) {
  return stated_one.empty() || stated_one == sha256
             ? std::nullopt
             : Found(Difference{.field = "model_sha256", .a = sha256, .b = stated_one + " stated"});
}

/// Two files of one format can be told apart by what is in them only if they were written in one way.
void check_way(bool is_one_way) {
  check(
      is_one_way,
      "they were written in two ways (form, opset, rounding or name); what proves that they hold the same model is the "
      "model file that both were written of: compare each with it");
}

struct Compare {
  NodeNames names;
  const Pixels& pixels;

  Found operator()(const OpenedModel& a, const OpenedModel& b) const {
    return first_difference(canonical(a, names), canonical(b, names));
  }
  Found operator()(const onnx::Model& a, const onnx::Model& b) const {
    const onnx::ExportOptions way_a = options_of(a), way_b = options_of(b);
    check_way(stated(a).empty() || stated(b).empty() || (way_a.form == way_b.form && way_a.opset == way_b.opset));
    const Found found = interchange::first_difference(a, b);
    return found || stated(a) == stated(b) ? found
                                           : Found(Difference{.field = "model_sha256", .a = stated(a), .b = stated(b)});
  }
  Found operator()(const CSources& a, const CSources& b) const {
    const c::Options way_a = export_options(a, Pixels(std::in_place)), way_b = export_options(b, Pixels(std::in_place));
    check_way(way_a.name == way_b.name && way_a.requantize == way_b.requantize &&
              way_a.pixels.has_value() == way_b.pixels.has_value());
    return interchange::first_difference(a, b);
  }
  Found operator()(const OpenedModel& a, const onnx::Model& b) const {
    if (stated(b).empty() && b.producer != "detent") {
      const OpenedModel imported{.kind = "fp32", .content = onnx::import_graph(b).graph};
      return (*this)(a, imported);
    }
    const Exported source = exported(a);
    const Found found = interchange::first_difference(onnx::export_model(source.model, options_of(b)), b);
    return found ? found : wrong_digest(stated(b), source.sha256);
  }
  Found operator()(const OpenedModel& a, const CSources& b) const {
    const Exported source = exported(a);
    const c::Options options = export_options(b, pixels);
    const c::Export made = c::export_c(source.model, options, c::drawn_examples(source.model, 1));
    const CSources sources{
        .header_file = b.header_file, .source_file = b.source_file, .header = made.header, .source = made.source};
    const Found found = interchange::first_difference(sources, b);
    return found ? found : wrong_digest(stated(b), source.sha256);
  }
  template <typename File>
  Found operator()(const File& a, const OpenedModel& b) const {
    Found found = (*this)(b, a);
    if (found) {
      std::swap(found->a, found->b);
    }
    return found;
  }
  template <typename A, typename B>
  Found operator()(const A&, const B&) const {
    fail(
        "one is ONNX and the other C; what proves that they hold the same model is the model file that both were "
        "written of: compare each with it");
  }
};

}  // namespace

AnyModel read_any_model(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".onnx") {
    return onnx::read_model(path);
  }
  if (ending == ".c" || ending == ".h") {
    return read_c_sources(path);
  }
  return quant::open_model(path);
}

std::string digest_of(const AnyModel& model, NodeNames names) {
  if (const auto* const opened = std::get_if<OpenedModel>(&model)) {
    return model_sha256(canonical(*opened, names));
  }
  const auto* const onnx_model = std::get_if<onnx::Model>(&model);
  return onnx_model != nullptr ? stated(*onnx_model) : stated(std::get<CSources>(model));
}

std::optional<Difference> first_difference(const AnyModel& a, const AnyModel& b, NodeNames names,
                                           const Pixels& pixels) {
  return std::visit(Compare{names, pixels}, a, b);
}

}  // namespace detent::interchange
