// The functions of exported C that round, each by itself, at numbers that models hardly ever meet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <sstream>
#include <vector>

#include "detent/core/philox.h"
#include "detent/interchange/c/kernel_texts.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/targets/fixed_point.h"
#include "tests/interchange/c_program.h"

namespace detent::interchange::c::c_rounding_test {
namespace {

/// What a C program of such kernels prints, a number a line, for the lines of `input`.
std::vector<long long> numbers_of(const std::vector<const char*>& kernels, const std::string& main,
                                  const std::string& input) {
  const TempFolder folder;
  std::string source = "#include <float.h>\n#include <stdint.h>\n#include <stdio.h>\n";
  for (const char* const kernel : kernels) {
    source.append(kernel_text(kernel));
  }
  write_text(folder / "it.c", source + "int main(void) {\n" + main + "  return 0;\n}\n");
  write_text(folder / "input", input);
  const std::string command =
      "cd '" + folder.path().string() + "' && cc -std=c99 -O1 it.c -o it && ./it < input > output";
  EXPECT_EQ(test::shell(command, folder / "messages"), 0) << read_text(folder / "messages");
  std::istringstream output(read_text(folder / "output"));
  return {std::istream_iterator<long long>(output), {}};
}

class CRounding : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::works("cc")) {
      GTEST_SKIP() << "there is no C compiler cc";
    }
  }
};

TEST_F(CRounding, MultipliesAsGemmlowp) {
  using Limits = std::numeric_limits<std::int32_t>;
  std::vector<std::int32_t> xs{0, 1, -1, 2, -2, 3, -3, 1 << 20, -(1 << 20), Limits::max(), Limits::min()};
  for (int bit = 1; bit < 31; ++bit) {  // ties of products with 2^30
    xs.insert(xs.end(), {(1 << bit) + 1, -(1 << bit) - 1, 3 << (bit - 1), -3 * (1 << (bit - 1))});
  }
  std::string input;
  std::vector<long long> expected;
  for (const std::int32_t x : xs) {
    for (const std::int32_t mantissa : {0, 1 << 30, (1 << 30) + 1, 1518500250, Limits::max()}) {
      for (int shift = -31; shift <= 33; shift += 4) {
        input += std::to_string(x) + " " + std::to_string(mantissa) + " " + std::to_string(shift) + "\n";
        expected.push_back(kernels::fixed_point::multiply(x, {mantissa, shift}));
      }
    }
  }
  EXPECT_EQ(numbers_of({"rounding_fixed"},
                       "  long x, m, s;\n  (void)clamped_code(0, 0, 0);\n"
                       "  while (scanf(\"%ld %ld %ld\", &x, &m, &s) == 3) {\n"
                       "    printf(\"%ld\\n\", (long)multiplied((int32_t)x, (int32_t)m, (int32_t)s));\n  }\n",
                       input),
            expected);
}

TEST_F(CRounding, SharesAreThoseOfFloats) {
  RandomStream random(1, "shares");
  std::string input;
  std::vector<long long> expected;
  for (int i = 0; i < 20000; ++i) {
    const std::int64_t power = 1 + (random.bits() >> (2 + random.index(20)));  // at most 2^30
    const std::int64_t total =
        std::max(std::int64_t{1} << 30, power) + (std::int64_t{random.bits()} << random.index(9));
    input += std::to_string(power) + " " + std::to_string(total) + "\n";
    const float share = static_cast<float>(power) / static_cast<float>(total);
    expected.push_back(std::llrint(std::ldexp(double{share}, 22)));
  }
  EXPECT_EQ(numbers_of({"softmax_row", "softmax_fixed"},
                       "  long long p, t;\n  (void)softmax;\n"
                       "  while (scanf(\"%lld %lld\", &p, &t) == 2) {\n"
                       "    printf(\"%ld\\n\", (long)share((uint64_t)p, (uint64_t)t, 22));\n  }\n",
                       input),
            expected);
}

TEST_F(CRounding, NearestCodesAreThoseOfQuantize) {
  // Halves around every code, their neighbours, and what is no number.
  std::string input;
  std::vector<long long> expected;
  std::vector<float> xs{std::nanf(""), HUGE_VALF, -HUGE_VALF, 1e30F, -1e30F, -0.0F};
  for (int q = -3; q < 260; ++q) {
    const float half = static_cast<float>(q) + 0.5F;
    xs.insert(xs.end(), {half, std::nextafter(half, -1e9F), std::nextafter(half, 1e9F), static_cast<float>(q)});
  }
  for (const CodeRange codes : {CodeRange{0, 255}, CodeRange{0, 63}, CodeRange{7, 255}, CodeRange{0, 1}}) {
    for (const float x : xs) {
      std::ostringstream line;
      line << std::hexfloat << x << " " << codes.qmin << " " << codes.qmax << "\n";
      input += line.str();
      expected.push_back(quantize(x, {}, codes));
    }
  }
  EXPECT_EQ(numbers_of({"alone", "nearest_code"},
                       "  float x;\n  int low, high;\n  (void)alone(0.0F);\n"
                       "  while (scanf(\"%a %d %d\", &x, &low, &high) == 3) {\n"
                       "    printf(\"%d\\n\", nearest_code(x, low, high));\n  }\n",
                       input),
            expected);
}

}  // namespace
}  // namespace detent::interchange::c::c_rounding_test
