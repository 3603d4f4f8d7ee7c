#pragma once

#include <filesystem>
#include <string>

#include "detent/data/dataset.h"
#include "detent/data/formats/read_options.h"

namespace detent::data {

/// Examples brought to the height, width and channels of `options`, where these are said: images u8 [N, H, W, C], and
/// rows of pixels [N, F], whole numbers from 0 to 255, which become images. Others stay as they are. Throws Error,
/// which begins with `where`, for rows that are no such images.
Tensor images_as_asked(const Tensor& examples, const ReadOptions& options, const std::string& where);

/// What every format of data that may be sorted, and may have no test part, does at its end: images are
/// brought to options.height, width and channels, and rows of pixels become images where a size is said; a test part
/// that is missing (its labels are not defined) is split off by class, see split.h; the examples of both parts are
/// brought into an order of options.split_seed, so that the first so many are any; and the data get their name and
/// description. Throws Error for data that are not valid, and where no example is left for one of the parts.
DataSource finished(DataSource source, const std::filesystem::path& path, const ReadOptions& options);

}  // namespace detent::data
