#pragma once

#include <string>
#include <vector>

#include "detent/interchange/onnx/model.h"
#include "detent/runtime/model.h"

namespace detent::onnx {

/// How operations between codes are written.
enum class Form : std::uint8_t {
  Qdq,        ///< in float between DequantizeLinear and QuantizeLinear, which every runtime reads
  QOperator,  ///< products as QLinearConv and QLinearMatMul
  Integer,    ///< products as ConvInteger and MatMulInteger, and what makes codes of their sums operation by operation
};
/// "qdq", "qoperator", "integer". Throws Error for another.
Form parse_form(const std::string& name);
std::string name_of(Form form);

struct ExportOptions {
  Form form = Form::Qdq;
  /// The version of the operations, 13 to 21. 0: the oldest that has all that the model needs: 21 for weights of at
  /// most 4 bits, which are stored as int4, and for scales by groups; else 13.
  std::int64_t opset = 0;
  /// The digest of the model (interchange/same), which the file states beside its form. "": it states neither.
  std::string model_sha256 = {};
};

/// The keys of the metadata that have the digest and the form.
inline constexpr const char* kModelDigest = "detent.model_sha256";
inline constexpr const char* kModelForm = "detent.form";

/// What runs, as a model of the format, its batch left open. Images [H, W, C] are [N, C, H, W] in it.
///
/// Of codes it is the QDQ form: every value of codes is given by QuantizeLinear (u8, one scale and zero point), and
/// read by DequantizeLinear; weights are int8 or int4 codes with a scale a channel, biases int32 in units of s_x *
/// s_w[o]. Codes of fewer bits than 8 are clipped before they are made. A function that is a table of codes is a Gather
/// from that table. Values have the names that they have in `model`: of a value of codes, the u8 tensor.
///
/// A runtime adds the zero point after it has rounded, and multiplies by scales that it has rounded to f32 one by one
/// (s_x * s_w / s_y), so a sum that lies halfway between two codes, or within an f32 of it, may become the other code:
/// a layer gives codes at most one step apart, and those behind it carry that on.
///
/// The QOperator form has the same arithmetic. In it, and in the Integer form, max-pools, reshapes, concatenations and
/// tables take and give codes. Products have int8 weights whatever their bits, products of rows with a bias are
/// convolutions of one pixel, which alone have one; sums, means and softmax are as in the QDQ form.
///
/// The Integer form is the arithmetic of docs/numerics.md itself, every operation one of the format that is exact or
/// rounds to f32 as that says: a runtime that computes as the format is defined gives the same codes, all of them. But
/// for softmax, and weights with scales by groups, which are as in the QDQ form.
///
/// Throws Error, naming the node, for what the format has no form for: dynamic quantization, a user's own operations,
/// values of another rank than 1 and 3, and groups of weights' scales below opset 21.
Model export_model(const runtime::Model& model, const ExportOptions& options = {});

}  // namespace detent::onnx
