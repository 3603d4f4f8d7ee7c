#include "detent/core/processor/detected.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <array>
#include <cstring>

namespace detent {

std::vector<std::string> names_of(const ProcessorUnits& units) {
  std::vector<std::string> names;
  const auto add = [&](bool is_there, const char* name) {
    if (is_there) {
      names.emplace_back(name);
    }
  };
  add(units.avx2, "avx2");
  add(units.avx2_vnni, "avx2_vnni");
  add(units.avx512, "avx512");
  add(units.avx512_vnni, "avx512_vnni");
  add(units.avx512_popcount, "avx512_popcount");
  add(units.avx512_bf16, "avx512_bf16");
  return names;
}

std::string processor_name() {
  std::string name;
#if defined(__x86_64__)
  // Three leaves of 16 letters, filled up with zeros, or with blanks in front.
  constexpr unsigned kFirst = 0x80000002, kLast = 0x80000004;
  for (unsigned leaf = kFirst; leaf <= kLast; ++leaf) {
    std::array<unsigned, 4> words{};
    if (__get_cpuid(leaf, &words[0], &words[1], &words[2], &words[3]) == 0) {
      return {};
    }
    std::array<char, sizeof words> letters{};
    std::memcpy(letters.data(), words.data(), sizeof words);
    name.append(letters.begin(), letters.end());
  }
  name.resize(std::strlen(name.c_str()));
  name.erase(0, name.find_first_not_of(' '));
#endif
  return name;
}

}  // namespace detent
