// Models as C: compiled by what is here, every code of every layer is Detent's, or that of TFLite's rules in fixed
// point.
#include "detent/interchange/c/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "detent/kernels/codes/lookup.h"
#include "tests/interchange/c_program.h"
#include "tests/places.h"
#include "tests/runtime/against_reference.h"
#include "tests/runtime/random_model.h"

namespace detent::interchange::c::c_export_test {
namespace {

using runtime::Model;
using runtime::PoolKind;
using runtime::ValueId;
using runtime::test::inputs_of;
using runtime::test::ModelBuilder;
using test::kFlags;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Every operation of codes; those that fixed point has not only `with_groups`.
Model every_operation(std::uint64_t seed, bool with_groups) {
  ModelBuilder b(seed);
  const ValueId x = b.quantize(b.input({11, 13, 3}), seed % 2 == 0 ? 8 : 6);
  const ValueId first = b.conv(x, {.o = 16, .kh = 3, .kw = 3, .padding = 1}, true);
  const ValueId grouped = b.conv(first, {.o = 16, .kh = 3, .kw = 3, .padding = 1, .groups = 4}, false, true, false);
  const ValueId depthwise =
      b.conv(first, {.o = 32, .kh = 5, .kw = 3, .padding = {4, 1}, .dilation_h = 2, .groups = 16}, seed % 3 == 0);
  const ValueId pointwise = b.conv(depthwise, {.o = 16, .kh = 1, .kw = 1}, false, seed % 2 == 0);
  const ValueId residual = b.sum(grouped, pointwise, seed % 2 == 1);
  const ValueId pooled = b.max_pool(b.conv(residual, {.o = 19, .kh = 3, .kw = 3, .padding = 1}, true));
  const ValueId strided =
      b.conv(first, {.o = 7, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 2, .padding = 0}, true, false);
  const ValueId other = b.pool(strided, PoolKind::Max, {.kh = 2, .kw = 3, .padding = 1});
  const ValueId shrunk = b.pool(other, PoolKind::Average, {.kh = 2, .kw = 1});
  const ValueId joined = b.concat({pooled, shrunk, b.lookup(pooled, true)});
  const ValueId table = b.lookup(joined, false);
  const ValueId averaged = b.pool(table, PoolKind::Average, {.kh = 3, .kw = 3, .padding = 1});
  const ValueId fourbit = b.conv(averaged, {.o = 8, .kh = 2, .kw = 2, .dilation_w = 2}, false, true, true, 4);
  const ValueId twobit = b.conv(fourbit, {.o = 9, .kh = 2, .kw = 1}, true, true, true, 2);
  ValueId hidden = b.linear(b.flatten(twobit), 37, true);
  if (with_groups) {
    const ValueId image = b.conv(pooled, {.o = 5, .kh = 2, .kw = 3, .padding = 1}, true, true, true, 4, {}, 6);
    const ValueId flat = b.flatten(image);
    hidden = b.concat({hidden, b.conv(flat, {.o = 11, .kh = 1, .kw = 1}, false, false, true, 8, {}, 16)});
  }
  b.dequantize(b.softmax(b.linear(hidden, 10)));
  return b.model;
}

/// Exports the model, compiles it, and compares 5 examples.
void expect_same_codes(const Model& model, Requantize requantize, const std::string& compiler, std::uint64_t seed) {
  const TempFolder folder;
  const Export made =
      export_c(model, {.name = "net", .title = "a test", .requantize = requantize}, drawn_examples(model, 2, seed));
  const std::vector<Tensor> examples = inputs_of(model, 5, seed);
  const std::string given = test::output_of(folder, model, made, compiler, examples);
  const std::string what = compiler + ", seed " + std::to_string(seed);
  EXPECT_GT(test::expect_codes(given, model, requantize, examples, what), 5 * 10000) << what;
}

class CExport : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!test::works("cc")) {
      GTEST_SKIP() << "there is no C compiler cc";
    }
  }
};

TEST_P(CExport, GivesDetentsCodes) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  expect_same_codes(every_operation(seed, true), Requantize::F32, std::string("cc -O2 ") + kFlags, seed);
}

TEST_P(CExport, GivesTheCodesOfFixedPoint) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  expect_same_codes(every_operation(seed, false), Requantize::Fixed, std::string("cc -O2 ") + kFlags, seed);
}

INSTANTIATE_TEST_SUITE_P(Seeds, CExport, testing::Range(0, 4));

/// Other compilers, other machines' arithmetic, and the sanitizers.
class CCompilers : public testing::TestWithParam<const char*> {};

TEST_P(CCompilers, GiveTheSameCodes) {
  const std::string compiler = GetParam();
  if (!test::works(compiler)) {
    GTEST_SKIP() << compiler << ": makes no programs here";
  }
  expect_same_codes(every_operation(1, true), Requantize::F32, compiler + " " + kFlags, 1);
  expect_same_codes(every_operation(2, false), Requantize::Fixed, compiler + " " + kFlags, 2);
}

INSTANTIATE_TEST_SUITE_P(All, CCompilers,
                         testing::Values("gcc -O3", "gcc -O0 -Wdouble-promotion -Wshadow", "clang -O2", "gcc -m32 -O2",
                                         "gcc -O1 -fsanitize=address,undefined -fno-sanitize-recover=all",
                                         "clang -O1 -fsanitize=undefined -fno-sanitize-recover=all"));

TEST(CArithmetic, NeitherJoinsOperationsNorKeepsDigits) {
  // In GNU's own dialects GCC makes one operation of a product and a sum, and keeps the digits of the x87.
  for (const std::string compiler : {"gcc -O3 -mfma -ffp-contract=fast -std=gnu99",
                                     "gcc -m32 -mfpmath=387 -O2 -std=gnu99", "clang -O3 -mfma -std=gnu99"}) {
    if (test::works(compiler)) {
      expect_same_codes(every_operation(3, true), Requantize::F32, compiler, 3);
    }
  }
}

/// A stand-in for Arm's header, so that the dual multiply-accumulate runs anywhere.
constexpr const char* kArmAcle = R"(#include <stdint.h>
static inline uint32_t __uxtb16(uint32_t x) { return x & 0x00ff00ffU; }
static inline int32_t __sxtb16(int32_t x) {
  const uint32_t low = (uint32_t)(int32_t)(int8_t)(x & 255) & 0xffffU;
  const uint32_t high = (uint32_t)(int32_t)(int8_t)((uint32_t)x >> 16 & 255) << 16;
  return (int32_t)(low | high);
}
static inline int32_t __smlad(int32_t a, int32_t b, int32_t sum) {
  return (int16_t)(a & 0xffff) * (int16_t)(b & 0xffff) + (a >> 16) * (b >> 16) + sum;
}
)";

TEST(CArithmetic, DualMultiplyAccumulateGivesTheSameSums) {
  const TempFolder folder;
  write_text(folder / "arm_acle.h", kArmAcle);
  const std::string compiler = "cc -O2 -std=c99 -DNET_DUAL_MAC=1 -I '" + folder.path().string() + "'";
  if (!test::works(compiler)) {
    GTEST_SKIP() << "there is no C compiler cc";
  }
  const Model model = every_operation(5, true);
  const std::vector<Tensor> examples = inputs_of(model, 3, 5);
  const Export made = export_c(model, {.name = "net"}, drawn_examples(model, 2));
  ASSERT_THAT(made.source, HasSubstr("__smlad("));
  const std::string given = test::output_of(folder, model, made, compiler, examples);
  test::expect_codes(given, model, Requantize::F32, examples, compiler);
}

/// A core of QEMU's boards: with float and dual multiply-accumulate units, and without.
struct Core {
  std::string board, flags;
};

TEST(CCortexM, GivesTheSameCodes) {
  const TempFolder folder;
  if (test::shell("arm-none-eabi-gcc --version && qemu-system-arm --version", folder / "messages") != 0) {
    GTEST_SKIP() << "there is no arm-none-eabi-gcc, or no qemu-system-arm";
  }
  const std::string bench = source_path("bench/cortex_m/");
  for (const Core& core : {Core{"mps2-an386", "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"},
                           Core{"mps2-an385", "-mcpu=cortex-m3 -mthumb"}}) {
    for (const Requantize requantize : {Requantize::F32, Requantize::Fixed}) {
      const Model model = every_operation(7, requantize == Requantize::F32);
      const Export made = export_c(model, {.name = "net", .requantize = requantize}, drawn_examples(model, 2));
      test::write_sources(made, folder.path(), "net");
      const std::string command =
          "cd '" + folder.path().string() + "' && arm-none-eabi-gcc " + core.flags + " -O2 -ffreestanding -nostdlib " +
          "-fno-tree-loop-distribute-patterns -DNAME=net -DNET_NO_MAIN -I . net.c net_test.c '" + bench +
          "board.c' -T '" + bench + "board.ld' -lgcc -o net.elf && timeout 120 qemu-system-arm -M " + core.board +
          " -nographic -monitor none -serial none -icount shift=0 -semihosting-config enable=on,target=native " +
          "-kernel net.elf < /dev/null";
      EXPECT_EQ(test::shell(command, folder / "messages"), 0) << core.board << "\n" << read_text(folder / "messages");
      EXPECT_THAT(read_text(folder / "messages"), HasSubstr("differing 0 instructions ")) << core.board;
    }
  }
}

TEST(CFixedPoint, SoftmaxDividesAsFloatsDo) {
  for (const float scale : {0.0005F, 0.02F, 0.3F}) {
    ModelBuilder b(6);
    const ValueId x = b.add(runtime::Quantize{}, {b.input({7, 30})}, b.codes({7, 30}, scale));
    b.dequantize(b.softmax(x));
    const std::vector<Tensor> examples = drawn_examples(b.model, 200);
    for (const Requantize requantize : {Requantize::F32, Requantize::Fixed}) {
      const TempFolder folder;
      const Export made = export_c(b.model, {.name = "net", .requantize = requantize}, examples);
      const std::string compiler = std::string("cc -O1 ") + kFlags;
      if (!test::works(compiler)) {
        GTEST_SKIP() << "there is no C compiler cc";
      }
      test::expect_codes(test::output_of(folder, b.model, made, compiler, examples), b.model, requantize, examples,
                         "scale " + std::to_string(scale));
    }
  }
}

TEST(CFixedPoint, TablesOfKnownFunctionsAreTheTargets) {
  ModelBuilder b(2);
  const auto codes = [](float scale, std::int32_t zero_point) {
    return runtime::ValueType{
        .shape = {256},
        .dtype = DType::U8,
        .qparams = std::make_shared<const QParams>(QParams::per_tensor({scale, zero_point}, unsigned_codes(8)))};
  };
  const auto relu = [](double x) { return std::max(x, 0.0); };
  const kernels::CodeTable table = kernels::make_code_table(relu, {1.0F, 10}, {2.0F, 5}, unsigned_codes(8));
  const ValueId x = b.add(runtime::Quantize{}, {b.input({256})}, codes(1.0F, 10));
  b.dequantize(b.add(runtime::Lookup{Tensor::from(std::vector<std::uint8_t>(table.begin(), table.end()), {256})}, {x},
                     codes(2.0F, 5)));
  std::vector<float> all;
  for (int q = 0; q < 256; ++q) {
    all.push_back(static_cast<float>(q - 10) + (q % 3 == 0 ? 0.5F : 0.0F));  // and ties
  }
  const std::vector<Tensor> examples{Tensor::from(all, {1, 256})};
  for (const Requantize requantize : {Requantize::F32, Requantize::Fixed}) {
    const TempFolder folder;
    const Export made = export_c(b.model, {.name = "net", .requantize = requantize}, examples);
    if (!test::works("cc")) {
      GTEST_SKIP() << "there is no C compiler cc";
    }
    test::expect_codes(test::output_of(folder, b.model, made, std::string("cc ") + kFlags, examples), b.model,
                       requantize, examples, "ReLU");
  }
}

TEST(CExportText, SaysWhatItTakes) {
  ModelBuilder b(1);
  b.dequantize(b.linear(b.linear(b.quantize(b.input({8})), 6, true), 4));
  const Export made = export_c(b.model, {.name = "tiny", .title = "one */ two"}, drawn_examples(b.model, 3));
  // Codes of 8, 6 and 4 values: the last lie where the first did.
  EXPECT_EQ(made.arena_bytes, 14);
  EXPECT_EQ(made.products, 8 * 6 + 6 * 4);
  EXPECT_EQ(made.examples, 3);
  EXPECT_THAT(made.header, AllOf(HasSubstr("#define TINY_ARENA_BYTES 14\n"), HasSubstr("one _/ two"),
                                 HasSubstr("void tiny_run_in(tiny_arena *arena, const float *input, float *output);"),
                                 HasSubstr("void tiny_run(const float *input, float *output);"),
                                 Not(HasSubstr("pixels")), Not(HasSubstr("@"))));
  EXPECT_THAT(made.source, AllOf(Not(HasSubstr("@")), Not(HasSubstr("convolve")), Not(HasSubstr("malloc")),
                                 HasSubstr("multiply(&layer_product1, dot_8, input, 1, arena->bytes + 8);")));
  EXPECT_THAT(made.self_test, AllOf(HasSubstr("#define TINY_EXAMPLES 3"), Not(HasSubstr("@"))));
}

TEST(CExportText, NamesOfLayersAreMadeIdentifiers) {
  ModelBuilder b(1);
  b.dequantize(b.linear(b.linear(b.linear(b.quantize(b.input({8})), 6), 5), 4));
  b.model.nodes[1].name = "a/b";
  b.model.nodes[2].name = "a.b";
  b.model.nodes[3].name = "*/ int x; /*";
  const Export made = export_c(b.model, {.name = "model_MODEL_"}, drawn_examples(b.model, 1));
  EXPECT_THAT(made.source,
              AllOf(HasSubstr("static const product layer_a_b = {"), HasSubstr("static const product layer_a_b_2 = {"),
                    HasSubstr("static const product layer____int_x____ = {"), Not(HasSubstr("*/ int"))));
  const TempFolder folder;
  const std::vector<Tensor> examples = inputs_of(b.model, 1, 1);
  test::write_sources(made, folder.path(), "model_MODEL_");
  if (test::works("cc")) {
    EXPECT_EQ(test::shell("cd '" + folder.path().string() + "' && cc " + kFlags +
                              " model_MODEL_.c model_MODEL__test.c -o it && ./it",
                          folder / "messages"),
              0)
        << read_text(folder / "messages");
    EXPECT_EQ(read_text(folder / "messages"), "model_MODEL_: 0 of 4 codes of 1 examples differ\n");
  }
}

TEST(CExportInputs, MayBeSeveral) {
  if (!test::works("cc")) {
    GTEST_SKIP() << "there is no C compiler cc";
  }
  for (const Requantize requantize : {Requantize::F32, Requantize::Fixed}) {
    ModelBuilder b(3);
    const ValueId image = b.input({4, 5, 3}), other = b.input({4, 5, 3});
    const ValueId twice = b.sum(b.quantize(image), b.quantize(image, 4));
    b.dequantize(b.linear(b.flatten(b.concat({twice, b.quantize(other)})), 5));
    const std::vector<Tensor> examples = inputs_of(b.model, 9, 4);
    const Export made = export_c(b.model, {.name = "net", .requantize = requantize}, drawn_examples(b.model, 3));
    EXPECT_THAT(made.header,
                HasSubstr("void net_run(const float *input_input0, const float *input_input1, float *out"));
    const TempFolder folder;
    const std::string given = test::output_of(folder, b.model, made, std::string("cc ") + kFlags, examples);
    test::expect_codes(given, b.model, requantize, examples, "two inputs");
  }
}

TEST(CExportInputs, AndOutputsMayBeCodes) {
  for (const Requantize requantize : {Requantize::F32, Requantize::Fixed}) {
    ModelBuilder b(3);
    b.model.inputs.push_back({"codes", b.codes({4, 5, 3}, 0.01F)});
    b.linear(b.flatten(b.conv(0, {.o = 4, .kh = 2, .kw = 2})), 5);
    const Export made = export_c(b.model, {.name = "net", .requantize = requantize}, drawn_examples(b.model, 3));
    EXPECT_THAT(made.header, HasSubstr("void net_run(const uint8_t *input, uint8_t *output);"));
    const TempFolder folder;
    test::write_sources(made, folder.path(), "net");
    if (test::works("cc")) {
      const std::string command =
          "cd '" + folder.path().string() + "' && cc " + kFlags + " net.c net_test.c -o it && ./it";
      EXPECT_EQ(test::shell(command, folder / "messages"), 0) << read_text(folder / "messages");
    }
  }
}

/// Bytes of images: p means p / 255, then (x - 0.5) / 0.25.
std::array<float, 256> pixels() {
  std::array<float, 256> values{};
  for (std::size_t p = 0; p < values.size(); ++p) {
    values[p] = (static_cast<float>(p) / 255.0F - 0.5F) / 0.25F;
  }
  return values;
}

TEST(CExportPixels, AreTheCodesOfNormalizedNumbers) {
  for (const Requantize requantize : {Requantize::F32, Requantize::Fixed}) {
    ModelBuilder b(4);
    b.dequantize(b.linear(b.flatten(b.conv(b.quantize(b.input({5, 6, 2})), {.o = 3, .kh = 2, .kw = 2})), 4));
    const Export made =
        export_c(b.model, {.name = "net", .requantize = requantize, .pixels = pixels()}, drawn_examples(b.model, 2));
    const TempFolder folder;
    test::write_sources(made, folder.path(), "net");
    write_text(
        folder / "both.c",
        "#include <string.h>\n#include \"net.h\"\n"
        "int main(void) {\n  static net_arena arena;\n  uint8_t bytes[60];\n  float x[60], y[4], z[4];\n  int i, p;\n"
        "  for (p = 0; p < 256; ++p) {\n    for (i = 0; i < 60; ++i) {\n      bytes[i] = (uint8_t)(p + 7 * i);\n"
        "      x[i] = ((float)bytes[i] / 255.0F - 0.5F) / 0.25F;\n    }\n    net_run(x, y);\n"
        "    net_run_pixels(bytes, z);\n    if (memcmp(y, z, sizeof y) != 0) return 1;\n"
        "    net_run_pixels_in(&arena, bytes, z);\n    if (memcmp(y, z, sizeof y) != 0) return 2;\n  }\n"
        "  return 0;\n}\n");
    if (!test::works("cc")) {
      GTEST_SKIP() << "there is no C compiler cc";
    }
    const std::string at = "cd '" + folder.path().string() + "' && cc " + kFlags;
    EXPECT_EQ(test::shell(at + " net.c both.c -o both && ./both", folder / "messages"), 0)
        << read_text(folder / "messages");
    // Without what one may leave out.
    EXPECT_EQ(
        test::shell(at + " -DNET_NO_FLOAT -DNET_NO_STATIC_ARENA net.c net_test.c -o it && ./it", folder / "messages"),
        0)
        << read_text(folder / "messages");
  }
}

}  // namespace
}  // namespace detent::interchange::c::c_export_test
