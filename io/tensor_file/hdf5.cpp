#include "detent/io/tensor_file/hdf5.h"

#include <algorithm>

#include "detent/core/utf8.h"
#include "detent/io/hdf5_version.h"

namespace detent {

std::string hdf5_version() {
  const hdf5::Session session;
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

namespace hdf5 {
namespace {

std::vector<std::string> read_variable_texts(hid_t set, std::size_t count, const std::string& where) {
  Handle space(H5Dget_space(set), H5Sclose);
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  Handle stored(H5Dget_type(set), H5Tclose);
  hsize_t bytes = 0;
  check(space > 0 && type > 0 && stored > 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 &&
            H5Tset_cset(type, H5Tget_cset(stored)) >= 0 && H5Dvlen_get_buf_size(set, type, space, &bytes) >= 0,
        where, ": cannot be read: ", library_reason());
  check(bytes <= kMostTextBytes, where, ": has ", bytes, " bytes of text: expected at most ", kMostTextBytes);
  std::vector<char*> pointers(count, nullptr);
  const bool is_read = H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) >= 0;
  const std::string reason = is_read ? std::string() : library_reason();
  std::vector<std::string> texts;
  for (const char* const text : pointers) {
    texts.push_back(valid_utf8(text != nullptr ? text : ""));
  }
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
  check(is_read, where, ": cannot be read: ", reason);
  return texts;
}

}  // namespace

std::vector<std::string> read_texts(hid_t set, hid_t type, std::size_t count, const std::string& where) {
  if (H5Tis_variable_str(type) != 0) {
    return read_variable_texts(set, count, where);
  }
  const std::size_t size = H5Tget_size(type);
  check(count == 0 || size <= kMostTextBytes / count, where, ": has ", count, " texts of ", size,
        " bytes: expected at most ", kMostTextBytes, " together");
  std::string letters(size * count, '\0');
  check(count == 0 || H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, letters.data()) >= 0, where,
        ": cannot be read: ", library_reason());
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string text = letters.substr(i * size, size);
    texts.push_back(valid_utf8(text.substr(0, std::min(text.find('\0'), text.size()))));
  }
  return texts;
}

std::string library_reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* data) -> herr_t {
        auto& text = *static_cast<std::string*>(data);
        if (text.empty() && error->desc != nullptr) {
          text = error->desc;
        }
        return 0;
      },
      &reason);
  return reason.empty() ? "no reason given" : reason;
}

StoredType stored_type(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT};
    case DType::F64:
      return {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE};
    case DType::BF16:
    case DType::F16:
      return {H5T_STD_U16LE, H5T_NATIVE_UINT16};
    case DType::U8:
      return {H5T_STD_U8LE, H5T_NATIVE_UINT8};
    case DType::S8:
      return {H5T_STD_I8LE, H5T_NATIVE_INT8};
    case DType::S32:
      return {H5T_STD_I32LE, H5T_NATIVE_INT32};
  }
  fail("tensor file: unknown element type");
}

}  // namespace hdf5
}  // namespace detent
