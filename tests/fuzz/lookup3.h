#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace detent::fuzz {

class Lookup3 {
 public:
  static std::uint32_t of(std::span<const std::uint8_t> bytes) {
    Lookup3 sum(static_cast<std::uint32_t>(bytes.size()));
    for (; bytes.size() > 12; bytes = bytes.subspan(12)) {
      sum.add(bytes.first(12));
      sum.mix();
    }
    if (!bytes.empty()) {
      sum.add(bytes);
      sum.finish();
    }
    return sum.c_;
  }

 private:
  explicit Lookup3(std::uint32_t length) : a_(0xdeadbeefU + length), b_(a_), c_(a_) {}

  void add(std::span<const std::uint8_t> bytes) {
    std::array<std::uint32_t, 3> words{};
    std::memcpy(words.data(), bytes.data(), bytes.size());
    a_ += words[0];
    b_ += words[1];
    c_ += words[2];
  }
  /// x = (x - y) ^ rotated y; y += z: the step of which mixing is made.
  static void step(std::uint32_t& x, std::uint32_t& y, std::uint32_t z, int bits) {
    x = (x - y) ^ std::rotl(y, bits);
    y += z;
  }
  void mix() {
    step(a_, c_, b_, 4);
    step(b_, a_, c_, 6);
    step(c_, b_, a_, 8);
    step(a_, c_, b_, 16);
    step(b_, a_, c_, 19);
    step(c_, b_, a_, 4);
  }
  static void last(std::uint32_t& x, std::uint32_t y, int bits) { x = (x ^ y) - std::rotl(y, bits); }
  void finish() {
    last(c_, b_, 14);
    last(a_, c_, 11);
    last(b_, a_, 25);
    last(c_, b_, 16);
    last(a_, c_, 4);
    last(b_, a_, 14);
    last(c_, b_, 24);
  }

  std::uint32_t a_, b_, c_;
};

/// Bob Jenkins' lookup3 of bytes, with which HDF5 sums its metadata.
inline std::uint32_t lookup3(std::span<const std::uint8_t> bytes) { return Lookup3::of(bytes); }

}  // namespace detent::fuzz
