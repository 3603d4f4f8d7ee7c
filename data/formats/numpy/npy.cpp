#include "detent/data/formats/numpy/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

#include "detent/core/utf8.h"
#include "detent/data/formats/limits.h"
#include "detent/data/formats/numpy/npy_header.h"

namespace detent::data {
namespace {

constexpr std::array<std::uint8_t, 6> kMagic{0x93, 'N', 'U', 'M', 'P', 'Y'};
constexpr std::size_t kMagicBytes = 8;
constexpr std::size_t kMostNpyAxes = 32;
static_assert(std::endian::native == std::endian::little);

template <typename T>
T value_at(const std::byte* item, bool is_swapped) {
  std::array<std::byte, sizeof(T)> bytes;
  std::memcpy(bytes.data(), item, sizeof(T));
  if (is_swapped) {
    std::ranges::reverse(bytes);
  }
  return std::bit_cast<T>(bytes);
}

void append_utf8(std::string& text, std::uint32_t point) {
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += {static_cast<char>(0xC0 | point >> 6), static_cast<char>(0x80 | (point & 0x3F))};
  } else if (point < 0x10000) {
    text += {static_cast<char>(0xE0 | point >> 12), static_cast<char>(0x80 | (point >> 6 & 0x3F)),
             static_cast<char>(0x80 | (point & 0x3F))};
  } else if (point <= 0x10FFFF) {
    text += {static_cast<char>(0xF0 | point >> 18), static_cast<char>(0x80 | (point >> 12 & 0x3F)),
             static_cast<char>(0x80 | (point >> 6 & 0x3F)), static_cast<char>(0x80 | (point & 0x3F))};
  } else {
    text += "\xEF\xBF\xBD";
  }
}

}  // namespace

NpyArray NpyArray::parse(const std::string& where, std::vector<std::byte> file) {
  NpyArray array;
  array.where_ = where;
  array.file_ = std::move(file);
  const auto byte = [&](std::size_t at) { return std::to_integer<std::uint32_t>(array.file_[at]); };
  const std::size_t size = array.file_.size();
  bool is_npy = size >= kMagicBytes + 2;
  for (std::size_t i = 0; is_npy && i < kMagic.size(); ++i) {
    is_npy = byte(i) == kMagic[i];
  }
  check(is_npy, where, ": is no .npy array");
  const std::uint32_t version = byte(6);
  check(version >= 1 && version <= 3, where, ": .npy version ", version, " is not known: expected 1 to 3");
  const std::size_t begin = kMagicBytes + (version == 1 ? 2 : 4);
  check(size >= begin, where, ": truncated: it ends within the .npy header");
  const std::uint64_t length =
      version == 1 ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | std::uint64_t{byte(11)} << 24;
  check(length <= size - begin, where, ": truncated: the .npy header has ", length, " bytes, of which ", size - begin,
        " are there");
  array.begin_ = begin + static_cast<std::size_t>(length);
  array.parse_header({reinterpret_cast<const char*>(array.file_.data() + begin), static_cast<std::size_t>(length)});
  return array;
}

void NpyArray::parse_header(std::string_view text) {
  NpyHeader header = parse_npy_header(where_, text);
  set_type(header.descr);
  is_fortran_ = header.is_fortran;
  check(header.shape.size() <= kMostNpyAxes, where_, ": the .npy header is damaged: it has ", header.shape.size(),
        " axes");
  const std::uint64_t here = file_.size() - begin_;
  std::uint64_t bytes = item_bytes_;
  for (const std::int64_t extent : header.shape) {
    check(extent == 0 || bytes <= here / static_cast<std::uint64_t>(extent), where_,
          ": truncated or damaged: the .npy header promises more than the ", here, " bytes of elements that are there");
    bytes *= static_cast<std::uint64_t>(extent);
  }
  check(bytes == here, where_, bytes > here ? ": truncated: " : ": more bytes follow: ", "the .npy header promises ",
        bytes, " bytes of elements, there are ", here);
  shape_ = Shape(std::move(header.shape));
}

void NpyArray::set_type(const std::string& dtype) {
  dtype_ = valid_utf8(dtype);
  constexpr std::string_view kOrders = "<>|=";
  const bool has_order = !dtype.empty() && kOrders.find(dtype[0]) != std::string_view::npos;
  const std::string_view type = std::string_view(dtype).substr(has_order ? 1 : 0);
  std::size_t count = 0;
  const auto [end, error] =
      std::from_chars(type.data() + std::min<std::size_t>(type.size(), 1), type.data() + type.size(), count);
  const bool is_read = !type.empty() && error == std::errc() && end == type.data() + type.size();
  const char letter = type.empty() ? '?' : type[0];
  constexpr std::string_view kKnown = "fiubSU";
  constexpr std::array kKinds{Kind::kReal, Kind::kSigned, Kind::kUnsigned, Kind::kFlag, Kind::kBytes, Kind::kText};
  const std::size_t place = kKnown.find(letter);
  check(letter != 'O', where_, ": holds Python objects, which are never loaded; save numbers or texts of one length");
  bool is_known = is_read && place != std::string_view::npos;
  if (is_known) {
    kind_ = kKinds[place];
    is_known = kind_ == Kind::kReal                                 ? count == 2 || count == 4 || count == 8
               : kind_ == Kind::kSigned || kind_ == Kind::kUnsigned ? std::has_single_bit(count) && count <= 8
               : kind_ == Kind::kFlag                               ? count == 1
                                                                    : count >= 1 && count <= (1U << 20);
  }
  check(is_known, where_, ": elements are of numpy's type \"", dtype_,
        "\": expected reals, integers, booleans or texts; write array.astype('float32')");
  item_bytes_ = kind_ == Kind::kText ? 4 * count : count;
  is_swapped_ = dtype[0] == '>';
}

template <typename Use>
void NpyArray::for_each(Use&& use) const {
  const auto count = static_cast<std::size_t>(shape_.elements());
  const std::byte* const first = file_.data() + begin_;
  if (!is_fortran_) {
    for (std::size_t i = 0; i < count; ++i) {
      use(i, first + i * item_bytes_);
    }
    return;
  }
  const std::size_t rank = shape_.rank();
  std::vector<std::int64_t> index(rank), stride(rank, 1);
  for (std::size_t axis = 1; axis < rank; ++axis) {
    stride[axis] = stride[axis - 1] * shape_[axis - 1];
  }
  std::int64_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    use(i, first + static_cast<std::size_t>(at) * item_bytes_);
    for (std::size_t axis = rank; axis-- > 0;) {  // the next index in C order
      at += stride[axis];
      if (++index[axis] < shape_[axis]) {
        break;
      }
      at -= stride[axis] * shape_[axis];
      index[axis] = 0;
    }
  }
}

double NpyArray::number_at(const std::byte* item) const {
  const auto whole = [&]<typename One, typename Two, typename Four, typename Eight>(One, Two, Four, Eight) {
    switch (item_bytes_) {
      case 1:
        return static_cast<double>(value_at<One>(item, is_swapped_));
      case 2:
        return static_cast<double>(value_at<Two>(item, is_swapped_));
      case 4:
        return static_cast<double>(value_at<Four>(item, is_swapped_));
      default:
        return static_cast<double>(value_at<Eight>(item, is_swapped_));
    }
  };
  switch (kind_) {
    case Kind::kSigned:
      return whole(std::int8_t{}, std::int16_t{}, std::int32_t{}, std::int64_t{});
    case Kind::kUnsigned:
      return whole(std::uint8_t{}, std::uint16_t{}, std::uint32_t{}, std::uint64_t{});
    case Kind::kFlag:
      return *item == std::byte{0} ? 0.0 : 1.0;
    default:
      break;
  }
  switch (item_bytes_) {
    case 2:
      return static_cast<double>(
          static_cast<float>(Eigen::numext::bit_cast<float16>(value_at<std::uint16_t>(item, is_swapped_))));
    case 4:
      return static_cast<double>(value_at<float>(item, is_swapped_));
    default:
      return value_at<double>(item, is_swapped_);
  }
}

std::string NpyArray::text_at(const std::byte* item) const {
  std::string text;
  if (kind_ == Kind::kBytes) {
    text.assign(reinterpret_cast<const char*>(item), item_bytes_);
    text.resize(std::min(text.size(), text.find('\0')));
  }
  for (std::size_t at = 0; kind_ == Kind::kText && at < item_bytes_; at += 4) {
    const auto point = value_at<std::uint32_t>(item + at, is_swapped_);
    if (point == 0) {
      break;
    }
    append_utf8(text, point);
  }
  return valid_utf8(text);
}

Tensor NpyArray::to_u8() const {
  Tensor tensor = Tensor::empty(shape_, DType::U8);
  const std::span<std::uint8_t> values = tensor.data<std::uint8_t>();
  for_each([&](std::size_t i, const std::byte* item) { values[i] = std::to_integer<std::uint8_t>(*item); });
  return tensor;
}

Tensor NpyArray::to_f32() const {
  checked_bytes(where_, static_cast<std::uint64_t>(shape_.elements()), sizeof(float));
  Tensor tensor = Tensor::empty(shape_, DType::F32);
  const std::span<float> values = tensor.data<float>();
  for_each([&](std::size_t i, const std::byte* item) { values[i] = static_cast<float>(number_at(item)); });
  return tensor;
}

std::vector<double> NpyArray::numbers() const {
  std::vector<double> values(static_cast<std::size_t>(shape_.elements()));
  for_each([&](std::size_t i, const std::byte* item) { values[i] = number_at(item); });
  return values;
}

std::vector<std::string> NpyArray::texts() const {
  std::vector<std::string> texts(static_cast<std::size_t>(shape_.elements()));
  for_each([&](std::size_t i, const std::byte* item) {
    if (has_texts()) {
      texts[i] = text_at(item);
      return;
    }
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number_at(item)).ptr;
    texts[i].assign(digits.data(), end);
  });
  return texts;
}

}  // namespace detent::data
