#pragma once

#include <toml++/toml.h>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace detent::recipes {

/// The line, from 1, of the first key of more than 32 parts (a.b.c...), outside of texts and comments. Each part is a
/// table in a table: of very many, everything that walks over them would overflow the stack. The library bounds
/// brackets alone.
std::optional<std::int64_t> line_of_long_key(std::string_view text);

/// The text of a TOML file. Throws Error, with file and line, for what is none, and for keys of more than 32 parts.
toml::table parse_toml(std::string_view text, const std::string& file);

}  // namespace detent::recipes
