#include "detent/io/tensor_file/form.h"

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>

#include "detent/io/tensor_file/hdf5.h"

namespace detent::hdf5 {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are taken from the file as they lie");

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr std::size_t kVersion = 8, kWidths = 9, kBase = 12, kExtension = 20, kEnd = 28, kBytes = 48;
constexpr std::uint64_t kNone = ~std::uint64_t{0};

/// The message of an object header that makes the object a group with a symbol table.
constexpr unsigned kSymbolTable = 0x11;

struct Header {
  unsigned version = 0;
  bool has_symbol_table = false;
};

/// Of the version 0 where it cannot be read.
Header header_of(hid_t object) {
#if H5_VERSION_GE(1, 12, 0)
  H5O_native_info_t info{};
  const herr_t status = H5Oget_native_info(object, &info, H5O_NATIVE_INFO_HDR);
#else
  H5O_info_t info{};
  const herr_t status = H5Oget_info2(object, &info, H5O_INFO_HDR);
#endif
  return status < 0 ? Header{}
                    : Header{.version = info.hdr.version,
                             .has_symbol_table = (info.hdr.mesg.present >> kSymbolTable & 1) != 0};
}

bool has_old_chunk_index(hid_t set) {
  Handle creation(H5Dget_create_plist(set), H5Pclose);
  H5D_chunk_index_t index = H5D_CHUNK_IDX_BTREE;
  return creation <= 0 || (H5Pget_layout(creation) == H5D_CHUNKED &&
                           (H5Dget_chunk_index_type(set, &index) < 0 || index == H5D_CHUNK_IDX_BTREE));
}

}  // namespace

void check_superblock(const std::filesystem::path& path, std::uint64_t bytes) {
  const std::string where = "read '" + path.string() + "': ";
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), where, "it cannot be opened: ", std::generic_category().message(errno));
  std::array<char, kBytes> begin{};
  file.read(begin.data(), begin.size());
  const auto number_at = [&](std::size_t offset) {
    std::uint64_t number = 0;
    std::memcpy(&number, begin.data() + offset, sizeof number);
    return number;
  };
  check(std::string_view(begin.data(), kSignature.size()) == kSignature, where,
        "it is not an HDF5 file, or its beginning is damaged");
  const int version = static_cast<unsigned char>(begin[kVersion]);
  check(version > 1, where, "it has HDF5's oldest form (superblock version ", version,
        "), which Detent does not write and which is not safe to read as a model; take the file as Detent wrote it, or "
        "let the program that wrote this one use the form of HDF5 1.10 (h5py: libver='v110')");
  check(version <= 3 && bytes >= kBytes && begin[kWidths] == 8 && begin[kWidths + 1] == 8 && number_at(kBase) == 0 &&
            number_at(kExtension) == kNone,
        where, "its superblock is damaged, or of a form that Detent does not write");
  const std::uint64_t end = number_at(kEnd);
  check(bytes >= end, where, "it is cut short or damaged: it has ", bytes, " bytes of ", end);
  check(bytes <= end, where, "it is damaged: ", bytes - end, " bytes follow its end");
}

std::string older_part_of(hid_t object) {
  const Header header = header_of(object);
  if (header.version != 2) {
    return "its header is of version " + std::to_string(header.version);
  }
  if (header.has_symbol_table) {
    return "it has a symbol table";
  }
  return H5Iget_type(object) == H5I_DATASET && has_old_chunk_index(object)
             ? "its chunks are found by a B-tree of the first version"
             : "";
}

}  // namespace detent::hdf5
