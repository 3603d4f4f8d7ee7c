#pragma once

#include <string>
#include <vector>

#include "detent/interchange/onnx/model.h"
#include "detent/runtime/model.h"

namespace detent::onnx {

struct ExportOptions {
  /// The version of the operations, 13 to 21. 0: the oldest that has all that the model needs: 21 for weights of at
  /// most 4 bits, which are stored as int4, and for scales by groups; else 13.
  std::int64_t opset = 0;
  /// The digest of the model (interchange/same), which the file states: metadata kModelDigest. "": it states none.
  std::string model_sha256 = {};
};

/// The key of the metadata that has the digest.
inline constexpr const char* kModelDigest = "detent.model_sha256";

/// What runs, as a model of the format, its batch left open. Images [H, W, C] are [N, C, H, W] in it.
///
/// Of codes it is the QDQ form: every value of codes is given by QuantizeLinear (u8, one scale and zero point), and
/// read by DequantizeLinear; weights are int8 or int4 codes with a scale a channel, biases int32 in units of s_x *
/// s_w[o]. Codes of fewer bits than 8 are clipped before they are made. A function that is a table of codes is a Gather
/// from that table. Values have the names that they have in `model`: of a value of codes, the u8 tensor.
///
/// Runtimes that compute the float form (a product's sums in f32, rounded at its end) give the same codes but for ties
/// and last bits: at most one step apart.
///
/// Throws Error, naming the node, for what the format has no form for: dynamic quantization, a user's own operations,
/// values of another rank than 1 and 3, and groups of weights' scales below opset 21.
Model export_model(const runtime::Model& model, const ExportOptions& options = {});

}  // namespace detent::onnx
