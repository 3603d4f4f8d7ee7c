#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detent/interchange/c/export.h"
#include "detent/interchange/same/difference.h"

/// The C sources that an export wrote, as a compiler sees them: their words, without blanks and comments.
namespace detent::interchange {

/// A word of a C source, and the line on which it stands.
struct CToken {
  std::string_view text = {};
  std::int64_t line = 0;
};

/// The words of a text in C: names, numbers (with the sign that stands before one in a list), texts, single signs; what
/// ends a preprocessor's line is a word "\n". Any bytes at all have words. REQUIRES: `text` outlives the result.
std::vector<CToken> c_tokens(std::string_view text);

/// NAME.h and NAME.c.
struct CSources {
  std::string header_file = {}, source_file = {};  ///< as messages call them
  std::string header = {}, source = {};            ///< their texts

  /// What the header states of the model: its digest; "" where it states none.
  std::string stated_sha256() const;
};

/// Of a path that ends in .c or .h, both files. Throws Error, naming the file, for one that cannot be read or is larger
/// than 1 GB.
CSources read_c_sources(const std::filesystem::path& path);

/// What an export must be asked for to write such sources; `pixels` where they have a table of pixels' codes.
c::Options export_options(const CSources& sources, const std::optional<std::array<float, 256>>& pixels);

/// The first difference of two exports' sources: the constants and the code of the source, then the header. An element
/// of an array has the array's name; all else its file and line in `b`.
std::optional<Difference> first_difference(const CSources& a, const CSources& b);

}  // namespace detent::interchange
