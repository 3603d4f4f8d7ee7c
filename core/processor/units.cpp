#include "detent/core/processor/units.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <string>

#include "detent/core/error.h"
#include "detent/core/names.h"
#include "detent/core/processor/detected.h"
#include "detent/core/text/list_text.h"
#include "detent/core/text/nearest.h"

namespace detent {
namespace {

constexpr ProcessorUnits kAvx2{.avx2 = true};
constexpr ProcessorUnits kAvx2Vnni{.avx2 = true, .avx2_vnni = true};
constexpr ProcessorUnits kAvx512{.avx2 = true, .avx512 = true};
constexpr ProcessorUnits kAvx512Vnni{.avx2 = true, .avx2_vnni = true, .avx512 = true, .avx512_vnni = true};
constexpr ProcessorUnits kAvx512Popcount{
    .avx2 = true, .avx2_vnni = true, .avx512 = true, .avx512_vnni = true, .avx512_popcount = true};
constexpr ProcessorUnits kAll{
    .avx2 = true, .avx2_vnni = true, .avx512 = true, .avx512_vnni = true, .avx512_popcount = true, .avx512_bf16 = true};

const Names<ProcessorUnits>& own_limits() {
  static const Names<ProcessorUnits> names{{"sse41", {}},
                                           {"avx2", kAvx2},
                                           {"avx2_vnni", kAvx2Vnni},
                                           {"avx512", kAvx512},
                                           {"avx512_vnni", kAvx512Vnni},
                                           {"avx512_popcount", kAvx512Popcount},
                                           {"avx512_bf16", kAll}};
  return names;
}

/// oneDNN's words that are not ours.
const Names<ProcessorUnits>& onednn_limits() {
  static const Names<ProcessorUnits> names{{"avx", {}},
                                           {"avx512_core", kAvx512},
                                           {"avx512_core_vnni", kAvx512Vnni},
                                           {"avx512_core_bf16", kAll},
                                           {"avx2_vnni_2", kAvx2Vnni},
                                           {"avx512_core_fp16", kAll},
                                           {"avx512_core_amx", kAll},
                                           {"avx512_core_amx_fp16", kAll},
                                           {"all", kAll},
                                           {"default", kAll},
                                           {"", kAll}};
  return names;
}

ProcessorUnits both(const ProcessorUnits& a, const ProcessorUnits& b) {
  return {.avx2 = a.avx2 && b.avx2,
          .avx2_vnni = a.avx2_vnni && b.avx2_vnni,
          .avx512 = a.avx512 && b.avx512,
          .avx512_vnni = a.avx512_vnni && b.avx512_vnni,
          .avx512_popcount = a.avx512_popcount && b.avx512_popcount,
          .avx512_bf16 = a.avx512_bf16 && b.avx512_bf16};
}

#if defined(__x86_64__) && defined(__GNUC__)
/// Not every compiler that builds this has a name for it.
bool has_avx_vnni() {
  constexpr unsigned kFeatures = 7, kSecondPage = 1, kBit = 1U << 4U;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(kFeatures, kSecondPage, &a, &b, &c, &d) != 0 && (a & kBit) != 0;
}
#endif

}  // namespace

ProcessorUnits detected_units() {
  ProcessorUnits units;
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  units.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  units.avx2_vnni = units.avx2 && has_avx_vnni();
  units.avx512 = units.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  units.avx512_vnni = units.avx512 && __builtin_cpu_supports("avx512vnni");
  units.avx512_popcount = units.avx512_vnni && __builtin_cpu_supports("avx512vpopcntdq");
  units.avx512_bf16 = units.avx512_vnni && __builtin_cpu_supports("avx512bf16");
#endif
  return units;
}

namespace {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

ProcessorUnits within_environment() {
  ProcessorUnits units = detected_units();
  if (const char* limit = std::getenv("DETENT_MAX_CPU_ISA")) {
    units = limited(units, limit);
  }
  if (const char* limit = std::getenv("ONEDNN_MAX_CPU_ISA")) {
    try {
      units = limited(units, limit);
    } catch (const Error&) {  // oneDNN passes over words that it does not know, so nothing is ruled out
    }
  }
  return units;
}

}  // namespace

ProcessorUnits limited(ProcessorUnits has, std::string_view limit) {
  const std::string word = lower_case(limit);
  for (const Names<ProcessorUnits>* names : {&own_limits(), &onednn_limits()}) {
    const auto found = std::ranges::find(*names, std::string_view(word), &Names<ProcessorUnits>::value_type::first);
    if (found != names->end()) {
      return both(has, found->second);
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, units] : own_limits()) {
    names.emplace_back(name);
  }
  fail("DETENT_MAX_CPU_ISA: expected one of ", comma_separated(names), ", got \"", limit, "\"",
       did_you_mean(limit, names));
}

const ProcessorUnits& processor_units() {
  static const ProcessorUnits units = within_environment();
  return units;
}

std::string_view class_of(const ProcessorUnits& units) {
  return units.avx512_bf16   ? "AVX-512 VNNI and BF16"
         : units.avx512_vnni ? "AVX-512 VNNI"
         : units.avx512      ? "AVX-512"
         : units.avx2_vnni   ? "AVX2 VNNI"
         : units.avx2        ? "AVX2"
                             : "baseline";
}

}  // namespace detent
