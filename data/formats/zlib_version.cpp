#include "detent/data/formats/zlib_version.h"

#include <zlib.h>

namespace detent::data {

std::string version_of_zlib() { return zlibVersion(); }

}  // namespace detent::data
