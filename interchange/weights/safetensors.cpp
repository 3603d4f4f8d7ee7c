#include "detent/interchange/weights/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <set>
#include <span>
#include <system_error>
#include <tuple>

#include "detent/core/utf8.h"
#include "detent/io/atomic_file.h"
#include "detent/io/description.h"
#include "detent/io/option_reader.h"

namespace detent::interchange {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little);

constexpr const char* kMetadata = "__metadata__";
constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kLargestHeader = std::uint64_t{64} << 20;
constexpr std::size_t kMostAxes = 32;
constexpr std::int64_t kLargestExtent = std::int64_t{1} << 40;

/// A type of the format, and that of tensors that holds it.
struct Type {
  std::string_view name;
  std::uint64_t bytes;
  std::optional<DType> dtype;
};
constexpr std::array<Type, 15> kTypes{{{"F32", 4, DType::F32},
                                       {"F64", 8, DType::F64},
                                       {"F16", 2, DType::F16},
                                       {"BF16", 2, DType::BF16},
                                       {"U8", 1, DType::U8},
                                       {"I8", 1, DType::S8},
                                       {"I32", 4, DType::S32},
                                       {"BOOL", 1, DType::U8},
                                       {"I64", 8, {}},
                                       {"I16", 2, {}},
                                       {"U16", 2, {}},
                                       {"U32", 4, {}},
                                       {"U64", 8, {}},
                                       {"F8_E4M3", 1, {}},
                                       {"F8_E5M2", 1, {}}}};

std::string_view type_of(DType dtype) { return std::ranges::find(kTypes, dtype, &Type::dtype)->name; }

/// Whole numbers of at least 0, at most `count` of them.
std::vector<std::int64_t> whole_numbers(const json& list, std::size_t count, const std::string& where) {
  const auto is_whole = [](const json& value) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() <= static_cast<std::uint64_t>(kLargestExtent);
  };
  check(list.is_array() && list.size() <= count && std::ranges::all_of(list, is_whole), where, ": expected at most ",
        count, " whole numbers from 0 to 2^40, got ", in_message(list));
  return list.get<std::vector<std::int64_t>>();
}

/// The names in an object that has one of them twice would be a matter of who reads it.
void check_names(const std::string& where, const std::string& header) {
  std::set<std::string> names;
  std::string twice;
  const auto see = [&](int depth, json::parse_event_t event, json& name) {
    if (depth == 1 && event == json::parse_event_t::key && !names.insert(name.get<std::string>()).second) {
      twice = name.get<std::string>();
    }
    return true;
  };
  [[maybe_unused]] const json parsed = json::parse(header, see, false);
  check(twice.empty(), where, ": two tensors are called \"", twice, '"');
}

std::string read_header(std::ifstream& file, std::uint64_t size, const std::string& where) {
  std::uint64_t length = 0;
  if (size >= kLengthBytes) {
    file.read(reinterpret_cast<char*>(&length), kLengthBytes);
  }
  check(size >= kLengthBytes && file.good(), where, ": is no safetensors file, or truncated: it has ", size, " bytes");
  check(length <= size - kLengthBytes, where, ": is no safetensors file, or truncated: its header claims ", length,
        " bytes, of which ", size - kLengthBytes, " are there");
  check(length <= kLargestHeader, where, ": its header has ", length, " bytes, expected at most ", kLargestHeader);
  std::string header(static_cast<std::size_t>(length), '\0');
  file.read(header.data(), static_cast<std::streamsize>(length));
  check(file.good(), where, ": cannot be read");
  check(header.starts_with('{'), where, ": is no safetensors file: its header is no JSON object");
  return header;
}

/// What the header says of a tensor, whose elements lie somewhere in `available` bytes.
SafetensorsFile::Entry entry_of(const std::string& where, const std::string& name, const json& value,
                                std::uint64_t available) {
  check(value.is_object() && value.contains("dtype") && value.contains("shape") && value.contains("data_offsets"),
        where, ": expected dtype, shape and data_offsets, got ", in_message(value));
  const json& dtype = value["dtype"];
  const auto type = std::ranges::find_if(kTypes, [&](const Type& known) { return dtype == json(known.name); });
  check(type != kTypes.end(), where, ": unknown dtype ", in_message(dtype));
  std::vector<std::int64_t> shape = whole_numbers(value["shape"], kMostAxes, where + ": shape");
  const std::vector<std::int64_t> offsets = whole_numbers(value["data_offsets"], 2, where + ": data_offsets");
  check(offsets.size() == 2 && offsets[0] <= offsets[1] && static_cast<std::uint64_t>(offsets[1]) <= available, where,
        ": truncated or damaged: data_offsets ", in_message(value["data_offsets"]), " do not lie within the ",
        available, " bytes of elements");
  const auto bytes = static_cast<std::uint64_t>(offsets[1] - offsets[0]);
  std::uint64_t expected = std::ranges::count(shape, 0) > 0 ? 0 : type->bytes;
  for (const std::int64_t extent : shape) {
    check(expected <= bytes / static_cast<std::uint64_t>(std::max<std::int64_t>(extent, 1)), where, ": shape ",
          in_message(value["shape"]), " of ", type->name, " has more elements than its ", bytes, " bytes");
    expected *= static_cast<std::uint64_t>(extent);
  }
  check(expected == bytes, where, ": shape ", in_message(value["shape"]), " of ", type->name, " has ", expected,
        " bytes, its data_offsets ", bytes);
  return {.name = name,
          .dtype = std::string(type->name),
          .shape = Shape(std::move(shape)),
          .begin = static_cast<std::uint64_t>(offsets[0]),
          .end = static_cast<std::uint64_t>(offsets[1])};
}

/// Throws Error unless the entries, in the order in which they begin, take up all of `bytes` and no byte twice.
void check_places(const std::string& where, const std::vector<SafetensorsFile::Entry>& entries, std::uint64_t bytes) {
  std::uint64_t at = 0;
  for (const SafetensorsFile::Entry& entry : entries) {
    check(entry.begin >= at, where, ": \"", entry.name, "\" overlaps the tensor before it, which ends at byte ", at);
    check(entry.begin == at, where, ": bytes ", at, " to ", entry.begin, " belong to no tensor");
    at = entry.end;
  }
  check(at == bytes, where, ": bytes ", at, " to ", bytes, " belong to no tensor");
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path.string()) {
  std::error_code error;
  check(std::filesystem::is_regular_file(path, error), path_, ": no such file");
  const std::uint64_t size = std::filesystem::file_size(path, error);
  file_.open(path, std::ios::binary);
  check(!error && file_.is_open(), path_, ": cannot be opened");
  const std::string header = read_header(file_, size, path_);
  begin_ = kLengthBytes + header.size();

  const json described = parse_description(path_ + ": header", header);
  check_names(path_, header);
  for (const auto& [name, value] : described.items()) {
    if (name == kMetadata) {
      const bool is_texts =
          value.is_object() && std::ranges::all_of(value, [](const json& text) { return text.is_string(); });
      check(is_texts, path_, ": ", kMetadata, ": expected texts by name, got ", in_message(value));
      metadata_ = value.get<std::map<std::string, std::string>>();
    } else {
      entries_.push_back(entry_of(path_ + ": \"" + name + '"', name, value, size - begin_));
    }
  }
  std::ranges::sort(entries_, [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_places(path_, entries_, size - begin_);
}

Tensor SafetensorsFile::read(const Entry& entry) {
  const std::string where = path_ + ": \"" + entry.name + '"';
  const auto type = std::ranges::find(kTypes, std::string_view(entry.dtype), &Type::name);
  check(type != kTypes.end() && type->dtype.has_value(), where, ": elements are ", entry.dtype,
        ": expected F32, F64, F16, BF16, U8, I8, I32 or BOOL");
  Tensor tensor = Tensor::empty(entry.shape, *type->dtype);
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(begin_ + entry.begin));
  file_.read(reinterpret_cast<char*>(tensor.raw()), static_cast<std::streamsize>(tensor.bytes()));
  check(file_.good(), where, ": cannot be read");
  return tensor;
}

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const std::pair<const std::string, Tensor>*> order;
  for (const auto& row : tensors) {
    check(row.first != kMetadata, path.string(), ": a tensor cannot be called ", kMetadata);
    order.push_back(&row);
  }
  std::ranges::stable_sort(order, std::greater(), [](const auto* row) { return size_of(row->second.dtype()); });
  json header = json::object();
  std::uint64_t at = 0;
  for (const auto* const row : order) {
    const Tensor& tensor = row->second;
    const auto extents = tensor.shape().extents();
    check(valid_utf8(row->first) == row->first, path.string(), ": the name \"", valid_utf8(row->first),
          "\" is not UTF-8");
    header[row->first] = {{"dtype", type_of(tensor.dtype())},
                          {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                          {"data_offsets", {at, at + tensor.bytes()}}};
    at += tensor.bytes();
  }
  if (!metadata.empty()) {
    header[kMetadata] = metadata;
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const std::uint64_t length = text.size();
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(std::as_bytes(std::span(text)));
  for (const auto* const row : order) {
    file.write({row->second.raw(), row->second.bytes()});
  }
  file.commit();
}

}  // namespace detent::interchange
