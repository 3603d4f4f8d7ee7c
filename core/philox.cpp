#include "detent/core/philox.h"

#include <cassert>
#include <cmath>
#include <numbers>

namespace detent {
namespace {

/// 64-bit FNV-1a: the purpose's name as a number.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
    k[0] += 0x9E3779B9U;
    k[1] += 0xBB67AE85U;
  }
  return c;
}

RandomStream::RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t index)
    : high_{static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)} {
  const std::uint64_t purpose_hash = hash_of(purpose);
  const auto mixed =
      philox4x32({static_cast<std::uint32_t>(purpose_hash), static_cast<std::uint32_t>(purpose_hash >> 32), 0, 0},
                 {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  key_ = {mixed[0], mixed[1]};
}

std::array<std::uint32_t, 4> RandomStream::block_at(std::uint64_t block) const {
  return philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), high_[0], high_[1]},
                    key_);
}

std::uint32_t RandomStream::bits_at(std::uint64_t position) const { return block_at(position / 4)[position % 4]; }

std::uint32_t RandomStream::bits() {
  const std::uint64_t block = position_ / 4;
  if (block != cached_block_) {
    cached_ = block_at(block);
    cached_block_ = block;
  }
  return cached_[position_++ % 4];
}

float RandomStream::uniform() { return static_cast<float>(bits() >> 8) * 0x1p-24F; }

float RandomStream::uniform(float low, float high) { return low + (high - low) * uniform(); }

float RandomStream::normal() {
  const double u = (static_cast<double>(bits()) + 1.0) * 0x1p-32;  // (0, 1]
  const double v = static_cast<double>(bits()) * 0x1p-32;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v));
}

std::uint32_t RandomStream::index(std::uint32_t n) {
  assert(n >= 1);
  // Lemire's multiplication, with rejection so that every index is equally likely.
  const std::uint32_t threshold = (0U - n) % n;
  while (true) {
    const std::uint64_t product = std::uint64_t{bits()} * n;
    if (static_cast<std::uint32_t>(product) >= threshold) {
      return static_cast<std::uint32_t>(product >> 32);
    }
  }
}

}  // namespace detent
