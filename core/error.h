#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace detent {

/// What the library throws when a caller's request cannot be met: a wrong shape, a damaged file, a bad option.
/// The text is one line: what was attempted, what was expected, what came, and a hint where the mend is guessable.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error with the streamed `parts` as its text.
template <typename... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error(text.str());
}

/// Throws Error unless `condition` holds. For public boundaries; internal invariants use assert.
template <typename... Parts>
void check(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]] {
    fail(parts...);
  }
}

}  // namespace detent
