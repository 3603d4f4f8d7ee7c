#include "detent/runtime/model_file_parts.h"

#include <algorithm>
#include <bit>

#include "detent/io/option_reader.h"

namespace detent::runtime {

using nlohmann::json;

namespace {

std::int64_t packed_bytes(std::int64_t elements, std::int64_t bits) {
  return elements / 8 * bits + (elements % 8 * bits + 7) / 8;
}

}  // namespace

std::string path_of(std::string_view value, std::string_view name) {
  return std::string(kParameters) + std::string(value) + "/" + std::string(name);
}

std::int64_t weight_bits(const Tensor& weight) {
  const std::int32_t largest = weight.qparams()->codes.qmax;
  if (largest == 1 && std::ranges::count(weight.data<std::int8_t>(), std::int8_t{0}) == 0) {
    return 1;
  }
  return 1 + std::bit_width(static_cast<std::uint32_t>(largest));
}

Tensor pack_codes(const Tensor& codes, std::int64_t bits) {
  const std::span<const std::int8_t> wide = codes.data<std::int8_t>();
  const auto width = static_cast<std::size_t>(bits);
  const std::size_t together = 8 / width;
  Tensor bytes = Tensor::zeros({packed_bytes(codes.elements(), bits)}, DType::U8);
  const std::span<std::uint8_t> packed = bytes.data<std::uint8_t>();
  for (std::size_t i = 0; i < wide.size(); ++i) {
    const int field = bits == 1 ? (wide[i] > 0 ? 1 : 0) : wide[i] & ((1 << bits) - 1);
    packed[i / together] |= static_cast<std::uint8_t>(field << (i % together * width));
  }
  return bytes;
}

Tensor unpack_codes(const Tensor& bytes, std::int64_t bits, const Shape& shape, std::string_view where) {
  const std::int64_t elements = shape.elements();
  const Shape needed{packed_bytes(elements, bits)};
  check(bytes.dtype() == DType::U8 && bytes.shape() == needed, where, ": expected ", DType::U8, " ", needed, ", ",
        shape, " codes of ", bits, bits == 1 ? " bit" : " bits", ", got ", bytes.dtype(), " ", bytes.shape());
  const std::span<const std::uint8_t> packed = bytes.data<std::uint8_t>();
  const std::int64_t used = elements * bits % 8;
  check(used == 0 || packed.back() >> used == 0, where, ": expected 0 after the last code");
  Tensor codes = Tensor::empty(shape, DType::S8);
  const std::span<std::int8_t> wide = codes.data<std::int8_t>();
  const auto width = static_cast<std::size_t>(bits);
  const std::size_t together = 8 / width;
  const int values = 1 << bits;
  for (std::size_t i = 0; i < wide.size(); ++i) {
    const int field = packed[i / together] >> (i % together * width) & (values - 1);
    const int code = bits == 1 ? 2 * field - 1 : field < values / 2 ? field : field - values;
    wide[i] = static_cast<std::int8_t>(code);
  }
  return codes;
}

Tensor StoredTensors::take_weight(std::string_view value, const kernels::ConvShape& product, std::int64_t bits) {
  const std::int64_t stored = stored_bits(bits, version_);
  if (stored == 8) {
    return take(value, "weight", DType::S8);
  }
  return unpack_codes(take(value, "weight", DType::U8), stored, product.weight_shape(), path_of(value, "weight"));
}

bool StoredTensors::has(std::string_view value, std::string_view name) const {
  return tensors_.contains(path_of(value, name));
}

Tensor StoredTensors::take(std::string_view value, std::string_view name, DType dtype,
                           const std::optional<Shape>& shape) {
  const std::string path = path_of(value, name);
  const auto found = tensors_.find(path);
  check(found != tensors_.end(), "no tensor '", path, "'");
  const Tensor& tensor = found->second;
  if (shape) {
    check(tensor.shape() == *shape && tensor.dtype() == dtype, path, ": expected ", dtype, " ", *shape, ", got ",
          tensor.dtype(), " ", tensor.shape());
  }
  check(tensor.dtype() == dtype, path, ": expected ", dtype, ", got ", tensor.dtype());
  taken_.insert(path);
  return tensor;
}

std::map<std::string, Tensor> StoredTensors::take_all(std::string_view value, std::string_view folder) {
  const std::string begin = path_of(value, folder) + (folder.empty() ? "" : "/");
  std::map<std::string, Tensor> found;
  for (auto i = tensors_.lower_bound(begin); i != tensors_.end() && i->first.starts_with(begin); ++i) {
    found[i->first.substr(begin.size())] = i->second;
    taken_.insert(i->first);
  }
  return found;
}

ScaleZero StoredTensors::take_map(std::string_view value, const std::string& which) {
  const Tensor scale = take(value, which + "_scale", DType::F32, Shape{1});
  const Tensor zero_point = take(value, which + "_zero_point", DType::S32, Shape{1});
  const ScaleZero map{scale.data<float>()[0], zero_point.data<std::int32_t>()[0]};
  QParams::per_tensor(map, unsigned_codes(8)).validate();
  return map;
}

void StoredTensors::check_all_taken() const {
  for (const auto& [path, tensor] : tensors_) {
    check(taken_.contains(path), "'", path, "' belongs to no node of the graph");
  }
}

std::shared_ptr<const QParams> codes_map(ScaleZero map, std::int64_t bits) {
  check(1 <= bits && bits <= 8, "bits: expected 1 to 8, got ", bits);
  auto qparams = std::make_shared<const QParams>(QParams::per_tensor(map, unsigned_codes(static_cast<int>(bits))));
  qparams->validate();
  return qparams;
}

std::shared_ptr<const QParams> weight_map(StoredTensors& tensors, std::string_view node, std::int64_t outputs,
                                          bool is_per_channel, std::int64_t bits, std::int64_t group,
                                          std::int64_t groups, bool has_zero_points) {
  check(1 <= bits && bits <= 8, "weight_bits: expected 1 to 8, got ", bits);
  check(group == 0 || is_per_channel, "group: expected scales a channel");
  const Shape shape{is_per_channel ? outputs * groups : 1};
  const Tensor scale = tensors.take(node, "weight_scale", DType::F32, shape);
  const Tensor zero_point =
      has_zero_points ? tensors.take(node, "weight_zero_point", DType::S32, shape) : Tensor::zeros(shape, DType::S32);
  QParams qparams{.scale = {},
                  .zero_point = {},
                  .axis = is_per_channel ? 0 : -1,
                  .codes = signed_codes(static_cast<int>(bits)),
                  .group = group,
                  .groups = groups};
  std::ranges::copy(scale.data<float>(), std::back_inserter(qparams.scale));
  std::ranges::copy(zero_point.data<std::int32_t>(), std::back_inserter(qparams.zero_point));
  qparams.validate();
  for (const std::int32_t zero : qparams.zero_point) {
    check(zero == 0, "weight_zero_point: expected 0, got ", zero);
  }
  return std::make_shared<const QParams>(std::move(qparams));
}

const json& member(const json& object, const char* key, std::string_view where) {
  check(object.is_object() && object.contains(key), "graph: ", where, " has no '", key, "'");
  return object[key];
}

std::string text_member(const json& object, const char* key, std::string_view where) {
  const json& value = member(object, key, where);
  check(value.is_string(), "graph: ", where, ": ", key, ": expected a text, got ", in_message(value));
  return value.get<std::string>();
}

bool boolean_member(const json& object, const char* key, std::string_view where) {
  const json& value = member(object, key, where);
  check(value.is_boolean(), "graph: ", where, ": ", key, ": expected true or false, got ", in_message(value));
  return value.get<bool>();
}

double real_member(const json& object, const char* key, std::string_view where) {
  const json& value = member(object, key, where);
  check(value.is_number(), "graph: ", where, ": ", key, ": expected a number, got ", in_message(value));
  return value.get<double>();
}

namespace {

std::int64_t integer_of(const json& value, const char* key, std::string_view where, std::int64_t low) {
  // A number beyond 2^63 is unsigned, and would come back negative.
  const bool fits =
      value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= kMaxElements);
  check(fits && value.get<std::int64_t>() >= low, "graph: ", where, ": ", key, ": expected an integer from ", low,
        " to ", kMaxElements, ", got ", in_message(value));
  return value.get<std::int64_t>();
}

}  // namespace

std::int64_t integer_member(const json& object, const char* key, std::string_view where, std::int64_t low) {
  return integer_of(member(object, key, where), key, where, low);
}

std::vector<std::int64_t> integers_member(const json& object, const char* key, std::string_view where,
                                          std::size_t count, std::int64_t low) {
  const json& value = member(object, key, where);
  check(value.is_array() && value.size() == count, "graph: ", where, ": ", key, ": expected a list of ", count,
        " integers, got ", in_message(value));
  std::vector<std::int64_t> integers;
  for (const json& element : value) {
    integers.push_back(integer_of(element, key, where, low));
  }
  return integers;
}

Shape shape_of(const json& value, std::string_view where) {
  check(value.is_array(), "graph: ", where, ": shape: expected a list of integers, got ", in_message(value));
  std::vector<std::int64_t> extents;
  for (const json& extent : value) {
    extents.push_back(integer_of(extent, "shape", where, 1));
  }
  Shape shape(std::move(extents));
  check_elements(where, shape);
  return shape;
}

void check_keys(const json& object, const std::set<std::string>& known, std::string_view where) {
  check(object.is_object(), "graph: ", where, ": expected an object, got ", in_message(object));
  for (const auto& [key, value] : object.items()) {
    check(known.contains(key), "graph: ", where, ": unknown key '", key, "'");
  }
}

std::string name_member(const json& object, std::string_view where) {
  std::string name = text_member(object, "name", where);
  const bool is_plain = std::ranges::all_of(
      name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; });
  check(!name.empty() && is_plain && name != "." && name != "..",
        "graph: a name is letters, digits, '_', '-' and '.', got ", in_message(json(name)));
  return name;
}

void NamedValues::add_name(const std::string& name) {
  check(by_name_.emplace(name, by_name_.size()).second, "graph: there is a value named '", name, "' already");
}

void NamedValues::add_input(Input input) {
  add_name(input.name);
  model_.inputs.push_back(std::move(input));
}

void NamedValues::add_node(Node node) {
  add_name(node.name);
  model_.nodes.push_back(std::move(node));
}

ValueId NamedValues::find(std::string_view name, std::string_view reader) const {
  const auto found = by_name_.find(name);
  check(found != by_name_.end(), "graph: ", reader, ": no node named ", in_message(json(name)), " before it");
  return found->second;
}

std::vector<ValueId> NamedValues::inputs_of(const json& node, std::string_view name) const {
  const json& names = member(node, "inputs", name);
  check(names.is_array(), "graph: ", name, ": inputs: expected a list of names, got ", in_message(names));
  std::vector<ValueId> inputs;
  for (const json& input : names) {
    check(input.is_string(), "graph: ", name, ": inputs: expected a list of names, got ", in_message(names));
    inputs.push_back(find(input.get<std::string>(), name));
  }
  return inputs;
}

}  // namespace detent::runtime
