#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace detent {

/// As did_you_mean (nearest.h), of a path that is not there: each part of it that is not is taken for a name of its
/// folder. "; did you mean 'runs/mine/int8.h5'?", or `otherwise` where that leads to nothing that is there.
std::string did_you_mean_path(const std::filesystem::path& path, std::string_view otherwise = {});

}  // namespace detent
