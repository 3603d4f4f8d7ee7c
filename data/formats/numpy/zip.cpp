#include "detent/data/formats/numpy/zip.h"

#include <zlib.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "detent/core/error.h"
#include "detent/core/utf8.h"
#include "detent/data/formats/limits.h"

namespace detent::data {
namespace {

constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kLargestComment = 0xFFFF;
constexpr std::size_t kLocatorBytes = 20;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kEntryBytes = 46;
constexpr std::size_t kLocalBytes = 30;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kLocator = 0x07064b50;
constexpr std::uint32_t kEnd64 = 0x06064b50;
constexpr std::uint32_t kEntry = 0x02014b50;
constexpr std::uint32_t kLocal = 0x04034b50;
constexpr std::uint32_t kIsIn64 = 0xFFFFFFFF;
constexpr std::uint32_t kStored = 0;
constexpr std::uint32_t kDeflated = 8;
constexpr std::size_t kMostEntries = 100'000;
constexpr std::uint64_t kSlack = 1024;  // a few bytes of deflate make a few more than the ratio says
constexpr std::size_t kInflateChunk = std::size_t{1} << 18;

std::string_view as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Little-endian, of `count` bytes. REQUIRES: they are there.
std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = count; i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  }
  return value;
}

std::uint32_t word(std::string_view bytes, std::size_t at) { return static_cast<std::uint32_t>(number(bytes, at, 4)); }

// Inflates a raw deflate stream into exactly `bytes` bytes; false where it is none.
bool inflate_all(const std::vector<std::byte>& from, std::vector<std::byte>& bytes) {
  z_stream zip{};
  if (inflateInit2(&zip, -MAX_WBITS) != Z_OK) {
    return false;
  }
  std::size_t given = 0, made = 0;
  int result = Z_OK;
  while (result == Z_OK) {
    const std::size_t in = std::min(from.size() - given, kInflateChunk);
    const std::size_t out = std::min(bytes.size() - made, kInflateChunk);
    std::byte no_room{};  // a stream may end with bytes that make nothing
    zip.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(from.data() + given));
    zip.avail_in = static_cast<uInt>(in);
    zip.next_out = reinterpret_cast<Bytef*>(out > 0 ? bytes.data() + made : &no_room);
    zip.avail_out = static_cast<uInt>(out);
    result = inflate(&zip, Z_NO_FLUSH);
    given += in - zip.avail_in;
    made += out - zip.avail_out;
    if (result == Z_OK && in == zip.avail_in && out == zip.avail_out) {
      break;  // it neither takes nor gives: cut short, or longer than it claims
    }
  }
  inflateEnd(&zip);
  return result == Z_STREAM_END && made == bytes.size() && given == from.size();
}

}  // namespace

ZipArchive::ZipArchive(const std::filesystem::path& path) : path_(path.string()) {
  std::error_code error;
  check(std::filesystem::is_regular_file(path, error), path_, ": no such file");
  file_bytes_ = std::filesystem::file_size(path, error);
  file_.open(path, std::ios::binary);
  check(!error && file_.is_open(), path_, ": cannot be opened");
  read_directory();
}

std::vector<std::byte> ZipArchive::bytes_at(std::uint64_t offset, std::uint64_t count) {
  check(offset <= file_bytes_ && count <= file_bytes_ - offset, path_,
        ": truncated or damaged: the archive claims bytes beyond its end");
  std::vector<std::byte> bytes(static_cast<std::size_t>(count));
  file_.seekg(static_cast<std::streamoff>(offset));
  file_.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count));
  check(file_.good() || count == 0, path_, ": cannot be read");
  return bytes;
}

void ZipArchive::read_directory() {
  check(file_bytes_ >= kEndBytes, path_, ": is no ZIP archive, or truncated");
  const std::uint64_t tail_bytes = std::min<std::uint64_t>(file_bytes_, kEndBytes + kLargestComment + kLocatorBytes);
  const std::vector<std::byte> tail_store = bytes_at(file_bytes_ - tail_bytes, tail_bytes);
  const std::string_view tail = as_text(tail_store);
  std::size_t end = tail.size() - kEndBytes;
  while (end > 0 && (word(tail, end) != kEnd || number(tail, end + 20, 2) != tail.size() - end - kEndBytes)) {
    --end;
  }
  check(word(tail, end) == kEnd && number(tail, end + 20, 2) == tail.size() - end - kEndBytes, path_,
        ": is no ZIP archive, or truncated");
  std::uint64_t count = number(tail, end + 10, 2);
  std::uint64_t bytes = word(tail, end + 12);
  std::uint64_t offset = word(tail, end + 16);
  if ((count == 0xFFFF || bytes == kIsIn64 || offset == kIsIn64) && end >= kLocatorBytes &&
      word(tail, end - kLocatorBytes) == kLocator) {
    const std::vector<std::byte> store = bytes_at(number(tail, end - kLocatorBytes + 8, 8), kEnd64Bytes);
    check(word(as_text(store), 0) == kEnd64, path_, ": the archive's directory is damaged");
    count = number(as_text(store), 32, 8);
    bytes = number(as_text(store), 40, 8);
    offset = number(as_text(store), 48, 8);
  }
  check(count <= kMostEntries, path_, ": has ", count, " files: expected at most ", kMostEntries);
  const std::vector<std::byte> store = bytes_at(offset, bytes);
  std::size_t at = 0;
  std::set<std::string> seen;
  for (std::uint64_t i = 0; i < count; ++i) {
    at = read_entry(as_text(store), at);
    check(seen.insert(entries_.back().name).second, path_, ": two files are called \"", entries_.back().name, '"');
  }
}

std::size_t ZipArchive::read_entry(std::string_view directory, std::size_t at) {
  const auto is_there = [&](std::size_t begin, std::uint64_t count) {
    return begin <= directory.size() && count <= directory.size() - begin;
  };
  check(is_there(at, kEntryBytes) && word(directory, at) == kEntry, path_, ": the archive's directory is damaged");
  const std::uint64_t flags = number(directory, at + 8, 2);
  const auto name_bytes = static_cast<std::size_t>(number(directory, at + 28, 2));
  const auto extra_bytes = static_cast<std::size_t>(number(directory, at + 30, 2));
  const auto comment_bytes = static_cast<std::size_t>(number(directory, at + 32, 2));
  check(is_there(at + kEntryBytes, name_bytes + extra_bytes + comment_bytes), path_,
        ": the archive's directory is damaged");
  Entry entry{.name = valid_utf8(directory.substr(at + kEntryBytes, name_bytes)),
              .compressed_bytes = word(directory, at + 20),
              .bytes = word(directory, at + 24),
              .offset = word(directory, at + 42),
              .crc = word(directory, at + 16),
              .method = static_cast<std::uint32_t>(number(directory, at + 10, 2))};
  // The extra field 1: 64-bit numbers for those that do not fit, in this order.
  const std::string_view extra = directory.substr(at + kEntryBytes + name_bytes, extra_bytes);
  for (std::size_t field = 0; field + 4 <= extra.size();) {
    const std::uint64_t length = number(extra, field + 2, 2);
    std::size_t value = field + 4;
    check(length <= extra.size() - value, path_, ": \"", entry.name, "\": the archive's directory is damaged");
    const std::size_t field_end = value + static_cast<std::size_t>(length);
    for (std::uint64_t* const wide : {&entry.bytes, &entry.compressed_bytes, &entry.offset}) {
      if (number(extra, field, 2) == 1 && *wide == kIsIn64 && field_end - value >= 8) {
        *wide = number(extra, value, 8);
        value += 8;
      }
    }
    field = field_end;
  }
  check((flags & 1) == 0, path_, ": \"", entry.name, "\" is encrypted");
  entries_.push_back(std::move(entry));
  return at + kEntryBytes + name_bytes + extra_bytes + comment_bytes;
}

std::vector<std::byte> ZipArchive::read(const Entry& entry) {
  const std::string where = path_ + ": \"" + entry.name + '"';
  check(entry.method == kStored || entry.method == kDeflated, where, ": is compressed by method ", entry.method,
        ": expected stored or deflated, as numpy.savez and savez_compressed write");
  const std::vector<std::byte> local_store = bytes_at(entry.offset, kLocalBytes);
  const std::string_view local = as_text(local_store);
  check(word(local, 0) == kLocal, where, ": the archive is damaged");
  const std::uint64_t begin = entry.offset + kLocalBytes + number(local, 26, 2) + number(local, 28, 2);
  check(entry.method == kDeflated ? entry.bytes / kLargestDeflation <= entry.compressed_bytes + kSlack
                                  : entry.bytes == entry.compressed_bytes,
        where, ": the archive is damaged: it claims ", entry.bytes, " bytes of ", entry.compressed_bytes);
  checked_bytes(where, entry.bytes, 1);
  std::vector<std::byte> bytes = bytes_at(begin, entry.compressed_bytes);
  if (entry.method == kDeflated) {
    std::vector<std::byte> inflated(static_cast<std::size_t>(entry.bytes));
    check(inflate_all(bytes, inflated), where, ": the compressed data are damaged or cut short");
    bytes = std::move(inflated);
  }
  uLong crc = crc32(0, nullptr, 0);
  for (std::size_t done = 0; done < bytes.size(); done += kInflateChunk) {
    crc = crc32(crc, reinterpret_cast<const Bytef*>(bytes.data() + done),
                static_cast<uInt>(std::min(kInflateChunk, bytes.size() - done)));
  }
  check(crc == entry.crc, where, ": the data are damaged: their CRC-32 is not as the archive says");
  return bytes;
}

}  // namespace detent::data
