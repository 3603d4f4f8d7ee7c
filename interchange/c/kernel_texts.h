#pragma once

#include <string_view>

namespace detent::interchange::c {

/// The text of kernels/NAME.c, compiled into the library by cmake/EmbedKernels.cmake. MODEL_ and model_ stand for the
/// model's prefix, PRODUCT_FIELDS for what a product's rounding needs. REQUIRES: there is such a file.
std::string_view kernel_text(std::string_view name);

}  // namespace detent::interchange::c
