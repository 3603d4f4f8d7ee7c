#pragma once

#include <sstream>
#include <string>

#include "detent/core/shape.h"

namespace detent {

/// As messages have it: "[28, 28, 1]".
inline std::string text_of(const Shape& shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

}  // namespace detent
