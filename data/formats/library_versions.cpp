#include "detent/data/formats/library_versions.h"

#include <cstdio>

#include <curl/curl.h>
#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

namespace detent::data {
namespace {

#ifdef LIBJPEG_TURBO_VERSION_NUMBER
constexpr const char* kJpeg = "libjpeg-turbo";
std::string jpeg_version() {
  constexpr int kVersion = LIBJPEG_TURBO_VERSION_NUMBER;  // 2001005: 2.1.5
  return std::to_string(kVersion / 1000000) + "." + std::to_string(kVersion / 1000 % 1000) + "." +
         std::to_string(kVersion % 1000);
}
#else
constexpr const char* kJpeg = "libjpeg";
std::string jpeg_version() { return std::to_string(JPEG_LIB_VERSION); }
#endif

}  // namespace

LibraryVersions library_versions() {
  return {{"zlib", zlibVersion()},
          {"libpng", png_get_libpng_ver(nullptr)},
          {"libcurl", curl_version_info(CURLVERSION_NOW)->version},
          {kJpeg, jpeg_version()}};
}

}  // namespace detent::data
