#include "detent/kernels/product/hybrid/weight_only_tile.h"

#include <cstring>

#include "detent/core/processor/units.h"

#define DETENT_WEIGHT_KERNEL
#define DETENT_WEIGHT_TILE inline
#include "detent/kernels/product/hybrid/weight_only_loops.h"

namespace detent::kernels::weight_only {
namespace {

struct Plain {
  using Vector = std::array<float, kLanes>;
  using Bytes = std::array<std::uint8_t, kBlockBytes>;
  static constexpr int kRows = 1;
  static constexpr int kSums = 1;

  static Vector zero() { return {}; }
  static Vector load(const float* p) {
    Vector v;
    std::memcpy(v.data(), p, sizeof(v));
    return v;
  }
  static Vector spread(float value) {
    Vector v;
    v.fill(value);
    return v;
  }
  static Vector multiply_add(const Vector& a, const Vector& b, const Vector& c) {
    Vector v;
    for (std::size_t lane = 0; lane < v.size(); ++lane) {
      v[lane] = a[lane] * b[lane] + c[lane];
    }
    return v;
  }
  static Bytes load_bytes(const std::uint8_t* p) {
    Bytes bytes;
    std::memcpy(bytes.data(), p, sizeof(bytes));
    return bytes;
  }
  template <int kBits, int i>
  static Vector codes(const Bytes& bytes) {
    Vector v;
    for (std::size_t lane = 0; lane < v.size(); ++lane) {
      const int code = kBits == 8 ? static_cast<std::int8_t>(bytes[lane])
                                  : ((bytes[lane] >> (kBits * i)) & ((1 << kBits) - 1)) - (1 << (kBits - 1));
      v[lane] = static_cast<float>(code);
    }
    return v;
  }
  static float sum(Vector v) {
    for (std::size_t half = v.size() / 2; half > 0; half /= 2) {
      for (std::size_t lane = 0; lane < half; ++lane) {
        v[lane] += v[lane + half];
      }
    }
    return v[0];
  }
};

}  // namespace

const Unit& unit() {
#if defined(__x86_64__) && defined(__GNUC__)
  const ProcessorUnits& has = processor_units();
  if (has.avx512) {
    return avx512_unit();
  }
  if (has.avx2) {
    return avx2_unit();
  }
#endif
  static constexpr Unit plain = unit_of<Plain>();
  return plain;
}

}  // namespace detent::kernels::weight_only
