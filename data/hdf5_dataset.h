#pragma once

#include <filesystem>

#include "detent/data/dataset.h"
#include "detent/data/formats/read_options.h"

/// Data sets in HDF5, as h5py and other programs write and read them. One file:
///
///     /train/images   u8  [N, H, W, C] or [N, H, W]     /test/images   the same for M examples
///     /train/labels   integers, booleans or texts [N]   /test/labels
///     /class_names    texts, of labels that are numbers; optional
///
/// with `features` in place of `images` for examples that are no images: f32 [N, ...], [N, F] above all, taken as they
/// are, or u8, of which p means p / 255;
///
///     attributes, optional: name (text), classes (integer), layout ("NHWC")
///
/// or a folder with train.h5 and test.h5 that have `images` and `labels` at their root; or one file with these at its
/// root, whose test part is split off. Different texts are the classes, in their order. For the tasks "values" and
/// "flags" labels are numbers [N] or [N, K]; another data set may be named as the labels, and others [N], of numbers,
/// booleans or texts, as columns (ReadOptions). What else there is is not read. Without the attribute `name` the data
/// are called as the file or folder is, without `classes` there are as many as the largest training label says, at most
/// twice the training examples or 1000.
/// Booleans are labels 1 and 0, and the description says so. [N, 1 or 3, H, W] is refused, for it looks like channels
/// first, unless `layout` says "NHWC".
namespace detent::data {

/// Whether `folder` holds a train.h5 or a test.h5.
bool has_hdf5_files(const std::filesystem::path& folder);

/// Reads a file or a folder as above. Throws Error naming the file: missing, not HDF5, damaged, without one of the data
/// sets, of another type or rank (with the mend in numpy), counts or image sizes that disagree, labels that are not in
/// [0, classes).
DataSource read_hdf5_dataset(const std::filesystem::path& path, const ReadOptions& options = {});

/// Writes examples and labels of both parts to one file, atomically; the same content gives the same bytes. Throws
/// Error if they are not valid, if the targets are no classes, or the file cannot be written.
void write_hdf5_dataset(const std::filesystem::path& path, const DataSource& source);

}  // namespace detent::data
