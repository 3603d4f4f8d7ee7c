#pragma once

#include <filesystem>
#include <vector>

#include "detent/data/dataset.h"
#include "detent/data/formats/read_options.h"

/// Data sets of pictures, PNG or JPEG (image_file.h), in folders that are called as their classes are:
///
///     DIR/cat/1.png  DIR/cat/more/2.jpg  DIR/dog/1.png         or        DIR/train/cat/1.png ...  DIR/test/cat/1.png
///     ...
///
/// Classes are ordered by name, those that are all whole numbers as numbers. All pictures have one size and are all
/// grey or all colour, unless ReadOptions says to which they are to be brought. Files and folders whose names begin
/// with a dot, and files that do not end in .png, .jpg or .jpeg, are passed over. Without test/, val/ (valid/,
/// validation/) is the test part; without either it is split off.
namespace detent::data {

/// Whether there is a picture in the folder, in one of those in it, or in one of those of its train/.
bool is_image_folder(const std::filesystem::path& path);

/// Throws Error for damaged files, a class without pictures, less than two classes, test classes that no training
/// picture has, and pictures that differ in size or colours; it names the file and how to mend it.
DataSource read_image_folder(const std::filesystem::path& path, const ReadOptions& options = {});

/// All pictures of a folder and of those in it, or the one file, in the order of their paths.
std::vector<std::filesystem::path> image_files(const std::filesystem::path& path);
/// u8 [N, H, W, C], brought to size and channels as `options` says. Throws Error as above; `files` must not be empty.
Tensor read_images(const std::vector<std::filesystem::path>& files, const ReadOptions& options);

}  // namespace detent::data
