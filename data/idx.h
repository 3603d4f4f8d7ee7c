#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "detent/data/dataset.h"

/// The IDX format of MNIST and its relatives, plain or gzip.
///
///     offset  type      images                     labels
///     0       u32 (BE)  0x00000803                 0x00000801
///     4       u32 (BE)  N                          N
///     8       u32 (BE)  H
///     12      u32 (BE)  W
///     then    u8        N * H * W pixels by row    N labels
///
/// The third byte of the first word is the element type (08: u8), the fourth the number of dimensions. Source: the
/// MNIST database, LeCun, Cortes, Burges.
///
/// A file that is missing, truncated, foreign, followed by more bytes, or whose gzip check sum is wrong is refused with
/// an Error that names it. Nothing is allocated because a header says so: a header that promises more than the file
/// holds is found out by reading.
namespace detent::data {

/// u8 [N, H, W, 1]
Tensor read_idx_images(const std::filesystem::path& path);
/// s32 [N], each in 0 to 255
Tensor read_idx_labels(const std::filesystem::path& path);

/// Where `stem` ("train-images") lies in `folder` under one of its usual names: train-images-idx3-ubyte or
/// train-images.idx3-ubyte, each also with .gz. The first that exists in that order, or nothing.
std::optional<std::filesystem::path> find_idx(const std::filesystem::path& folder, const std::string& stem);
/// Whether `folder` has any of the four files, so that whoever put it there means it as a data set.
bool has_idx_files(const std::filesystem::path& folder);

/// The four files train-images, train-labels, t10k-images and t10k-labels of `folder`. They are called
/// `name`; without one "mnist", if labels and test images are MNIST's (by the SHA-256 that `fetch` checks), else as the
/// folder is. Throws Error if one
/// is missing or damaged, if counts or image sizes disagree, or if a label is not in [0, classes).
DataSource read_idx_folder(const std::filesystem::path& folder, const std::string& name = {},
                           std::int64_t classes = 10);

/// The inverse of the readers; compressed if `path` ends in .gz, written atomically.
/// REQUIRES: u8 [N, H, W, 1]; s32 [N] in 0 to 255. Throws Error otherwise.
void write_idx_images(const std::filesystem::path& path, const Tensor& images);
void write_idx_labels(const std::filesystem::path& path, const Tensor& labels);
/// Makes `folder` if need be and writes the four files under the names that read_idx_folder finds.
void write_idx_folder(const std::filesystem::path& folder, const DataSource& source, bool is_compressed = true);

}  // namespace detent::data
