#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <string>

/// The form of HDF5 that Detent writes: that of HDF5 1.10, whose every piece of metadata carries a checksum. Older
/// forms have none, and the library does not survive all damage to them: a B-tree of the first version may make it
/// crash, read memory that it has freed, or ask for memory without end. Files that are to be models are therefore
/// refused unless they have this form, before the library walks them. Private to io.
namespace detent::hdf5 {

/// Throws Error, which begins with "read 'PATH': ", unless the superblock of the file, which has `bytes` bytes, is one
/// that Detent writes, and the file ends where it says. Reads the first 48 bytes, without the library:
///
///     offset  content
///     0       89 'H' 'D' 'F' 0d 0a 1a 0a
///     8       version: 2 or 3
///     9       bytes of an offset, bytes of a length: 8, 8; flags
///     12      u64 (LE) base address: 0
///     20      u64 address of an extension: none, all bits set
///     28      u64 end of the file
///     36      u64 the root group's header; 44 checksum, which the library checks
///
/// Source: HDF5 File Format Specification 3.0, section II.A.
void check_superblock(const std::filesystem::path& path, std::uint64_t bytes);

/// What of an open object is older than that form, or nothing: "its header is of version 1". Groups are walked by their
/// symbol tables, and chunks found by their B-tree, only after this was asked.
std::string older_part_of(hid_t object);

}  // namespace detent::hdf5
