#include "detent/kernels/product/bits/bit_tile.h"

#include "detent/core/processor/units.h"

#define DETENT_TILE_KERNEL
#define DETENT_TILE inline
#include "detent/kernels/product/bits/bit_tile_loops.h"

namespace detent::kernels {
namespace {

struct PlainBits {
  using Vector = PlainVector<std::int32_t>;
  using Counts = Vector;
  using Seen = PlainSeen;
  static constexpr int kLanes = 8;
  static constexpr int kCodeBytes = 1;
  static constexpr int kMostGroups = 0;
  static constexpr std::array kPixels{2};
  static constexpr std::array kWindows{1};

  static Vector zero() { return {}; }
  static Vector load(const void* from) {
    Vector v;
    std::memcpy(&v, from, sizeof(v));
    return v;
  }
  static void store(void* to, const Vector& v) { std::memcpy(to, &v, sizeof(v)); }
  static Vector broadcast_total(std::int32_t number) {
    Vector v;
    std::ranges::fill(v.lane, number);
    return v;
  }
  static Vector broadcast(const std::uint8_t* codes) {
    std::int32_t bits = 0;
    std::memcpy(&bits, codes, sizeof(bits));
    return broadcast_total(bits);
  }
  static Vector largest(const Vector& a, const Vector& b) {
    return lane_by_lane(a, b, [](std::int32_t x, std::int32_t y) { return std::max(x, y); });
  }
  static Vector add(const Vector& a, const Vector& b) {
    return lane_by_lane(a, b, [](std::int32_t x, std::int32_t y) { return x + y; });
  }
  static Vector subtract(const Vector& a, const Vector& b) {
    return lane_by_lane(a, b, [](std::int32_t x, std::int32_t y) { return x - y; });
  }
  static void count(Counts& counts, const Vector& codes, const Vector& mask) {
    counts = add(counts, bits_of(codes, mask));
  }
  static void uncount(Counts& counts, const Vector& codes, const Vector& mask) {
    counts = subtract(counts, bits_of(codes, mask));
  }

 private:
  template <typename Fn>
  static Vector lane_by_lane(const Vector& a, const Vector& b, Fn fn) {
    Vector v;
    for (int i = 0; i < kLanes; ++i) {
      v.lane[i] = fn(a.lane[i], b.lane[i]);
    }
    return v;
  }
  static Vector bits_of(const Vector& codes, const Vector& mask) {
    return lane_by_lane(codes, mask, [](std::int32_t x, std::int32_t y) {
      return std::int32_t{std::popcount(static_cast<std::uint32_t>(x & y))};
    });
  }
};

}  // namespace

const BitUnit& bit_unit() {
#if defined(__x86_64__) && defined(__GNUC__)
  const ProcessorUnits& has = processor_units();
  if (has.avx512_popcount) {
    return avx512_bit_unit();
  }
  if (has.avx2) {
    return avx2_bit_unit();
  }
#endif
  static const BitUnit unit = bit_unit_of<PlainBits>({.group = 8.2, .row = 0, .pixel = 4});
  return unit;
}

}  // namespace detent::kernels
