#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). Names come from folders and foreign files,
/// where any bytes may stand; JSON, HDF5 attributes and the screen take UTF-8 only.
namespace detent {

/// The offset of the first byte of `text` that begins no valid sequence, or npos.
std::size_t find_invalid_utf8(std::string_view text);

/// `text` with U+FFFD in place of every such byte.
std::string valid_utf8(std::string_view text);

}  // namespace detent
