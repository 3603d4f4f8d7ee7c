#pragma once

#include <hdf5.h>

#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "detent/core/dtype.h"

/// What reading and writing tensor files share. Private to io: the only header that includes HDF5.
namespace detent::hdf5 {

/// Closes an HDF5 object. 0 and below are no objects.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle(hid_t id, Close function) : id_(id), close_(function) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (id_ > 0) {
      close_(id_);
    }
  }
  operator hid_t() const { return id_; }
  /// Closes now, and says whether all went well.
  bool close() { return close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_;
  Close close_;
};

/// One user of the library at a time (not every build of it is safe for threads), and its errors are not printed.
/// After an error they stay unprinted: the library then keeps pieces of a damaged file, and would complain about them
/// on the standard error when the program ends.
class Session {
 public:
  Session() : lock_(mutex()) {
    H5Eget_auto2(H5E_DEFAULT, &printer_, &printer_data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Session() {
    if (std::uncaught_exceptions() == exceptions_before_) {
      H5Eset_auto2(H5E_DEFAULT, printer_, printer_data_);
    }
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }
  std::lock_guard<std::mutex> lock_;
  int exceptions_before_ = std::uncaught_exceptions();
  H5E_auto2_t printer_ = nullptr;
  void* printer_data_ = nullptr;
};

/// What the library says of its last failure: its innermost message.
std::string library_reason();

/// How elements are stored in the file and how they lie in memory. The 16-bit reals are stored as their bits.
struct StoredType {
  hid_t file;
  hid_t memory;
};
StoredType stored_type(DType dtype);

inline bool is_16_bit_real(DType dtype) { return dtype == DType::BF16 || dtype == DType::F16; }

/// The `count` texts of a data set of type `type`, of fixed or of variable length, as valid UTF-8. Throws Error, which
/// begins with `where`, if the library cannot read them, or if they are more than kMostTextBytes together: in a file of
/// variable lengths many may lie in one place.
std::vector<std::string> read_texts(hid_t set, hid_t type, std::size_t count, const std::string& where);
inline constexpr std::size_t kMostTextBytes = std::size_t{1} << 30;

/// The group of the texts that are too long for an attribute.
inline constexpr std::string_view kTextGroup = "text/";

}  // namespace detent::hdf5
