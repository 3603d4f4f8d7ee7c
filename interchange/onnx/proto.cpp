// The only source that knows the format's protobuf messages.
#include <onnx/onnx_pb.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#include "detent/core/error.h"
#include "detent/core/shape.h"
#include "detent/interchange/onnx/external_data.h"
#include "detent/interchange/onnx/model_file.h"
#include "detent/io/atomic_file.h"

namespace detent::onnx {
namespace {

namespace fs = std::filesystem;
namespace proto = ::onnx;

/// The most bytes of a message of protobuf.
constexpr std::uint64_t kLargestFile = std::numeric_limits<std::int32_t>::max();

std::string tensor_text(const proto::TensorProto& tensor) { return "tensor '" + tensor.name() + "'"; }

/// Numbers that the message holds one by one, as elements of type To.
template <typename To, typename Field>
void take(const proto::TensorProto& tensor, const Field& field, std::uint64_t elements, std::vector<std::byte>& bytes) {
  check(static_cast<std::uint64_t>(field.size()) == elements, tensor_text(tensor), ": its shape asks for ", elements,
        " elements, it has ", field.size());
  bytes.resize(elements * sizeof(To));
  for (std::uint64_t i = 0; i < elements; ++i) {
    const auto value = static_cast<To>(field.Get(static_cast<int>(i)));
    std::memcpy(bytes.data() + i * sizeof(To), &value, sizeof(To));
  }
}

void take_numbers(const proto::TensorProto& tensor, ElementType type, std::uint64_t elements,
                  std::vector<std::byte>& bytes) {
  switch (type) {
    case ElementType::F32:
      return take<float>(tensor, tensor.float_data(), elements, bytes);
    case ElementType::F64:
      return take<double>(tensor, tensor.double_data(), elements, bytes);
    case ElementType::S64:
      return take<std::int64_t>(tensor, tensor.int64_data(), elements, bytes);
    case ElementType::U32:
      return take<std::uint32_t>(tensor, tensor.uint64_data(), elements, bytes);
    case ElementType::U64:
      return take<std::uint64_t>(tensor, tensor.uint64_data(), elements, bytes);
    case ElementType::S32:
      return take<std::int32_t>(tensor, tensor.int32_data(), elements, bytes);
    case ElementType::U16:
    case ElementType::S16:
    case ElementType::F16:
    case ElementType::BF16:
      return take<std::uint16_t>(tensor, tensor.int32_data(), elements, bytes);
    case ElementType::U8:
    case ElementType::S8:
    case ElementType::Bool:
      return take<std::uint8_t>(tensor, tensor.int32_data(), elements, bytes);
    case ElementType::S4:
      return take<std::uint8_t>(tensor, tensor.int32_data(), bytes_of(type, elements), bytes);
  }
}

Array array_of(const proto::TensorProto& tensor, const fs::path& folder) {
  Array array{.name = tensor.name(),
              .type = static_cast<ElementType>(tensor.data_type()),
              .dims = {tensor.dims().begin(), tensor.dims().end()}};
  try {
    const std::int64_t elements = array.elements();  // throws for what is negative or too large
    check(elements < std::int64_t{1} << 48, "its shape is ", Shape(array.dims), ", too large");
    const std::uint64_t bytes = bytes_of(array.type, static_cast<std::uint64_t>(elements));
    if (tensor.data_location() == proto::TensorProto_DataLocation_EXTERNAL) {
      ExternalData data{.tensor = tensor.name()};
      for (const proto::StringStringEntryProto& entry : tensor.external_data()) {
        data.entries[entry.key()] = entry.value();
      }
      array.bytes = read_external(data, bytes, folder);
    } else if (tensor.has_raw_data()) {
      check(tensor.raw_data().size() == bytes, "its shape and type ask for ", bytes, " bytes, it has ",
            tensor.raw_data().size());
      array.bytes.resize(bytes);
      std::memcpy(array.bytes.data(), tensor.raw_data().data(), bytes);
    } else {
      take_numbers(tensor, array.type, static_cast<std::uint64_t>(elements), array.bytes);
    }
  } catch (const Error& error) {
    const std::string text = error.what();
    fail(text.starts_with(tensor_text(tensor)) ? "" : tensor_text(tensor) + ": ", text);
  }
  return array;
}

Attribute attribute_of(const proto::AttributeProto& from, const fs::path& folder) {
  Attribute attribute{.name = from.name(), .value = OtherValue{}};
  switch (from.type()) {
    case proto::AttributeProto_AttributeType_INT:
      attribute.value = std::int64_t{from.i()};
      break;
    case proto::AttributeProto_AttributeType_FLOAT:
      attribute.value = from.f();
      break;
    case proto::AttributeProto_AttributeType_STRING:
      attribute.value = from.s();
      break;
    case proto::AttributeProto_AttributeType_INTS:
      attribute.value = std::vector<std::int64_t>(from.ints().begin(), from.ints().end());
      break;
    case proto::AttributeProto_AttributeType_FLOATS:
      attribute.value = std::vector<float>(from.floats().begin(), from.floats().end());
      break;
    case proto::AttributeProto_AttributeType_TENSOR:
      if (from.t().data_type() != proto::TensorProto_DataType_STRING) {
        attribute.value = array_of(from.t(), folder);
      }
      break;
    default:
      break;
  }
  return attribute;
}

Node node_of(const proto::NodeProto& from, const fs::path& folder) {
  Node node{.name = from.name(),
            .op = from.op_type(),
            .domain = from.domain() == "ai.onnx" ? "" : from.domain(),
            .inputs = {from.input().begin(), from.input().end()},
            .outputs = {from.output().begin(), from.output().end()}};
  for (const proto::AttributeProto& attribute : from.attribute()) {
    node.attributes.push_back(attribute_of(attribute, folder));
  }
  return node;
}

ValueInfo info_of(const proto::ValueInfoProto& from) {
  const auto& tensor = from.type().tensor_type();
  ValueInfo info{.name = from.name(), .type = static_cast<ElementType>(tensor.elem_type())};
  if (tensor.has_shape()) {
    info.dims.emplace();
    for (const auto& dim : tensor.shape().dim()) {
      info.dims->push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value() : -1);
      if (info.dims->size() == 1) {
        info.batch = dim.dim_param();
      }
    }
  }
  return info;
}

Model model_of(const proto::ModelProto& from, const fs::path& folder) {
  Model model{.ir_version = from.ir_version(), .producer = from.producer_name()};
  for (const auto& opset : from.opset_import()) {
    model.opsets[opset.domain() == "ai.onnx" ? "" : opset.domain()] = opset.version();
  }
  for (const proto::StringStringEntryProto& entry : from.metadata_props()) {
    model.metadata[entry.key()] = entry.value();
  }
  const proto::GraphProto& graph = from.graph();
  check(graph.node_size() > 0, "it is no ONNX model, or one without operations");
  check(graph.sparse_initializer_size() == 0, "it has sparse tensors, which are not read");
  std::set<std::string> names;
  for (const proto::TensorProto& tensor : graph.initializer()) {
    check(names.insert(tensor.name()).second, "two tensors are called '", tensor.name(), "'");
    if (tensor.data_type() != proto::TensorProto_DataType_STRING) {
      model.initializers.push_back(array_of(tensor, folder));
    }
  }
  for (const proto::ValueInfoProto& input : graph.input()) {
    if (!names.contains(input.name())) {
      model.inputs.push_back(info_of(input));
    }
  }
  for (const proto::ValueInfoProto& output : graph.output()) {
    model.outputs.push_back(info_of(output));
  }
  for (const proto::NodeProto& node : graph.node()) {
    model.nodes.push_back(node_of(node, folder));
  }
  return model;
}

void fill(proto::TensorProto& to, const Array& array) {
  to.set_name(array.name);
  to.set_data_type(static_cast<std::int32_t>(array.type));
  for (const std::int64_t extent : array.dims) {
    to.add_dims(extent);
  }
  to.set_raw_data(array.bytes.data(), array.bytes.size());
}

/// Sets the value that a message has for each type of attribute.
struct FillAttribute {
  proto::AttributeProto& to;

  void operator()(std::int64_t value) const {
    to.set_type(proto::AttributeProto_AttributeType_INT);
    to.set_i(value);
  }
  void operator()(float value) const {
    to.set_type(proto::AttributeProto_AttributeType_FLOAT);
    to.set_f(value);
  }
  void operator()(const std::string& value) const {
    to.set_type(proto::AttributeProto_AttributeType_STRING);
    to.set_s(value);
  }
  void operator()(const std::vector<std::int64_t>& values) const {
    to.set_type(proto::AttributeProto_AttributeType_INTS);
    to.mutable_ints()->Add(values.begin(), values.end());
  }
  void operator()(const std::vector<float>& values) const {
    to.set_type(proto::AttributeProto_AttributeType_FLOATS);
    to.mutable_floats()->Add(values.begin(), values.end());
  }
  void operator()(const Array& array) const {
    to.set_type(proto::AttributeProto_AttributeType_TENSOR);
    fill(*to.mutable_t(), array);
  }
  void operator()(const OtherValue&) const { fail("attribute '", to.name(), "': has no value that can be written"); }
};

void fill(proto::ValueInfoProto& to, const ValueInfo& info) {
  to.set_name(info.name);
  auto& tensor = *to.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(static_cast<std::int32_t>(info.type));
  for (std::size_t axis = 0; info.dims && axis < info.dims->size(); ++axis) {
    auto& dim = *tensor.mutable_shape()->add_dim();
    if ((*info.dims)[axis] >= 0) {
      dim.set_dim_value((*info.dims)[axis]);
    } else if (axis == 0 && !info.batch.empty()) {
      dim.set_dim_param(info.batch);
    }
  }
}

void fill(proto::NodeProto& to, const Node& node) {
  to.set_name(node.name);
  to.set_op_type(node.op);
  to.set_domain(node.domain);
  to.mutable_input()->Add(node.inputs.begin(), node.inputs.end());
  to.mutable_output()->Add(node.outputs.begin(), node.outputs.end());
  for (const Attribute& attribute : node.attributes) {
    proto::AttributeProto& made = *to.add_attribute();
    made.set_name(attribute.name);
    std::visit(FillAttribute{made}, attribute.value);
  }
}

std::vector<std::byte> bytes_of_file(const fs::path& path) {
  std::error_code error;
  const bool is_file = fs::is_regular_file(path, error);
  check(is_file, "cannot be read: there is no such file");
  const std::uint64_t size = fs::file_size(path);
  check(size <= kLargestFile, "has ", size, " bytes; ONNX files have at most 2 GB");
  std::vector<std::byte> bytes(size);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  check(in.good(), "cannot be read");
  return bytes;
}

}  // namespace

Model parse_model(std::span<const std::byte> file, const fs::path& folder) {
  proto::ModelProto message;
  check(file.size() <= kLargestFile && message.ParseFromArray(file.data(), static_cast<int>(file.size())),
        "it is no ONNX model, or truncated");
  return model_of(message, folder);
}

Model read_model(const fs::path& path) {
  try {
    return parse_model(bytes_of_file(path), path.parent_path());
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
}

std::vector<std::byte> to_bytes(const Model& model) {
  proto::ModelProto message;
  message.set_ir_version(model.ir_version);
  message.set_producer_name(model.producer);
  for (const auto& [domain, version] : model.opsets) {
    auto& opset = *message.add_opset_import();
    opset.set_domain(domain);
    opset.set_version(version);
  }
  for (const auto& [key, value] : model.metadata) {
    auto& entry = *message.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  proto::GraphProto& graph = *message.mutable_graph();
  graph.set_name("model");
  for (const Array& array : model.initializers) {
    fill(*graph.add_initializer(), array);
  }
  for (const ValueInfo& info : model.inputs) {
    fill(*graph.add_input(), info);
  }
  for (const ValueInfo& info : model.outputs) {
    fill(*graph.add_output(), info);
  }
  for (const Node& node : model.nodes) {
    fill(*graph.add_node(), node);
  }
  const std::uint64_t size = message.ByteSizeLong();
  check(size <= kLargestFile, "onnx: the model has ", size, " bytes; ONNX files have at most 2 GB");
  std::vector<std::byte> bytes(size);
  check(message.SerializeToArray(bytes.data(), static_cast<int>(size)), "onnx: the model cannot be written");
  return bytes;
}

void write_model(const Model& model, const fs::path& path) {
  const std::vector<std::byte> bytes = to_bytes(model);
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace detent::onnx
