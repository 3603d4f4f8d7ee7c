#include "detent/io/tensor_file/wire.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "detent/core/processor/machine_memory.h"

namespace detent::hdf5 {
namespace {

constexpr char kAttribute = 'a', kTensor = 't', kTexts = 'x', kError = 'e', kEndOfMessage = '.';
constexpr char kText = 's', kInteger = 'i', kReal = 'r';
constexpr std::uint64_t kMostWireAxes = 32;
constexpr std::size_t kPiece = std::size_t{1} << 20;

class Sender {
 public:
  explicit Sender(const Send& send) : send_(send) {}

  template <typename T>
  void value(T number) {
    static_assert(std::is_trivially_copyable_v<T>);
    send_(std::as_bytes(std::span(&number, 1)));
  }
  void text(const std::string& letters) {
    value(std::uint64_t{letters.size()});
    send_(std::as_bytes(std::span(letters)));
  }
  void bytes(std::span<const std::byte> all) { send_(all); }

 private:
  const Send& send_;
};

class Receiver {
 public:
  Receiver(const std::string& where, const Receive& receive) : where_(where), receive_(receive) {}

  template <typename T>
  T value() {
    static_assert(std::is_trivially_copyable_v<T>);
    T number{};
    receive_(std::as_writable_bytes(std::span(&number, 1)));
    return number;
  }
  std::uint64_t count(std::uint64_t most) {
    const auto number = value<std::uint64_t>();
    require(number <= most);
    return number;
  }
  std::string text() {
    std::string letters;
    for (std::uint64_t left = count(machine_memory()); left > 0;) {
      const std::size_t piece = std::min<std::uint64_t>(left, kPiece);
      letters.resize(letters.size() + piece);
      receive_(std::as_writable_bytes(std::span(letters)).last(piece));
      left -= piece;
    }
    return letters;
  }
  void bytes(std::span<std::byte> all) { receive_(all); }
  void require(bool is_understood) const {
    check(is_understood, where_, "what the process that reads it sends is not understood: it is damaged");
  }

 private:
  const std::string& where_;
  const Receive& receive_;
};

TensorFile::Attribute receive_attribute(Receiver& from) {
  const auto type = from.value<char>();
  from.require(type == kText || type == kInteger || type == kReal);
  if (type == kText) {
    return from.text();
  }
  return type == kInteger ? TensorFile::Attribute(from.value<std::int64_t>())
                          : TensorFile::Attribute(from.value<double>());
}

Tensor receive_tensor(Receiver& from) {
  const auto dtype = static_cast<DType>(from.value<std::uint8_t>());
  const std::vector<DType> known{DType::F32, DType::F64, DType::BF16, DType::F16, DType::U8, DType::S8, DType::S32};
  from.require(std::ranges::find(known, dtype) != known.end());
  std::vector<std::int64_t> extents(from.count(kMostWireAxes));
  std::uint64_t room = machine_memory() / size_of(dtype);
  for (std::int64_t& extent : extents) {
    extent = static_cast<std::int64_t>(from.count(machine_memory()));
    room /= std::max<std::uint64_t>(static_cast<std::uint64_t>(extent), 1);
  }
  const bool is_empty = std::ranges::find(extents, 0) != extents.end();
  from.require(room > 0 || is_empty);
  Tensor tensor = Tensor::empty(Shape(std::move(extents)), dtype);
  from.bytes(std::span(tensor.raw(), tensor.bytes()));
  return tensor;
}

}  // namespace

void send_content(TensorFile content, const Send& send) {
  Sender to(send);
  for (const auto& [name, attribute] : content.attributes) {
    to.value(kAttribute);
    to.text(name);
    if (const auto* const text = std::get_if<std::string>(&attribute)) {
      to.value(kText);
      to.text(*text);
    } else if (const auto* const integer = std::get_if<std::int64_t>(&attribute)) {
      to.value(kInteger);
      to.value(*integer);
    } else {
      to.value(kReal);
      to.value(std::get<double>(attribute));
    }
  }
  for (auto& [name, tensor] : content.tensors) {
    to.value(kTensor);
    to.text(name);
    to.value(static_cast<std::uint8_t>(content.enumerations.contains(name) ? 1 : 0));
    to.value(static_cast<std::uint8_t>(tensor.dtype()));
    to.value(static_cast<std::uint64_t>(tensor.shape().rank()));
    for (const std::int64_t extent : tensor.shape().extents()) {
      to.value(extent);
    }
    to.bytes(std::span(std::as_const(tensor).raw(), tensor.bytes()));
    tensor = Tensor();
  }
  for (const auto& [name, texts] : content.texts) {
    to.value(kTexts);
    to.text(name);
    to.value(std::uint64_t{texts.size()});
    for (const std::string& text : texts) {
      to.text(text);
    }
  }
  to.value(kEndOfMessage);
}

void send_error(const std::string& text, const Send& send) {
  Sender to(send);
  to.value(kError);
  to.text(text);
}

TensorFile receive_content(const std::string& where, const Receive& receive) {
  Receiver from(where, receive);
  TensorFile content;
  for (;;) {
    switch (from.value<char>()) {
      case kAttribute: {
        std::string name = from.text();
        content.attributes.insert_or_assign(std::move(name), receive_attribute(from));
        break;
      }
      case kTensor: {
        std::string name = from.text();
        if (from.value<std::uint8_t>() != 0) {
          content.enumerations.insert(name);
        }
        content.tensors.insert_or_assign(std::move(name), receive_tensor(from));
        break;
      }
      case kTexts: {
        std::vector<std::string>& texts = content.texts[from.text()];
        for (std::uint64_t left = from.count(machine_memory()); left > 0; --left) {
          texts.push_back(from.text());
        }
        break;
      }
      case kError:
        throw Error(from.text());
      case kEndOfMessage:
        return content;
      default:
        from.require(false);
    }
  }
}

}  // namespace detent::hdf5
