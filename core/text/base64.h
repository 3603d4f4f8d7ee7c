#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace detent {

/// Bytes as letters, RFC 4648.
std::string base64(std::string_view bytes);
/// The inverse; nothing for what base64 does not give.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace detent
