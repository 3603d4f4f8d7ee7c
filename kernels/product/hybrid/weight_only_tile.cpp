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
  using Word = std::array<std::uint32_t, kLanes>;
  using Number = float;
  static constexpr int kStep = 1;
  static constexpr int kRows = 2;
  static constexpr int kBlocks = 1;
  static constexpr int kRowBlocks = 1;

  static Vector zero() { return {}; }
  static Vector load(const float* p) {
    Vector v;
    std::memcpy(v.data(), p, sizeof(v));
    return v;
  }
  static void store(float* p, const Vector& v) { std::memcpy(p, v.data(), sizeof(v)); }
  static Vector spread_f32(const float* p) {
    Vector v;
    v.fill(*p);
    return v;
  }
  static Vector spread(const float* p) { return spread_f32(p); }
  static void multiply_add(Vector& sum, const Vector& a, const Vector& b) {
    for (std::size_t lane = 0; lane < sum.size(); ++lane) {
      sum[lane] += a[lane] * b[lane];
    }
  }
  static void add_products(Vector& sum, const Vector& a, const Vector& b) { multiply_add(sum, a, b); }
  static Vector bytes(const std::uint8_t* p) {
    Vector v;
    for (std::size_t lane = 0; lane < v.size(); ++lane) {
      v[lane] = static_cast<float>(static_cast<std::int8_t>(p[lane]));
    }
    return v;
  }
  static Word load_word(const std::uint8_t* p) {
    Word word;
    std::memcpy(word.data(), p, sizeof(word));
    return word;
  }
  template <int kBits>
  static Vector codes(const Word& word, int j, int s) {
    Vector v;
    for (std::size_t lane = 0; lane < v.size(); ++lane) {
      const auto stored = static_cast<int>(word[lane] >> (16 * s) & ((1U << kBits) - 1U));
      const int code = stored - (1 << (kBits - 1));
      v[lane] = static_cast<float>(j % 2 == 0 ? code : -code);
    }
    return v;
  }
  template <int kBits>
  static void next(Word& word) {
    for (std::uint32_t& codes : word) {
      codes >>= kBits;
    }
  }
};

}  // namespace

const Unit& unit([[maybe_unused]] bool is_bf16) {
#if defined(__x86_64__) && defined(__GNUC__)
  const ProcessorUnits& has = processor_units();
  if (has.avx512) {
    return is_bf16 && has.avx512_bf16 ? avx512_bf16_unit() : avx512_unit();
  }
  if (has.avx2) {
    return avx2_unit();
  }
#endif
  static constexpr Unit plain = unit_of<Plain>();
  return plain;
}

}  // namespace detent::kernels::weight_only
