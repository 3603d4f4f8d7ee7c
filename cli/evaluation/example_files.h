#pragma once

#include <string>

#include "detent/core/tensor.h"

namespace detent::cli {

/// The examples of a file or folder that a model is asked about, u8 or f32 [N, ...]: an IDX file of images; an HDF5
/// file with `images` or `features` at its root, or below `test`; a data set of any format, of which the test part
/// counts. Throws Error, naming the file, for what is none of these.
Tensor read_examples(const std::string& path);

}  // namespace detent::cli
