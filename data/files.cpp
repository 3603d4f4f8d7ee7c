#include "detent/data/files.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "detent/core/error.h"
#include "detent/core/threads/parallel.h"
#include "detent/io/atomic_file.h"

namespace detent::data {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 18;

std::string system_error_text(int code) { return std::generic_category().message(code); }

}  // namespace

struct ByteReader::Impl {
  std::filesystem::path path;
  std::FILE* file = nullptr;
  std::vector<std::byte> chunk = std::vector<std::byte>(kChunk);
  std::span<const std::byte> waiting;  // not yet handed out or uncompressed
  z_stream zip{};
  bool is_gzip = false;
  bool is_member_open = false;

  explicit Impl(std::filesystem::path from) : path(std::move(from)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() {
    if (is_gzip) {
      inflateEnd(&zip);
    }
    if (file != nullptr) {
      std::fclose(file);
    }
  }

  void open() {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    check(std::filesystem::exists(status), path.string(), ": no such file");
    check(std::filesystem::is_regular_file(status), path.string(), ": not a file");
    file = std::fopen(path.c_str(), "rb");
    check(file != nullptr, path.string(), ": cannot be opened: ", system_error_text(errno));
    look_for_gzip();
  }

  void look_for_gzip() {
    if (refill() && waiting.size() >= 2 && waiting[0] == std::byte{0x1f} && waiting[1] == std::byte{0x8b}) {
      constexpr int kGzipOnly = 16 + MAX_WBITS;
      check(inflateInit2(&zip, kGzipOnly) == Z_OK, path.string(), ": gzip: out of memory");
      is_gzip = true;
      is_member_open = true;
    }
  }

  /// Whether there are bytes in `waiting` now.
  bool refill() {
    if (waiting.empty() && file != nullptr) {
      check_interruption();
      const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file);
      check(std::ferror(file) == 0, path.string(), ": cannot be read: ", system_error_text(errno));
      waiting = std::span(chunk).first(count);
    }
    return !waiting.empty();
  }

  std::size_t read_plain(std::span<std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size() && refill()) {
      const std::size_t count = std::min(bytes.size() - done, waiting.size());
      std::memcpy(bytes.data() + done, waiting.data(), count);
      waiting = waiting.subspan(count);
      done += count;
    }
    return done;
  }

  std::size_t read_gzip(std::span<std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
      if (!is_member_open) {
        if (!refill()) {
          break;
        }
        check(waiting[0] == std::byte{0x1f}, path.string(), ": gzip: other bytes follow the compressed data");
        inflateReset(&zip);
        is_member_open = true;
      }
      check(refill(), path.string(), ": gzip: the file is cut short");
      const std::size_t room = std::min(bytes.size() - done, kChunk);
      zip.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(waiting.data()));
      const std::size_t given = std::min(waiting.size(), kChunk);
      zip.avail_in = static_cast<uInt>(given);
      zip.next_out = reinterpret_cast<Bytef*>(bytes.data() + done);
      zip.avail_out = static_cast<uInt>(room);
      const int result = inflate(&zip, Z_NO_FLUSH);
      check(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR, path.string(),
            ": gzip: the data are damaged (", zip.msg != nullptr ? zip.msg : "unknown error", ')');
      waiting = waiting.subspan(given - zip.avail_in);
      done += room - zip.avail_out;
      is_member_open = result != Z_STREAM_END;
    }
    return done;
  }
};

ByteReader::ByteReader(std::filesystem::path path) : impl_(std::make_unique<Impl>(std::move(path))) { impl_->open(); }

ByteReader::ByteReader(std::filesystem::path path, std::span<const std::byte> content)
    : impl_(std::make_unique<Impl>(std::move(path))) {
  impl_->waiting = content;
  impl_->look_for_gzip();
}

ByteReader::~ByteReader() = default;

ByteReader::ByteReader(ByteReader&&) noexcept = default;

const std::filesystem::path& ByteReader::path() const { return impl_->path; }

std::size_t ByteReader::read(std::span<std::byte> bytes) {
  return impl_->is_gzip ? impl_->read_gzip(bytes) : impl_->read_plain(bytes);
}

std::vector<std::byte> ByteReader::read_up_to(std::uint64_t count) {
  std::vector<std::byte> bytes;
  while (bytes.size() < count) {
    const std::size_t done = bytes.size();
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count - done, 8 * kChunk));
    bytes.resize(done + wanted);
    const std::size_t got = read(std::span(bytes).subspan(done));
    bytes.resize(done + got);
    if (got < wanted) {
      break;
    }
  }
  return bytes;
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  return ByteReader(path).read_up_to(~std::uint64_t{0});
}

std::vector<std::byte> gzip(std::span<const std::byte> bytes) {
  z_stream zip{};
  constexpr int kGzipFormat = 16 + MAX_WBITS;
  constexpr int kMemoryLevel = 8;
  check(deflateInit2(&zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipFormat, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK,
        "gzip: out of memory");
  std::vector<std::byte> out;
  std::vector<std::byte> chunk(kChunk);
  int result = Z_OK;
  while (result != Z_STREAM_END) {
    const std::size_t count = std::min(bytes.size(), kChunk);
    zip.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    zip.avail_in = static_cast<uInt>(count);
    zip.next_out = reinterpret_cast<Bytef*>(chunk.data());
    zip.avail_out = static_cast<uInt>(chunk.size());
    result = deflate(&zip, count == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
    bytes = bytes.subspan(count - zip.avail_in);
    out.insert(out.end(), chunk.begin(), chunk.end() - zip.avail_out);
  }
  deflateEnd(&zip);
  return out;
}

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace detent::data
