#pragma once

#include <filesystem>

#include "detent/data/digits.h"
#include "detent/data/idx.h"

namespace detent::cli {

/// 200 training and 60 test digits as an IDX folder: data of runs that take a second.
inline void write_digits(const std::filesystem::path& folder) {
  data::write_idx_folder(folder, data::make_digits({.train = 200, .test = 60, .seed = 3}));
}

}  // namespace detent::cli
