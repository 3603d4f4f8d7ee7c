#include "detent/io/tensor_file_hdf5.h"

#include "detent/io/hdf5_version.h"

namespace detent {

std::string hdf5_version() {
  const hdf5::Session session;
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

namespace hdf5 {

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
