#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "detent/kernels/product/onednn/onednn.h"
#include "detent/kernels/product/onednn/onednn_version.h"

/// What the sources that speak to oneDNN share; nobody else includes it.
namespace detent::kernels::onednn {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

struct Plan {
  dnnl::primitive primitive;
  Desc a, b, bias, y, scratchpad;
  Desc plain_weight;   // O KH KW I, or for a packed gemm O I
  Desc packed_weight;  // b, or for BackwardWeights y
  int a_id = DNNL_ARG_SRC, b_id = DNNL_ARG_WEIGHTS, y_id = DNNL_ARG_DST;
  bool has_bias = false;
  bool has_zero_point = false;
  std::string implementation;
};

/// Where everything of this process is computed.
const dnnl::engine& engine();

dnnl::memory::data_type type_of(DType dtype);
/// The type of the weight that goes with inputs of `dtype`.
dnnl::memory::data_type weight_type(DType dtype);

/// Attributes of every primitive: scratch memory comes from us; the zero point is known only at run time.
dnnl::primitive_attr attributes(bool relu, bool zero_point);

template <typename PrimitiveDesc>
void describe(Plan& plan, const PrimitiveDesc& desc) {
  plan.scratchpad = desc.scratchpad_desc();
  plan.implementation = desc.impl_info_str();
}

using Key = std::array<std::int64_t, 21>;

/// The plan of `key`, made by `make` if it is not there.
PlanPointer cached(const Key& key, const std::function<Plan()>& make);

}  // namespace detent::kernels::onednn
