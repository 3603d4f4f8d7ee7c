#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <new>
#include <span>
#include <variant>
#include <vector>

#include "detent/io/atomic_file.h"
#include "detent/io/tensor_file.h"
#include "detent/io/tensor_file/hdf5.h"
#include "detent/io/tensor_file/small.h"

// Layout, beyond what the header says:
//   - Everything is written with the file format of HDF5 1.10, whose every piece of metadata carries a checksum, so a
//     damaged byte is found, unless it lies where nothing is kept. Data sets are chunked, which Fletcher32 needs;
//     scalars and data sets without elements cannot be chunked and lie, checksummed too, in their object header.
//   - An attribute is at most 64 KB in HDF5. A text longer than kLongestAttribute is the one string of a data set
//     /text/<name> instead.
//   - Small tensors lie end to end, as tensor_file/small.h says. The text that says where repeats itself and is
//   deflated.
//   - Attributes lie in the object header, however many there are: a heap for them would be larger than they are.
//   - The file is built in memory and written by AtomicFile, so that a full disk is met by plain writes and not inside
//     the library, which does not recover from it.
namespace detent {
namespace {

using namespace hdf5;

static_assert(std::endian::native == std::endian::little, "tensor memory is written as it is: little-endian");

constexpr std::size_t kLongestAttribute = 32 * 1024;
constexpr hsize_t kLargestChunk = hsize_t{4} << 20;
constexpr std::size_t kGrowth = 256 * 1024;
constexpr unsigned kMostInlineAttributes = 65535;

/// Where the superblock keeps the address of the end of the file: version 2 and 3, section II.A of the format.
constexpr std::size_t kEndOfFileAddress = 28;

/// The memory that the library builds a file in. The library gives it back when the file is closed, and only then is
/// the superblock complete, so that "get file image" of an open file would be too early.
class Image {
 public:
  explicit Image(std::size_t capacity) { bytes_.reserve(capacity); }

  /// Makes files of the access list `access` grow in this memory. It must outlive them. Negative if it failed.
  herr_t serve(hid_t access) {
    H5FD_file_image_callbacks_t callbacks{};
    callbacks.image_malloc = [](std::size_t size, H5FD_file_image_op_t, void* self) { return resize(self, size); };
    callbacks.image_realloc = [](void*, std::size_t size, H5FD_file_image_op_t, void* self) {
      return resize(self, size);
    };
    callbacks.image_memcpy = [](void* to, const void* from, std::size_t size, H5FD_file_image_op_t, void*) {
      return std::memcpy(to, from, size);
    };
    callbacks.image_free = [](void*, H5FD_file_image_op_t, void*) { return herr_t{0}; };
    callbacks.udata_copy = [](void* self) { return self; };
    callbacks.udata_free = [](void*) { return herr_t{0}; };
    callbacks.udata = this;
    return H5Pset_file_image_callbacks(access, &callbacks);
  }

  /// The file, after it was closed. What lies behind its end was reserved for more.
  std::span<const std::byte> file() const {
    std::uint64_t end = 0;
    std::memcpy(&end, bytes_.data() + kEndOfFileAddress, sizeof end);
    assert(end <= bytes_.size());
    return std::span(bytes_).first(end);
  }

 private:
  static void* resize(void* self, std::size_t size) noexcept {
    std::vector<std::byte>& bytes = static_cast<Image*>(self)->bytes_;
    try {
      bytes.resize(size);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    return bytes.data();
  }
  std::vector<std::byte> bytes_;
};

class FileBuilder {
 public:
  explicit FileBuilder(std::string path) : path_(std::move(path)) {}

  /// Builds the file in `image`.
  void build(const TensorFile& content, Image& image) const {
    Handle access(made(H5Pcreate(H5P_FILE_ACCESS)), H5Pclose);
    done(H5Pset_fapl_core(access, kGrowth, false));
    done(image.serve(access));
    done(H5Pset_meta_block_size(access, 0));  // pieces follow each other: blocks of them would stay partly empty
    done(H5Pset_small_data_block_size(access, 0));
    done(H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110));
    Handle creation(made(H5Pcreate(H5P_FILE_CREATE)), H5Pclose);
    done(H5Pset_obj_track_times(creation, false));
    done(H5Pset_attr_phase_change(creation, kMostInlineAttributes, 0));
    Handle file(made(H5Fcreate("image", H5F_ACC_TRUNC, creation, access)), H5Fclose);
    for (const auto& [name, tensor] : content.tensors) {
      check_name(name);
      check(tensor.defined(), "write '", path_, "': tensor '", name, "' is undefined");
    }
    const SmallTensors small = packed(content.tensors);
    for (const auto& [name, tensor] : content.tensors) {
      if (small.index.empty() || !is_small(name, tensor)) {
        add_tensor(file, name, tensor);
      }
    }
    for (const auto& [name, tensor] : small.sets) {
      add_tensor(file, name, tensor);
    }
    if (!small.index.empty()) {
      add_text(file, std::string(kSmallIndex), small.index, Storage::Deflated);
    }
    for (const auto& [name, value] : content.attributes) {
      check(!name.empty() && name.find('\0') == name.npos, "write '", path_, "': an attribute has no name");
      std::visit([&, &key = name](const auto& v) { add_attribute(file, key, v); }, value);
    }
    check(file.close(), "write '", path_, "': HDF5: ", library_reason());
  }

 private:
  hid_t made(hid_t id) const {
    check(id >= 0, "write '", path_, "': HDF5: ", library_reason());
    return id;
  }
  void done(herr_t status) const { made(status); }

  SmallTensors packed(const std::map<std::string, Tensor>& tensors) const {
    try {
      return pack_small(tensors);
    } catch (const Error& error) {
      fail("write '", path_, "': ", error.what());
    }
  }

  void check_name(const std::string& name) const {
    check(!name.empty() && name.find('\0') == name.npos && ("/" + name + "/").find("//") == name.npos &&
              ("/" + name + "/").find("/./") == name.npos,
          "write '", path_, "': '", name, "' cannot be a path in the file");
  }

  /// Makes the groups on the way to `name`. The library would make them too, but with time stamps.
  void add_groups(hid_t file, const std::string& name) const {
    check_name(name);
    Handle creation(made(H5Pcreate(H5P_GROUP_CREATE)), H5Pclose);
    done(H5Pset_obj_track_times(creation, false));
    for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
      const std::string group = name.substr(0, slash);
      if (H5Lexists(file, group.c_str(), H5P_DEFAULT) <= 0) {
        Handle made_group(made(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT)), H5Gclose);
      }
    }
  }

  enum class Storage { Plain, Deflated };

  /// A data set with `memory` in it. It is chunked and checksummed if it has a dimension and elements.
  Handle add_data_set(hid_t file, const std::string& name, const Shape& shape, hid_t file_type, hid_t memory_type,
                      const void* memory, Storage storage = Storage::Plain) const {
    add_groups(file, name);
    std::vector<hsize_t> extents(shape.extents().begin(), shape.extents().end());
    Handle space(made(extents.empty() ? H5Screate(H5S_SCALAR)
                                      : H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr)),
                 H5Sclose);
    Handle creation(made(H5Pcreate(H5P_DATASET_CREATE)), H5Pclose);
    done(H5Pset_obj_track_times(creation, false));
    done(H5Pset_dset_no_attrs_hint(creation, true));  // no room is kept for attributes to come
    if (extents.empty() || shape.elements() == 0) {
      done(H5Pset_layout(creation, H5D_COMPACT));
    } else {
      hsize_t bytes = H5Tget_size(file_type) * static_cast<hsize_t>(shape.elements());
      for (hsize_t& extent : extents) {  // outer axes are halved until a chunk is small enough
        while (bytes > kLargestChunk && extent > 1) {
          bytes = bytes / extent * ((extent + 1) / 2);
          extent = (extent + 1) / 2;
        }
      }
      done(H5Pset_chunk(creation, static_cast<int>(extents.size()), extents.data()));
      if (storage == Storage::Deflated && H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0) {
        done(H5Pset_deflate(creation, 9));
      }
      done(H5Pset_fletcher32(creation));
    }
    Handle set(made(H5Dcreate2(file, name.c_str(), file_type, space, H5P_DEFAULT, creation, H5P_DEFAULT)), H5Dclose);
    if (shape.elements() > 0) {
      done(H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, memory));
    }
    return set;
  }

  void add_tensor(hid_t file, const std::string& name, const Tensor& tensor) const {
    const StoredType type = stored_type(tensor.dtype());
    const Handle set = add_data_set(file, name, tensor.shape(), type.file, type.memory, tensor.raw());
    if (is_16_bit_real(tensor.dtype())) {
      add_attribute(set, "dtype", std::string(name_of(tensor.dtype())));
    }
  }

  Handle string_type(std::size_t size) const {
    Handle type(made(H5Tcopy(H5T_C_S1)), H5Tclose);
    done(H5Tset_size(type, std::max<std::size_t>(size, 1)));
    done(H5Tset_strpad(type, H5T_STR_NULLPAD));
    done(H5Tset_cset(type, H5T_CSET_UTF8));
    return type;
  }

  void add_text(hid_t file, const std::string& name, const std::string& text, Storage storage) const {
    const Handle type = string_type(text.size());
    add_data_set(file, name, {1}, type, type, text.c_str(), storage);
  }

  void add_attribute(hid_t object, const std::string& name, const std::string& text) const {
    check(text.find('\0') == text.npos, "write '", path_, "': attribute '", name, "' has a zero byte in its text");
    if (text.size() > kLongestAttribute) {
      add_text(object, std::string(kTextGroup) + name, text, Storage::Plain);
    } else {
      const Handle type = string_type(text.size());
      add_value(object, name, type, type, text.c_str());
    }
  }
  void add_attribute(hid_t object, const std::string& name, std::int64_t value) const {
    add_value(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
  }
  void add_attribute(hid_t object, const std::string& name, double value) const {
    add_value(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
  }

  void add_value(hid_t object, const std::string& name, hid_t file_type, hid_t memory_type, const void* value) const {
    Handle space(made(H5Screate(H5S_SCALAR)), H5Sclose);
    Handle attribute(made(H5Acreate2(object, name.c_str(), file_type, space, H5P_DEFAULT, H5P_DEFAULT)), H5Aclose);
    done(H5Awrite(attribute, memory_type, value));
  }

  std::string path_;
};

}  // namespace

void TensorFile::write(const std::filesystem::path& path) const {
  AtomicFile file(path);
  {
    const Session session;
    std::size_t bytes = kGrowth;
    for (const auto& [name, tensor] : tensors) {
      bytes += tensor.bytes() + 1024;
    }
    Image image(bytes);
    FileBuilder(path.string()).build(*this, image);
    file.write(image.file());
  }
  file.commit();
}

}  // namespace detent
