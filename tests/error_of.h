#pragma once

#include <string>

#include "detent/core/error.h"

namespace detent {

/// The text of the Error that `fn` throws; "no error" if it throws none.
template <typename Fn>
std::string error_of(Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace detent
