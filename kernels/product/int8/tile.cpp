#include "detent/kernels/product/int8/tile.h"

#include "detent/core/processor/units.h"

#define DETENT_TILE_KERNEL
#define DETENT_TILE inline
#include "detent/kernels/product/int8/tile_loops.h"

namespace detent::kernels {
namespace {

struct Plain {
  using Vector = PlainVector<std::int32_t>;
  using Seen = PlainSeen;
  static constexpr int kLanes = 8;
  static constexpr int kCodeBytes = 2;
  static constexpr std::array kPixels{2};
  static constexpr bool kSharesColumns = false;
  static constexpr std::array kWindows{1};

  static Vector zero() { return {}; }
  static Vector load(const void* from) {
    Vector v;
    std::memcpy(&v, from, sizeof(v));
    return v;
  }
  static void store(void* to, const Vector& v) { std::memcpy(to, &v, sizeof(v)); }
  static Vector broadcast(const std::uint8_t* codes) {
    Vector v;
    for (std::int32_t& lane : v.lane) {
      std::memcpy(&lane, codes, sizeof(lane));
    }
    return v;
  }
  static Vector largest(const Vector& a, const Vector& b) {
    Vector v;
    std::ranges::transform(a.lane, b.lane, v.lane, [](std::int32_t x, std::int32_t y) { return std::max(x, y); });
    return v;
  }
  static Vector reals(const Vector& sum, const TileReals& r, int first) {
    Vector bits;
    for (int i = 0; i < kLanes; ++i) {
      const float real = static_cast<float>(sum.lane[i]) * r.scale[first + i] * r.x_scale + r.bias[first + i];
      bits.lane[i] = std::bit_cast<std::int32_t>(real > r.lowest ? real : r.lowest);
    }
    return bits;
  }
  /// sum += codes times weights of 16 bits, two a lane.
  static void add_products(Vector& sum, const Vector& codes, const Vector& weight) {
    std::int16_t x[16], w[16];
    std::memcpy(x, &codes, sizeof(x));
    std::memcpy(w, &weight, sizeof(w));
    for (int i = 0; i < kLanes; ++i) {
      sum.lane[i] += x[2 * i] * w[2 * i] + x[2 * i + 1] * w[2 * i + 1];
    }
  }
};

}  // namespace

const Int8Unit& int8_unit() {
#if defined(__x86_64__) && defined(__GNUC__)
  const ProcessorUnits& has = processor_units();
  if (has.avx512_vnni) {
    return avx512_vnni_unit();
  }
  if (has.avx512) {
    return avx512_unit();
  }
  if (has.avx2_vnni) {
    return avx2_vnni_unit();
  }
  if (has.avx2) {
    return avx2_unit();
  }
#endif
  static const Int8Unit unit = unit_of<Plain>();
  return unit;
}

}  // namespace detent::kernels
