#include "detent/io/tensor_file/checks.h"

#include <algorithm>
#include <array>

#include "detent/core/processor/machine_memory.h"
#include "detent/core/utf8.h"
#include "detent/io/tensor_file/hdf5.h"

namespace detent::hdf5 {
namespace {

/// The most that any filter of HDF5 shrinks: deflate packs 1032 bytes into one.
constexpr double kLargestCompression = 1032;

bool is_compressed(hid_t creation) {
  bool is_compressed = false;
  for (int i = 0; i < H5Pget_nfilters(creation); ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
    is_compressed |= filter != H5Z_FILTER_FLETCHER32 && filter != H5Z_FILTER_SHUFFLE;
  }
  return is_compressed;
}

double chunk_bytes(const FileFacts& file, hid_t set, hid_t creation, const std::string& what) {
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const hid_t rank = made(file, H5Pget_chunk(creation, H5S_MAX_RANK, extents.data()), what);
  Handle type(made(file, H5Dget_type(set), what), H5Tclose);
  auto bytes = static_cast<double>(H5Tget_size(type));
  std::for_each_n(extents.begin(), std::min<hid_t>(rank, H5S_MAX_RANK),
                  [&](hsize_t extent) { bytes *= static_cast<double>(extent); });
  return bytes;
}

std::string attribute_text(const FileFacts& file, hid_t attribute, hid_t type, const std::string& what) {
  if (H5Tis_variable_str(type) > 0) {  // as h5py writes it
    check(!file.is_own, file.where(what),
          " is a text of variable length, which no file of Detent has; write one of fixed length (h5py: "
          "np.bytes_('text'))");
    char* text = nullptr;
    made(file, H5Aread(attribute, type, static_cast<void*>(&text)), what);
    std::string value = valid_utf8(text != nullptr ? text : "");
    H5free_memory(text);
    return value;
  }
  const std::size_t size = H5Tget_size(type);
  check(static_cast<double>(size) <= file.bytes, file.where(what), " is damaged: it claims ", size, " bytes");
  std::string value(size, '\0');
  made(file, H5Aread(attribute, type, value.data()), what);
  value.resize(std::min(value.size(), value.find('\0')));
  return valid_utf8(value);
}

}  // namespace

hid_t made(const FileFacts& file, hid_t id, const std::string& what) {
  check(id >= 0, file.where(what), " is damaged: ", library_reason());
  return id;
}

void check_storage(const FileFacts& file, hid_t set, const std::string& what, double bytes, MayDeflate may_deflate) {
  const auto stored = static_cast<double>(H5Dget_storage_size(set));
  Handle creation(made(file, H5Dget_create_plist(set), what), H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(creation);
  check(layout != H5D_VIRTUAL && H5Pget_external_count(creation) <= 0, file.where(what),
        ": its elements lie in other files; copy them into this one");
  const bool is_packed = is_compressed(creation);
  check(!file.is_own || !is_packed || may_deflate == MayDeflate::Yes, file.where(what),
        " is compressed, as no tensor that Detent writes is");
  const double claimed =
      layout == H5D_CHUNKED && bytes > 0 ? std::max(bytes, chunk_bytes(file, set, creation, what)) : bytes;
  check(stored <= file.bytes && claimed <= stored * (is_packed ? kLargestCompression : 1), file.where(what),
        " is damaged or was never written: it claims ", claimed, " bytes and ", stored, " are stored");
  check(claimed <= static_cast<double>(machine_memory()), file.where(what), " claims ", claimed,
        " bytes, more than this machine's memory of ", machine_memory());
}

std::optional<TensorFile::Attribute> attribute_value(const FileFacts& file, hid_t attribute, const std::string& what) {
  Handle type(made(file, H5Aget_type(attribute), what), H5Tclose);
  Handle space(made(file, H5Aget_space(attribute), what), H5Sclose);
  if (H5Sget_simple_extent_npoints(space) != 1) {
    return std::nullopt;
  }
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_STRING) {
    return attribute_text(file, attribute, type, what);
  }
  if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || H5Tget_size(type) > kWidestNumber) {
    return std::nullopt;
  }
  if (kind == H5T_INTEGER) {
    std::int64_t value = 0;
    made(file, H5Aread(attribute, H5T_NATIVE_INT64, &value), what);
    return value;
  }
  double value = 0;
  made(file, H5Aread(attribute, H5T_NATIVE_DOUBLE, &value), what);
  return value;
}

}  // namespace detent::hdf5
