#include "detent/kernels/product/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <vector>

#include "detent/core/error.h"
#include "detent/core/processor/intrinsics.h"
#include "detent/core/processor/units.h"
#include "detent/core/threads/parallel.h"
#include "detent/kernels/product/conv.h"

namespace detent::kernels {
namespace {

using Clock = std::chrono::steady_clock;

// Sums at a time: enough to hide the latency of a multiply-add on two ports. They start from different numbers, so that
// the compiler does not make one of them.
constexpr int kChains = 12;
constexpr int kRounds = 20'000;
constexpr int kRunsOfAThread = 16;
constexpr double kSeconds = 0.03;

// A loop, and the operations that one round of it does. The result of `run` keeps the loop from being removed.
struct Loop {
  float (*run)() = nullptr;
  double operations = 0.0;
};

float plain_f32() {
  float sums[kChains];
  for (int i = 0; i < kChains; ++i) {
    sums[i] = static_cast<float>(i);
  }
  for (int round = 0; round < kRounds; ++round) {
    for (float& sum : sums) {
      sum = sum * 0.999F + 0.001F;
    }
  }
  return sums[0];
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) float avx512_f32() {
  __m512 sums[kChains];
  for (int i = 0; i < kChains; ++i) {
    sums[i] = _mm512_set1_ps(static_cast<float>(i));
  }
  const __m512 factor = _mm512_set1_ps(0.999F);
  const __m512 summand = _mm512_set1_ps(0.001F);
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m512& sum : sums) {
      sum = _mm512_fmadd_ps(sum, factor, summand);
    }
  }
  __m512 total = sums[0];
  for (int i = 1; i < kChains; ++i) {
    total = _mm512_add_ps(total, sums[i]);
  }
  alignas(64) float lanes[16];
  _mm512_store_ps(lanes, total);
  return lanes[0];
}

__attribute__((target("avx2,fma"))) float avx2_f32() {
  __m256 sums[kChains];
  for (int i = 0; i < kChains; ++i) {
    sums[i] = _mm256_set1_ps(static_cast<float>(i));
  }
  const __m256 factor = _mm256_set1_ps(0.999F);
  const __m256 summand = _mm256_set1_ps(0.001F);
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m256& sum : sums) {
      sum = _mm256_fmadd_ps(sum, factor, summand);
    }
  }
  __m256 total = sums[0];
  for (int i = 1; i < kChains; ++i) {
    total = _mm256_add_ps(total, sums[i]);
  }
  return _mm256_cvtss_f32(total);
}

__attribute__((target("avx512f,avx512bf16"))) float avx512_bf16() {
  __m512 sums[kChains];
  for (int i = 0; i < kChains; ++i) {
    sums[i] = _mm512_set1_ps(static_cast<float>(i));
  }
  const auto factor = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80));
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m512& sum : sums) {
      sum = _mm512_dpbf16_ps(sum, factor, factor);
    }
  }
  __m512 total = sums[0];
  for (int i = 1; i < kChains; ++i) {
    total = _mm512_add_ps(total, sums[i]);
  }
  alignas(64) float lanes[16];
  _mm512_store_ps(lanes, total);
  return lanes[0];
}

/// What a round adds to a sum of codes times weights, as the units of kernels/product/int8/tile_*.cpp do. Written out
/// so that compilers do not move products of the same numbers out of the loop.
struct Vnni {
  [[gnu::always_inline]] __attribute__((target("avx512f"))) static void add(__m512i& sum, __m512i factor) {
    asm("vpdpbusd %1, %1, %0" : "+v"(sum) : "v"(factor));
  }
  [[gnu::always_inline]] __attribute__((target("avx2"))) static void add(__m256i& sum, __m256i factor) {
    asm("%{vex%} vpdpbusd %1, %1, %0" : "+x"(sum) : "x"(factor));
  }
};

struct Pairs {
  [[gnu::always_inline]] __attribute__((target("avx512f,avx512bw"))) static void add(__m512i& sum, __m512i factor) {
    __m512i product;
    asm("vpmaddwd %2, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(sum), "=&v"(product) : "v"(factor));
  }
  [[gnu::always_inline]] __attribute__((target("avx2"))) static void add(__m256i& sum, __m256i factor) {
    __m256i product;
    asm("vpmaddwd %2, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum), "=&x"(product) : "x"(factor));
  }
};

template <typename Products>
__attribute__((target("avx512f,avx512bw"))) float avx512_int8() {
  __m512i sums[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) {
    sums[i] = _mm512_set1_epi32(i);
  }
  const __m512i factor = _mm512_set1_epi32(0x01010101);
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m512i& sum : sums) {
      Products::add(sum, factor);
    }
  }
  __m512i total = sums[0];
#pragma GCC unroll 12
  for (int i = 1; i < kChains; ++i) {
    total = _mm512_add_epi32(total, sums[i]);
  }
  alignas(64) std::int32_t lanes[16];
  _mm512_store_si512(lanes, total);
  return static_cast<float>(lanes[0]);
}

template <typename Products>
__attribute__((target("avx2"))) float avx2_int8() {
  __m256i sums[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) {
    sums[i] = _mm256_set1_epi32(i);
  }
  const __m256i factor = _mm256_set1_epi32(0x01010101);
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      Products::add(sum, factor);
    }
  }
  __m256i total = sums[0];
#pragma GCC unroll 12
  for (int i = 1; i < kChains; ++i) {
    total = _mm256_add_epi32(total, sums[i]);
  }
  return static_cast<float>(_mm256_cvtsi256_si32(total));
}
#endif

constexpr double loop_operations(int lanes, int products) { return 2.0 * lanes * products * kChains * kRounds; }

Loop f32_loop() {
#if defined(__x86_64__)
  if (processor_units().avx512) {
    return {avx512_f32, loop_operations(16, 1)};
  }
  if (processor_units().avx2) {
    return {avx2_f32, loop_operations(8, 1)};
  }
#endif
  return {plain_f32, loop_operations(1, 1)};
}

/// No loop where plain C++ computes the products.
Loop int8_loop() {
#if defined(__x86_64__)
  const ProcessorUnits& has = processor_units();
  if (has.avx512) {
    return has.avx512_vnni ? Loop{avx512_int8<Vnni>, loop_operations(16, 4)}
                           : Loop{avx512_int8<Pairs>, loop_operations(16, 2)};
  }
  if (has.avx2) {
    return has.avx2_vnni ? Loop{avx2_int8<Vnni>, loop_operations(8, 4)} : Loop{avx2_int8<Pairs>, loop_operations(8, 2)};
  }
#endif
  return {};
}

double measure(const Loop& loop, int threads) {
  const std::int64_t runs = std::int64_t{threads} * kRunsOfAThread;
  std::vector<double> shortest(static_cast<std::size_t>(runs), std::numeric_limits<double>::infinity());
  std::vector<float> results(shortest.size());  // so that the loops are not removed
  const auto end = Clock::now() + std::chrono::duration<double>(kSeconds);
  do {
    parallel_slices(runs, [&](std::int64_t slice) {
      const auto i = static_cast<std::size_t>(slice);
      const auto start = Clock::now();
      results[i] = loop.run();
      shortest[i] = std::min(shortest[i], std::chrono::duration<double>(Clock::now() - start).count());
    });
  } while (Clock::now() < end);
  return loop.operations / *std::ranges::min_element(shortest) * std::min(threads, hardware_threads());
}

}  // namespace

Peak measure_peak(int threads) {
  check(threads >= 1, "peak: expected at least 1 thread, got ", threads);
  Peak peak;
  peak.f32 = measure(f32_loop(), threads);
  peak.bf16 = peak.int8 = peak.f32;
#if defined(__x86_64__)
  if (has_bf16_units()) {
    peak.bf16 = measure({avx512_bf16, loop_operations(16, 2)}, threads);
  }
#endif
  if (const Loop loop = int8_loop(); loop.run != nullptr) {
    peak.int8 = measure(loop, threads);
  }
  return peak;
}

}  // namespace detent::kernels
