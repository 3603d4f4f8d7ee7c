#include "tests/fuzz/mutate.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace detent::fuzz {
namespace {

constexpr std::size_t kLongestPiece = 64;

std::size_t below(std::mt19937_64& random, std::size_t count) { return count == 0 ? 0 : random() % count; }

/// A piece of `bytes`: mostly short, anywhere.
View piece_of(View bytes, std::mt19937_64& random) {
  const std::size_t begin = below(random, bytes.size());
  const std::size_t most = random() % 8 == 0 ? bytes.size() : kLongestPiece;
  return bytes.subspan(begin, std::min(bytes.size() - begin, 1 + below(random, most)));
}

/// A number that is the limit of something, of 1, 2, 4 or 8 bytes, in either order.
void put_number(Bytes& bytes, std::mt19937_64& random) {
  constexpr std::array<std::uint64_t, 16> kLimits{0,
                                                  1,
                                                  2,
                                                  0x7f,
                                                  0x80,
                                                  0xff,
                                                  0x7fff,
                                                  0x8000,
                                                  0xffff,
                                                  0x7fffffff,
                                                  0x80000000,
                                                  0xffffffff,
                                                  0x7fffffffffffffff,
                                                  0x8000000000000000,
                                                  0xffffffffffffffff,
                                                  0x40000000};
  const std::uint64_t number = kLimits[below(random, kLimits.size())] + random() % 3 - 1;
  const std::size_t width = std::min(std::size_t{1} << random() % 4, bytes.size());
  const std::size_t at = below(random, bytes.size() - width + 1);
  std::array<std::uint8_t, 8> digits{};
  std::memcpy(digits.data(), &number, sizeof number);
  if (random() % 2 == 0) {
    std::reverse(digits.begin(), digits.begin() + static_cast<std::ptrdiff_t>(width));
  }
  std::copy_n(digits.begin(), width, bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

void insert(Bytes& bytes, View piece, std::mt19937_64& random) {
  const Bytes copy(piece.begin(), piece.end());
  bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(random, bytes.size() + 1)), copy.begin(), copy.end());
}

void change(Bytes& bytes, View other, std::mt19937_64& random) {
  if (bytes.empty()) {
    bytes.push_back(static_cast<std::uint8_t>(random()));
  }
  switch (random() % 9) {
    case 0:
    case 1:
      bytes[below(random, bytes.size())] ^= static_cast<std::uint8_t>(1U << random() % 8);
      break;
    case 2:
      bytes[below(random, bytes.size())] = static_cast<std::uint8_t>(random());
      break;
    case 3:
    case 4:
      put_number(bytes, random);
      break;
    case 5: {
      const View piece = piece_of(bytes, random);
      const auto begin = bytes.begin() + (piece.data() - bytes.data());
      bytes.erase(begin, begin + static_cast<std::ptrdiff_t>(piece.size()));
      break;
    }
    case 6:
      insert(bytes, piece_of(bytes, random), random);
      break;
    case 7:
      insert(bytes, other.empty() ? View(bytes) : piece_of(other, random), random);
      break;
    default:
      bytes.resize(random() % 4 == 0 ? below(random, bytes.size()) : bytes.size());
      break;
  }
}

}  // namespace

Bytes mutated(const std::vector<Bytes>& seeds, std::mt19937_64& random) {
  Bytes bytes = seeds[below(random, seeds.size())];
  for (std::size_t changes = 1 + below(random, 6); changes > 0; --changes) {
    change(bytes, seeds[below(random, seeds.size())], random);
  }
  return bytes;
}

}  // namespace detent::fuzz
