#pragma once

#include "detent/quant/kinds/kind.h"

/// The rows of standard_kinds, by the file that has them.
namespace detent::quant {

Kinds product_kinds();       ///< conv2d, linear; qat_conv2d, qat_linear
Kinds add_kinds();           ///< add; qat_add
Kinds concat_kinds();        ///< concat; qat_concat
Kinds softmax_kinds();       ///< softmax; qat_softmax
Kinds average_pool_kinds();  ///< avg_pool2d, global_avg_pool2d; qat_avg_pool2d
Kinds max_pool_kinds();      ///< max_pool2d
Kinds flatten_kinds();       ///< flatten
Kinds activation_kinds();    ///< activation; code_relu
Kinds dropout_kinds();       ///< dropout; code_dropout
Kinds batch_norm_kinds();    ///< batch_norm
Kinds quantize_kinds();      ///< quantize, dequantize

}  // namespace detent::quant
