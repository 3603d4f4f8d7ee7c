#include "detent/io/tensor_file/small.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "detent/core/dtype.h"

namespace detent::hdf5 {
namespace {

constexpr std::size_t kLargestSmall = 16 * 1024;
constexpr std::size_t kFewest = 16;
constexpr std::size_t kMostTensors = 1'000'000;
constexpr std::size_t kMostAxes = 64;

std::string set_of(DType dtype) { return std::string(kSmallGroup) + std::string(name_of(dtype)); }

void append_line(std::string& index, const std::string& name, const Tensor& tensor) {
  index += name_of(tensor.dtype());
  char separator = '[';
  for (const std::int64_t extent : tensor.shape().extents()) {
    index += separator + std::to_string(extent);
    separator = ',';
  }
  index += tensor.shape().rank() == 0 ? "[] " : "] ";
  index += name + '\n';
}

struct Entry {
  DType dtype;
  Shape shape;
  std::string name;
};

/// The inverse of append_line, without the end of the line.
Entry entry_of(std::string_view line) {
  const std::size_t open = line.find('['), close = line.find("] ");
  check(open < close && close != line.npos && close + 2 < line.size(), "expected type[shape] name");
  std::vector<std::int64_t> extents;
  const char *at = line.data() + open + 1, *const end = line.data() + close;
  while (at < end) {
    std::int64_t extent = -1;
    const auto [next, error] = std::from_chars(at, end, extent);
    const bool ends = next == end, goes_on = next + 1 < end && *next == ',';
    check(error == std::errc() && extent >= 0 && (ends || goes_on) && extents.size() < kMostAxes, "a shape is damaged");
    extents.push_back(extent);
    at = ends ? end : next + 1;
  }
  return {dtype_from_name(line.substr(0, open)), Shape(std::move(extents)), std::string(line.substr(close + 2))};
}

}  // namespace

bool is_small(const std::string& name, const Tensor& tensor) {
  return tensor.bytes() <= kLargestSmall && tensor.shape().rank() <= kMostAxes && name.find('\n') == name.npos;
}

SmallTensors pack_small(const std::map<std::string, Tensor>& tensors) {
  SmallTensors packed;
  const auto count =
      std::ranges::count_if(tensors, [](const auto& named) { return is_small(named.first, named.second); });
  if (static_cast<std::size_t>(count) < kFewest) {
    return packed;
  }
  std::map<DType, std::int64_t> elements;
  for (const auto& [name, tensor] : tensors) {
    check(!name.starts_with(kSmallGroup), "'", name, "': the group '/small' is the file's own");
    if (is_small(name, tensor)) {
      elements[tensor.dtype()] += tensor.elements();
    }
  }
  std::map<DType, std::byte*> ends;
  for (const auto& [dtype, size] : elements) {
    Tensor& set = packed.sets[set_of(dtype)] = Tensor::empty({size}, dtype);
    ends[dtype] = set.raw();
  }
  for (const auto& [name, tensor] : tensors) {
    if (is_small(name, tensor)) {
      append_line(packed.index, name, tensor);
      std::byte*& end = ends[tensor.dtype()];
      if (tensor.bytes() > 0) {
        std::memcpy(end, tensor.raw(), tensor.bytes());
        end += tensor.bytes();
      }
    }
  }
  return packed;
}

void unpack_small(std::string_view index, const std::vector<std::string>& only,
                  std::map<std::string, Tensor>& tensors) {
  std::map<std::string, Tensor> sets;
  for (auto i = tensors.lower_bound(std::string(kSmallGroup));
       i != tensors.end() && i->first.starts_with(kSmallGroup);) {
    sets.insert(tensors.extract(i++));
  }
  std::map<std::string, std::size_t> used;
  std::set<std::string> names;
  while (!index.empty()) {
    const std::size_t length = index.find('\n');
    check(length != index.npos, "the last line is cut off");
    Entry entry = entry_of(index.substr(0, length));
    index.remove_prefix(length + 1);
    check(!tensors.contains(entry.name) && names.insert(entry.name).second, "there are two tensors '", entry.name, "'");
    check(names.size() <= kMostTensors, "there are more than ", kMostTensors, " tensors");

    const std::string set_name = set_of(entry.dtype);
    const auto set = sets.find(set_name);
    check(set != sets.end() && set->second.dtype() == entry.dtype, "'", entry.name, "': there is no data set '",
          set_name, "' of ", entry.dtype);
    const std::size_t elements = static_cast<std::size_t>(entry.shape.elements()), width = size_of(entry.dtype);
    std::size_t& begin = used[set_name];
    check(elements <= static_cast<std::size_t>(set->second.elements()) - begin, "'", entry.name, "' does not fit '",
          set_name, "', which has ", set->second.elements(), " elements");
    if (only.empty() || std::ranges::find(only, entry.name) != only.end()) {
      Tensor tensor = Tensor::empty(std::move(entry.shape), entry.dtype);
      if (elements > 0) {
        std::memcpy(tensor.raw(), set->second.raw() + begin * width, elements * width);
      }
      tensors.emplace(std::move(entry.name), std::move(tensor));
    }
    begin += elements;
  }
  for (const auto& [name, set] : sets) {
    check(used.contains(name) && used[name] == static_cast<std::size_t>(set.elements()), "'", name, "' has ",
          set.elements(), " elements and ", used[name], " belong to tensors");
  }
}

}  // namespace detent::hdf5
