#include "detent/io/tensor_file/reader.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include "detent/core/utf8.h"
#include "detent/io/tensor_file/checks.h"
#include "detent/io/tensor_file/form.h"
#include "detent/io/tensor_file/hdf5.h"
#include "detent/io/tensor_file/small.h"

namespace detent::hdf5 {
namespace {

constexpr int kDeepestGroup = 32;
constexpr std::size_t kMostObjects = 1'000'000;

class Reader {
 public:
  Reader(const ReadRequest& request, double file_bytes, TensorFile& content)
      : path_(request.path.string()),
        file_{.path = path_, .bytes = file_bytes, .is_own = request.is_own},
        only_(request.only),
        may_be_texts_(request.may_be_texts),
        content_(content) {}

  void read() {
    Handle file(made(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), "the file"), H5Fclose);
    Handle root(made(H5Gopen2(file, "/", H5P_DEFAULT), "the root group"), H5Gclose);
    check_form(root, "the root group");
    const int attributes = H5Aget_num_attrs(root);
    made(attributes, "the attributes");
    for (hsize_t i = 0; i < static_cast<hsize_t>(attributes); ++i) {
      Handle attribute(
          made(H5Aopen_by_idx(root, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT), "an attribute"),
          H5Aclose);
      const std::string name =
          name_from([&](char* text, std::size_t size) { return H5Aget_name(attribute, size, text); });
      if (std::optional<TensorFile::Attribute> value = attribute_value(file_, attribute, "attribute '" + name + "'")) {
        content_.attributes.emplace(valid_utf8(name), std::move(*value));
      }
    }
    const std::optional<std::string> index = small_index(root);
    has_small_ = index.has_value();
    read_group(root, "", 0);
    if (index) {
      try {
        unpack_small(*index, only_, content_.tensors);
      } catch (const Error& error) {
        fail("read '", path_, "': '", kSmallIndex, "' is damaged: ", error.what());
      }
    }
  }

 private:
  hid_t made(hid_t id, const std::string& what) const { return hdf5::made(file_, id, what); }
  void done(herr_t status, const std::string& what) const { made(status, what); }

  /// `get(text, size)` writes up to `size` bytes of a name and returns its length.
  template <typename Get>
  std::string name_from(Get&& get) const {
    const ssize_t length = get(nullptr, 0);
    check(length >= 0, "read '", path_, "': a name is damaged: ", library_reason());
    std::string name(static_cast<std::size_t>(length) + 1, '\0');
    check(get(name.data(), name.size()) == length, "read '", path_, "': a name is damaged: ", library_reason());
    name.pop_back();
    return name;
  }

  bool has_hard_link(hid_t group, const std::string& name) const {
    const htri_t exists = H5Lexists(group, name.c_str(), H5P_DEFAULT);
    made(exists, "'" + name + "'");
    H5L_info_t link;
    if (exists == 0) {
      return false;
    }
    done(H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT), "'" + name + "'");
    return link.type == H5L_TYPE_HARD;
  }

  /// What says where small tensors lie; nothing in files that have none, or something else of that name.
  std::optional<std::string> small_index(hid_t root) const {
    if (!has_hard_link(root, std::string(kSmallGroup.substr(0, kSmallGroup.size() - 1)))) {
      return std::nullopt;
    }
    const std::string name(kSmallIndex), what = "data set '" + name + "'";
    Handle group(made(H5Oopen(root, std::string(kSmallGroup).c_str(), H5P_DEFAULT), "'" + name + "'"), H5Oclose);
    check_form(group, "'" + std::string(kSmallGroup) + "'");
    if (H5Iget_type(group) != H5I_GROUP || !has_hard_link(root, name)) {
      return std::nullopt;
    }
    Handle set(made(H5Oopen(root, name.c_str(), H5P_DEFAULT), what), H5Oclose);
    check_form(set, what);
    if (H5Iget_type(set) != H5I_DATASET) {
      return std::nullopt;
    }
    Handle type(made(H5Dget_type(set), what), H5Tclose);
    Handle space(made(H5Dget_space(set), what), H5Sclose);
    if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 || H5Sget_simple_extent_npoints(space) != 1) {
      return std::nullopt;
    }
    check_storage(file_, set, what, static_cast<double>(H5Tget_size(type)), MayDeflate::Yes);
    return text_of(set, type, what);
  }

  void read_group(hid_t group, const std::string& prefix, int depth) {
    check(depth < kDeepestGroup, "read '", path_, "': groups are nested more than ", kDeepestGroup, " deep at '",
          prefix, "'");
    H5G_info_t info;
    done(H5Gget_info(group, &info), "group '/" + prefix + "'");
    for (hsize_t i = 0; i < info.nlinks; ++i) {
      check(++objects_ < kMostObjects, "read '", path_, "': it has more than ", kMostObjects, " objects");
      const std::string name = name_from([&](char* text, std::size_t size) {
        return H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, text, size, H5P_DEFAULT);
      });
      const std::string path = prefix + name;
      if (!is_wanted(path)) {
        continue;
      }
      H5L_info_t link;
      done(H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT), "'" + path + "'");
      if (link.type != H5L_TYPE_HARD) {
        continue;  // links to elsewhere are not content of this file
      }
      Handle object(made(H5Oopen(group, name.c_str(), H5P_DEFAULT), "'" + path + "'"), H5Oclose);
      check_form(object, "'" + path + "'");
      switch (H5Iget_type(object)) {
        case H5I_GROUP:
          read_group(object, path + "/", depth + 1);
          break;
        case H5I_DATASET:
          if (only_.empty() || is_of_small(path) || std::ranges::find(only_, path) != only_.end()) {
            read_data_set(object, path);
          }
          break;
        default:
          break;
      }
    }
  }

  /// Whether `path` is to be read, or is on the way to what is.
  bool is_wanted(const std::string& path) const {
    return only_.empty() || is_of_small(path) || std::ranges::any_of(only_, [&](const std::string& wanted) {
             return wanted == path || wanted.starts_with(path + "/");
           });
  }

  /// Whether `path` holds small tensors of any name, or is the group of what does.
  bool is_of_small(const std::string& path) const { return has_small_ && (path + "/").starts_with(kSmallGroup); }

  void read_data_set(hid_t set, const std::string& name) {
    const std::string what = "data set '" + name + "'";
    Handle type(made(H5Dget_type(set), what), H5Tclose);
    const H5T_class_t kind = H5Tget_class(type);
    made(kind, what);
    Handle space(made(H5Dget_space(set), what), H5Sclose);
    const bool has_numbers =
        (kind == H5T_FLOAT || kind == H5T_INTEGER || kind == H5T_ENUM) && H5Sget_simple_extent_type(space) != H5S_NULL;
    const bool is_long_text = kind == H5T_STRING && name.starts_with(kTextGroup) && H5Tis_variable_str(type) == 0;
    const bool has_texts = kind == H5T_STRING && std::ranges::find(may_be_texts_, name) != may_be_texts_.end() &&
                           H5Sget_simple_extent_ndims(space) == 1;
    if (!has_numbers && !is_long_text && !has_texts) {
      check(only_.empty() || is_of_small(name), "read '", path_, "': ", what, ": expected numbers, it holds ",
            kind == H5T_STRING ? "texts" : "none");
      return;
    }
    const Shape shape = shape_of(space, what);
    const std::size_t width = H5Tget_size(type);
    check(!has_numbers || width <= kWidestNumber, "read '", path_, "': ", what, ": expected numbers, an element has ",
          width, " bytes");
    check_storage(file_, set, what, static_cast<double>(shape.elements()) * static_cast<double>(width),
                  name == kSmallIndex ? MayDeflate::Yes : MayDeflate::No);
    if (has_texts) {
      const auto count = static_cast<std::size_t>(shape.elements());
      content_.texts.emplace(name, read_texts(set, type, count, "read '" + path_ + "': " + what));
      return;
    }
    switch (kind) {
      case H5T_STRING:
        return read_text(set, type, shape, name, what);
      case H5T_FLOAT:
        return add(set, name, what, shape, H5Tget_size(type) <= 4 ? DType::F32 : DType::F64);
      case H5T_ENUM: {
        content_.enumerations.insert(name);
        Handle base(made(H5Tget_super(type), what), H5Tclose);
        return read_integers(set, base, name, what, shape);
      }
      default:
        return read_integers(set, type, name, what, shape);
    }
  }

  Shape shape_of(hid_t space, const std::string& what) const {
    const int rank = H5Sget_simple_extent_ndims(space);
    made(rank, what);
    std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
    done(H5Sget_simple_extent_dims(space, dims.data(), nullptr), what);
    double elements = 1;
    for (const hsize_t dim : dims) {
      check(dim <= 1'000'000'000'000'000, "read '", path_, "': ", what, " is damaged: an extent is ", dim);
      elements *= std::max<double>(static_cast<double>(dim), 1);
    }
    check(elements <= 1e15, "read '", path_, "': ", what, " is damaged: it claims ", elements, " elements");
    return Shape(std::vector<std::int64_t>(dims.begin(), dims.end()));
  }

  /// What Detent itself wrote has one form only.
  void check_form(hid_t object, const std::string& what) const {
    if (file_.is_own) {
      const std::string old = older_part_of(object);
      check(old.empty(), "read '", path_, "': ", what,
            " has an older form than Detent writes, which is not safe to read: ", old,
            "; take the file as Detent wrote it");
    }
  }

  void read_text(hid_t set, hid_t type, const Shape& shape, const std::string& name, const std::string& what) {
    if (shape.elements() != 1) {
      return;  // another program's
    }
    content_.attributes.emplace(name.substr(kTextGroup.size()), valid_utf8(text_of(set, type, what)));
  }

  /// The one string of a data set.
  std::string text_of(hid_t set, hid_t type, const std::string& what) const {
    std::string text(H5Tget_size(type), '\0');
    done(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()), what);
    text.resize(std::min(text.size(), text.find('\0')));
    return text;
  }

  Tensor read_as(hid_t set, const std::string& what, const Shape& shape, DType dtype, hid_t memory_type) const {
    Tensor tensor = Tensor::empty(shape, dtype);
    if (tensor.elements() > 0) {
      done(H5Dread(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.raw()), what);
    }
    return tensor;
  }

  void add(hid_t set, const std::string& name, const std::string& what, const Shape& shape, DType dtype) {
    content_.tensors.emplace(name, read_as(set, what, shape, dtype, stored_type(dtype).memory));
  }

  /// u8, s8, the bits of 16-bit reals, and every other integer type as s32 if its values fit.
  void read_integers(hid_t set, hid_t type, const std::string& name, const std::string& what, const Shape& shape) {
    const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
    switch (H5Tget_size(type)) {
      case 1:
        return add(set, name, what, shape, is_signed ? DType::S8 : DType::U8);
      case 2:
        if (const DType real = declared_type(set, what); is_16_bit_real(real)) {
          return add(set, name, what, shape, real);
        }
        return add(set, name, what, shape, DType::S32);
      case 4:
        if (is_signed) {
          return add(set, name, what, shape, DType::S32);
        }
        [[fallthrough]];
      default: {
        const Tensor wide = read_as(set, what, shape, DType::F64, H5T_NATIVE_INT64);
        Tensor narrow = Tensor::empty(shape, DType::S32);
        const auto values =
            std::span(reinterpret_cast<const std::int64_t*>(wide.raw()), static_cast<std::size_t>(wide.elements()));
        const std::span<std::int32_t> fitting = narrow.data<std::int32_t>();
        for (std::size_t i = 0; i < values.size(); ++i) {
          check(std::in_range<std::int32_t>(values[i]), "read '", path_, "': ", what, ": element ", i, " is ",
                values[i], ", which does not fit 32 bits");
          fitting[i] = static_cast<std::int32_t>(values[i]);
        }
        content_.tensors.emplace(name, std::move(narrow));
      }
    }
  }

  /// What the attribute `dtype` of a data set says: BF16 or F16; U8 if it says nothing of these.
  DType declared_type(hid_t set, const std::string& what) const {
    if (H5Aexists(set, "dtype") <= 0) {
      return DType::U8;
    }
    Handle attribute(made(H5Aopen(set, "dtype", H5P_DEFAULT), what), H5Aclose);
    const auto value = attribute_value(file_, attribute, what);
    for (const DType real : {DType::BF16, DType::F16}) {
      if (value == TensorFile::Attribute(std::string(name_of(real)))) {
        return real;
      }
    }
    return DType::U8;  // a note of another program's
  }

  std::string path_;
  FileFacts file_;
  const std::vector<std::string>& only_;
  const std::vector<std::string>& may_be_texts_;
  TensorFile& content_;
  std::size_t objects_ = 0;
  bool has_small_ = false;
};

}  // namespace

TensorFile read_here(const ReadRequest& request) {
  const std::filesystem::path& path = request.path;
  const std::string where = "read '" + path.string() + "': ";
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  check(std::filesystem::exists(status), where, "there is no such file");
  check(!std::filesystem::is_directory(status), where, "expected a file, it is a folder");
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  check(!error, where, error.message());
  if (request.is_own) {
    check_superblock(path, bytes);
  }

  const Session session;
  const htri_t is_hdf5 = H5Fis_hdf5(path.c_str());
  check(is_hdf5 >= 0, where, "it cannot be opened: ", library_reason());
  check(is_hdf5 > 0, where, "it is not an HDF5 file, or its beginning is damaged");
  TensorFile content;
  content.source = path;
  Reader(request, static_cast<double>(bytes), content).read();
  return content;
}

}  // namespace detent::hdf5
