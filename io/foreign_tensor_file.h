#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "detent/io/tensor_file.h"

namespace detent {

/// Reads an HDF5 file of any form, as other programs write them: any byte order, compressed data sets, reals of any
/// width as f32 or f64, integers of any width as s32 (throws Error where a value does not fit), enumerations (h5py's
/// booleans) as their integers. What is no number (texts, compounds, references), attributes that are arrays, and links
/// to other places are passed over. Texts that are not UTF-8 are made valid (core/utf8.h).
///
/// With `only`, no data sets but those, which must then hold numbers if they are there, or, those that `may_be_texts`
/// names too, texts [N]. Throws Error, naming the file and what is wrong, if it is missing, not HDF5, truncated, or
/// damaged in any data set that is read.
///
/// HDF5's oldest form, which h5py writes where it is not told otherwise, has no checksums, and the HDF5 library does
/// not survive all damage to it: it crashes, or takes memory or time without end. TensorFile::read refuses that form.
/// Both read in a process forked from this one, with memory and time bounded by the file's size; Error says if that
/// died. No other thread may be calling the HDF5 library by itself at that moment.
TensorFile read_foreign_file(const std::filesystem::path& path, const std::vector<std::string>& only = {},
                             const std::vector<std::string>& may_be_texts = {});

}  // namespace detent
