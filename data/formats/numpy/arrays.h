#pragma once

#include <filesystem>

#include "detent/data/dataset.h"
#include "detent/data/formats/read_options.h"

/// Data sets in arrays of numpy: an archive .npz, a folder of .npy files, or one .npy file (npy.h). Arrays are found by
/// their names, in any case:
///
///   examples   x, images, data, features, arr_0; of parts x_train or train_x, x_test or test_x, and so on
///   labels     y, labels, label, targets, target, arr_1, likewise; or what ReadOptions::label names
///   names      class_names, classes, label_names or target_names: texts, where labels are the classes' numbers
///   columns    arrays [N] that ReadOptions::slices names
///
/// Examples are u8: images [N, H, W, C] or [N, H, W], or features [N, F] of which p means p / 255; or numbers of any
/// other type, taken as f32 [N, ...]. Labels are whole numbers or texts [N], whose different values are the classes;
/// numbers [N] or [N, K] for values and flags. One .npy file is rows of numbers [N, F], some of whose columns are the
/// labels.
namespace detent::data {

/// Whether this is a file that ends in .npz or .npy, or a folder with arrays of examples in it.
bool is_arrays(const std::filesystem::path& path);

/// Throws Error, naming file and array, for what is none of the above, and for damaged files (npy.h, zip.h).
DataSource read_arrays(const std::filesystem::path& path, const ReadOptions& options = {});

/// The examples alone: the array x (or another of its names) of an archive or a folder, or all of one .npy file.
Tensor read_array(const std::filesystem::path& path);

}  // namespace detent::data
