#pragma once

#include <string>
#include <vector>

#include "detent/core/tensor.h"
#include "detent/train/model_attributes.h"

namespace detent::cli {

/// Examples that a model is asked about.
struct Examples {
  Tensor values;                          ///< u8 or f32 [N, ...]
  std::vector<std::string> names;         ///< where each came from: "cat.png", "iris.csv, line 7", "t10k-images [3]"
  std::vector<std::string> remarks = {};  ///< what a person should know of them
};

/// What a file or folder holds, read as `trained` says that training data were: an IDX file of images; an HDF5 file
/// with `images` or `features` at its root, or below `test`; pictures, tables and arrays (data/formats/unlabelled.h); a
/// data set in a folder, of which the test part counts. Throws Error, naming the file, for what is none of these.
Examples read_examples(const std::string& path, const train::TrainedOn& trained);

}  // namespace detent::cli
