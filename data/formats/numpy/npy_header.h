#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace detent::data {

/// What the header of a .npy file says.
struct NpyHeader {
  std::string descr;
  bool is_fortran = false;
  std::vector<std::int64_t> shape;
};

/// Reads the literal of a Python dictionary with the three keys of a .npy header, in any order. Throws Error, which
/// begins with `where`, for anything else: other keys, a structured type, an extent that is negative or beyond 2^40.
NpyHeader parse_npy_header(const std::string& where, std::string_view text);

}  // namespace detent::data
