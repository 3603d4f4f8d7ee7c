#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

#include "detent/core/error.h"
#include "detent/data/formats/images/image_file.h"
#include "detent/data/formats/limits.h"

namespace detent::data {
namespace {

constexpr int kMostScans = 500;  // progressive pictures have about ten; each costs a pass over all of it

// libjpeg ends what it cannot do with a call of error_exit, which must not return. Between setjmp and longjmp there are
// no objects that would have to be destroyed.
struct JpegError {
  jpeg_error_mgr manager{};  // first: libjpeg knows this part
  std::jmp_buf back{};
  std::array<char, JMSG_LENGTH_MAX> text{};
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* const error = reinterpret_cast<JpegError*>(info->err);
  info->err->format_message(info, error->text.data());
  std::longjmp(error->back, 1);
}

// A warning tells of damaged data, for which libjpeg makes something up.
void on_message(j_common_ptr info, int level) {
  if (level < 0) {
    on_error(info);
  }
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMostScans) {
    auto* const error = reinterpret_cast<JpegError*>(info->err);
    constexpr std::string_view kText = "it has more than 500 scans";
    kText.copy(error->text.data(), kText.size());
    std::longjmp(error->back, 1);
  }
}

struct Decoder {
  jpeg_decompress_struct info{};
  JpegError error;
  jpeg_progress_mgr progress{};

  Decoder() {
    info.err = jpeg_std_error(&error.manager);
    error.manager.error_exit = &on_error;
    error.manager.emit_message = &on_message;
    progress.progress_monitor = &on_progress;
  }
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

bool read_header(Decoder& decoder, std::span<const std::byte> bytes) {
  if (setjmp(decoder.error.back) != 0) {
    return false;
  }
  jpeg_create_decompress(&decoder.info);
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

void read_rows(jpeg_decompress_struct& info, std::span<std::uint8_t> pixels) {
  jpeg_start_decompress(&info);
  const std::size_t row_bytes = pixels.size() / info.output_height;
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = pixels.data() + info.output_scanline * row_bytes;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
}

bool read_pixels(Decoder& decoder, std::span<std::uint8_t> pixels) {
  if (setjmp(decoder.error.back) != 0) {
    return false;
  }
  read_rows(decoder.info, pixels);
  return true;
}

}  // namespace

Tensor decode_jpeg(const std::string& where, std::span<const std::byte> bytes) {
  Decoder decoder;
  jpeg_decompress_struct& info = decoder.info;
  check(read_header(decoder, bytes), where, ": JPEG: damaged or truncated: ", decoder.error.text.data());
  const std::int64_t height = info.image_height, width = info.image_width;
  check(height * width <= kMostPixels, where, ": JPEG: has ", height, " x ", width, " pixels: expected at most ",
        kMostPixels);
  check(info.num_components == 1 || info.num_components == 3, where, ": JPEG: has ", info.num_components,
        " components: expected grey or colour; save it as RGB");
  info.out_color_space = info.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  Tensor pixels = Tensor::empty({1, height, width, info.num_components}, DType::U8);
  check(read_pixels(decoder, pixels.data<std::uint8_t>()), where,
        ": JPEG: damaged or truncated: ", decoder.error.text.data());
  return pixels;
}

}  // namespace detent::data
