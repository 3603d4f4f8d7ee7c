// Models as C whose layers take and give numbers, f32: all that is no sum of f32 has Detent's bits, and such sums are
// the same everywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "detent/interchange/c/export.h"
#include "tests/interchange/c_program.h"
#include "tests/places.h"
#include "tests/runtime/against_reference.h"
#include "tests/runtime/random_model.h"

namespace detent::interchange::c::c_numbers_test {
namespace {

using kernels::Activation;
using runtime::Model;
using runtime::PoolKind;
using runtime::ValueId;
using runtime::test::inputs_of;
using runtime::test::ModelBuilder;
using test::kFlags;
using testing::HasSubstr;

/// The signs alone: weights of 1 bit.
void make_signs(Model& model) {
  auto& product = std::get<runtime::HybridProduct>(model.nodes.back().op);
  Tensor codes = product.weight.clone();
  for (std::int8_t& code : codes.data<std::int8_t>()) {
    code = static_cast<std::int8_t>(code < 0 ? -1 : 1);
  }
  product.weight = codes.with_qparams(product.weight.qparams());
}

/// Dynamic products of every form, and every operation of numbers that adds in Detent's order.
Model dynamic_model(std::uint64_t seed) {
  ModelBuilder b(seed);
  const ValueId x = b.input({9, 8, 6});
  const CodeRange eight = unsigned_codes(8);
  const ValueId first = b.hybrid(x, {.o = 12, .kh = 3, .kw = 3, .padding = 1}, eight, true);
  const ValueId grouped =
      b.hybrid(first, {.o = 9, .kh = 3, .kw = 2, .padding = {1, 1}, .groups = 3}, unsigned_codes(6), false, 4, 3);
  const ValueId depthwise = b.hybrid(b.activation(first, Activation::HardSwish),
                                     {.o = 12, .kh = 3, .kw = 3, .stride_h = 2, .padding = 1, .groups = 12}, eight);
  const ValueId pointwise = b.hybrid(b.batch_norm(first), {.o = 12, .kh = 1, .kw = 1}, eight, true, 2);
  const ValueId sum = b.sum(b.activation(first, Activation::LeakyRelu), pointwise, seed % 2 == 0);
  const ValueId joined = b.concat({b.activation(sum, Activation::Relu6), b.activation(sum, Activation::Sign)});
  const ValueId pooled = b.max_pool(joined);
  const ValueId averaged = b.pool(grouped, PoolKind::Average, {.kh = 3, .kw = 3, .stride_h = 2, .padding = 1});
  const ValueId flat = b.concat({b.flatten(pooled), b.flatten(averaged), b.flatten(depthwise)});
  const ValueId hidden =
      b.hybrid(b.activation(flat, Activation::Relu), {.o = 21, .kh = 1, .kw = 1}, eight, true, 8, 50);
  b.hybrid(hidden, {.o = 8, .kh = 1, .kw = 1}, unsigned_codes(4), true, 2);
  make_signs(b.model);
  b.hybrid(b.model.output, {.o = 7, .kh = 1, .kw = 1}, eight);
  return b.model;
}

/// Sums of f32, of weights that are codes or numbers.
Model model_of_sums(std::uint64_t seed) {
  ModelBuilder b(seed);
  const ValueId x = b.input({7, 9, 5});
  const ValueId first = b.conv(x, {.o = 8, .kh = 3, .kw = 3, .padding = 1}, true);
  const ValueId eight = b.hybrid(first, {.o = 8, .kh = 3, .kw = 3, .padding = 1, .groups = 2}, {}, true, 8, 3);
  const ValueId residual = b.conv(eight, {.o = 8, .kh = 1, .kw = 1}, seed % 2 == 0, seed % 3 == 0, true, 8, {first});
  const ValueId four = b.hybrid(residual, {.o = 6, .kh = 2, .kw = 2, .stride_w = 2}, {}, false, 4);
  const ValueId flat = b.flatten(b.max_pool(four));
  const ValueId hidden = b.hybrid(flat, {.o = 67, .kh = 1, .kw = 1}, {}, true, 2, 7);
  b.hybrid(hidden, {.o = 33, .kh = 1, .kw = 1}, {}, true, 2);
  make_signs(b.model);
  b.linear(b.model.output, 5);
  return b.model;
}

/// What takes numbers of bf16: with weights of bf16, or of codes.
Model bf16_model(std::uint64_t seed) {
  ModelBuilder b(seed);
  const ValueId first = b.conv(b.input({6, 7, 3}), {.o = 8, .kh = 3, .kw = 3, .padding = 1}, true);
  auto& product = std::get<runtime::Product>(b.model.nodes.back().op);
  product.weight = product.weight.to(DType::BF16);
  const ValueId second = b.hybrid(first, {.o = 5, .kh = 2, .kw = 2, .stride_h = 2}, {}, true, 4);
  std::get<runtime::HybridProduct>(b.model.nodes.back().op).input = DType::BF16;
  b.linear(b.flatten(second), 6);
  auto& last = std::get<runtime::Product>(b.model.nodes.back().op);
  last.weight = last.weight.to(DType::BF16);
  return b.model;
}

/// Codes and numbers by turns: an input that is both, and numbers that become codes again.
Model mixed_model(std::uint64_t seed) {
  ModelBuilder b(seed);
  const ValueId x = b.input({8, 8, 3});
  const ValueId codes = b.conv(b.quantize(x), {.o = 5, .kh = 3, .kw = 3, .padding = 1}, true);
  const ValueId numbers = b.conv(x, {.o = 5, .kh = 3, .kw = 3, .padding = 1}, true);
  const ValueId sum = b.sum(b.dequantize(codes), numbers);
  const ValueId again = b.conv(b.quantize(sum), {.o = 4, .kh = 2, .kw = 2}, false, true, true, 4);
  const ValueId hidden = b.linear(b.flatten(b.max_pool(again)), 20, true);
  const ValueId back = b.dequantize(hidden);
  b.sum(b.hybrid(back, {.o = 20, .kh = 1, .kw = 1}, unsigned_codes(8)), back);
  return b.model;
}

/// A form of models.
struct Form {
  const char* name;
  Agreement agreement;
  Model (*make)(std::uint64_t seed);
};
const Form kForms[] = {{"Dynamic", Agreement::Exact, dynamic_model},
                       {"Sums", Agreement::Sums, model_of_sums},
                       {"Mixed", Agreement::Rounded, mixed_model},
                       {"Bf16", Agreement::Rounded, bf16_model}};

/// What the model gives in C, compared with Detent.
std::string checked_output(const Form& form, std::uint64_t seed, const std::string& compiler) {
  const TempFolder folder;
  const Model model = form.make(seed);
  EXPECT_EQ(make_program(model, Requantize::F32).agreement, form.agreement);
  const Export made = export_c(model, {.name = "net"}, drawn_examples(model, 3));
  const std::vector<Tensor> examples = inputs_of(model, 5, seed);
  std::string given = test::output_of(folder, model, made, compiler, examples);
  EXPECT_GT(test::expect_codes(given, model, Requantize::F32, examples, compiler + ", seed " + std::to_string(seed)),
            500);
  return given;
}

class CNumbers : public testing::TestWithParam<Form> {};

TEST_P(CNumbers, AreDetents) {
  const std::string compiler = std::string("cc -O2 ") + kFlags;
  if (!test::works(compiler)) {
    GTEST_SKIP() << "there is no C compiler cc";
  }
  for (const std::uint64_t seed : {0, 1}) {
    checked_output(GetParam(), seed, compiler);
  }
}

class CNumbersSlow : public testing::TestWithParam<Form> {};

TEST_P(CNumbersSlow, HaveTheSameBitsByEveryCompiler) {
  std::string first;
  for (const std::string compiler : {"gcc -O3", "gcc -O0 -Wdouble-promotion -Wshadow", "clang -O2", "gcc -m32 -O2",
                                     "gcc -O1 -fsanitize=address,undefined -fno-sanitize-recover=all",
                                     "clang -O1 -fsanitize=undefined -fno-sanitize-recover=all"}) {
    if (test::works(compiler)) {
      const std::string given = checked_output(GetParam(), 1, compiler + " " + kFlags);
      EXPECT_TRUE(first.empty() || given == first) << compiler;
      first = given;
    }
  }
  // In GNU's own dialects GCC makes one operation of a product and a sum, and keeps the digits of the x87.
  for (const std::string compiler : {"gcc -O3 -mfma -ffp-contract=fast -std=gnu99",
                                     "gcc -m32 -mfpmath=387 -O2 -std=gnu99", "clang -O3 -mfma -std=gnu99"}) {
    if (test::works(compiler)) {
      EXPECT_TRUE(checked_output(GetParam(), 1, compiler) == first) << compiler;
    }
  }
}

std::string name_of(const testing::TestParamInfo<Form>& form) { return form.param.name; }
INSTANTIATE_TEST_SUITE_P(All, CNumbers, testing::ValuesIn(kForms), name_of);
INSTANTIATE_TEST_SUITE_P(All, CNumbersSlow, testing::ValuesIn(kForms), name_of);

TEST(CDynamic, TakesAnyNumbers) {
  const std::string compiler = std::string("cc -O1 ") + kFlags;
  if (!test::works(compiler)) {
    GTEST_SKIP() << "there is no C compiler cc";
  }
  ModelBuilder b(3);
  b.hybrid(b.input({6}), {.o = 5, .kh = 1, .kw = 1}, unsigned_codes(8), true);
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN(), kEndless = std::numeric_limits<float>::infinity();
  constexpr float kLargest = std::numeric_limits<float>::max();
  const std::vector<float> rows = {
      0,        0,         0,        0,         0,         0,         //
      -0.0F,    -1,        -2,       -3,        -4,        -5,        // no positive number
      1,        kNone,     kEndless, 2,         -kEndless, 0.5F,      // some that do not count
      kNone,    kNone,     kEndless, -kEndless, kNone,     kEndless,  // none that counts
      1e-30F,   0,         -1e-32F,  1e-40F,    0,         2e-30F,    // the smallest scale
      kLargest, -kLargest, 0,        1,         kLargest,  -1};       // more than the largest range
  const std::vector<Tensor> examples{Tensor::from(rows, {6, 6})};
  const TempFolder folder;
  const Export made = export_c(b.model, {.name = "net"}, drawn_examples(b.model, 2));
  test::expect_codes(test::output_of(folder, b.model, made, compiler, examples), b.model, Requantize::F32, examples,
                     "dynamic");
}

TEST(CNumbersText, SaysHowResultsStandToDetents) {
  const auto header_of = [](const Form& form) {
    const Model model = form.make(1);
    return export_c(model, {.name = "net"}, drawn_examples(model, 1)).header;
  };
  EXPECT_THAT(header_of(kForms[0]), HasSubstr("the results are the same bit for bit."));
  EXPECT_THAT(header_of(kForms[1]), HasSubstr("results are Detent's but for the\n * last bits.\n"));
  EXPECT_THAT(header_of(kForms[2]), HasSubstr("for a step where these decide which code"));
  EXPECT_THAT(header_of(kForms[2]), HasSubstr("void net_run_layers(net_arena *arena, const float *input, const "
                                              "uint8_t *codes_quantize0, float *output);"));
}

TEST(CNumbersText, ArenasAreOfWholeNumbers) {
  ModelBuilder b(1);
  b.linear(
      b.hybrid(b.hybrid(b.input({3}), {.o = 5, .kh = 1, .kw = 1}, unsigned_codes(8)), {.o = 2, .kh = 1, .kw = 1}, {}),
      4);
  const Export made = export_c(b.model, {.name = "tiny"}, drawn_examples(b.model, 1));
  // 5 numbers, beside 3 codes of the input while the first layer runs, and 2 numbers behind them: 20 + 8.
  EXPECT_EQ(made.arena_bytes, 28);
  EXPECT_THAT(made.header, HasSubstr("typedef union {\n  uint8_t bytes[TINY_ARENA_BYTES];\n  float "
                                     "numbers[TINY_ARENA_BYTES / 4];\n} tiny_arena;"));
}

/// Breaks what the self-test must notice.
TEST(CNumbersSelfTest, NoticesAnotherWeight) {
  if (!test::works("cc")) {
    GTEST_SKIP() << "there is no C compiler cc";
  }
  for (const Form& form : kForms) {
    const Model model = form.make(2);
    const Export made = export_c(model, {.name = "net"}, drawn_examples(model, 4));
    const TempFolder folder;
    test::write_sources(made, folder.path(), "net");
    const std::string command = "cd '" + folder.path().string() +
                                "' && sed -i '0,/_bias\\[[0-9]*\\] = {/s//&1.0e6F + /' net.c && "
                                "cc -std=c99 net.c net_test.c -o it && ./it";
    EXPECT_NE(test::shell(command, folder / "messages"), 0);
    EXPECT_THAT(read_text(folder / "messages"), HasSubstr(" examples differ by more than "));
  }
}

TEST(CNumbersCortexM, GivesTheSameResults) {
  const TempFolder folder;
  if (test::shell("arm-none-eabi-gcc --version && qemu-system-arm --version", folder / "messages") != 0) {
    GTEST_SKIP() << "there is no arm-none-eabi-gcc, or no qemu-system-arm";
  }
  const std::string bench = source_path("bench/cortex_m/");
  for (const Form& form : kForms) {
    const Model model = form.make(4);
    test::write_sources(export_c(model, {.name = "net"}, drawn_examples(model, 2)), folder.path(), "net");
    const std::string command =
        "cd '" + folder.path().string() +
        "' && arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard "
        "-mfpu=fpv4-sp-d16 -O2 -ffreestanding -nostdlib -fno-tree-loop-distribute-patterns -DNAME=net -DNET_NO_MAIN "
        "-I . net.c net_test.c '" +
        bench + "board.c' -T '" + bench +
        "board.ld' -lgcc -o net.elf && timeout 120 "
        "qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none -icount shift=0 -semihosting-config "
        "enable=on,target=native -kernel net.elf < /dev/null";
    EXPECT_EQ(test::shell(command, folder / "messages"), 0) << read_text(folder / "messages");
    EXPECT_THAT(read_text(folder / "messages"), HasSubstr("differing 0 instructions "));
  }
}

}  // namespace
}  // namespace detent::interchange::c::c_numbers_test
