// What has no form in C, and which names sources may have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/interchange/c/export.h"
#include "tests/error_of.h"
#include "tests/interchange/c_program.h"
#include "tests/runtime/random_model.h"

namespace detent::interchange::c::c_refusals_test {
namespace {

using runtime::Model;
using runtime::test::ModelBuilder;
using test::kFlags;
using testing::AllOf;
using testing::HasSubstr;

TEST(CExportErrors, NameEveryLayerWithoutACForm) {
  const Model model = runtime::test::everything(1);
  EXPECT_THAT(error_of([&] { export_c(model, {}, {}); }),
              AllOf(HasSubstr("export: c: 1 layer has no C form: 'activation"),
                    HasSubstr("(gelu of f32 needs exponentials: quantize it, which makes it a table)")));
  EXPECT_THAT(
      error_of([&] { export_c(model, {.requantize = Requantize::Fixed}, {}); }),
      AllOf(HasSubstr("export: c: 5 layers have no C form: "),
            HasSubstr("(numbers in between: export with f32 requantization)"), HasSubstr("'activation"),
            HasSubstr("(a batch norm of f32: quantize it, or export with f32 requantization)"),
            HasSubstr("(a product of f32: quantize it, or"), HasSubstr("(an addition of f32: quantize it, or")));
  ModelBuilder b(1);
  b.dequantize(b.conv(b.quantize(b.input({6, 6, 4})), {.o = 4, .kh = 1, .kw = 1}, false, true, true, 8, {}, 2));
  EXPECT_THAT(error_of([&] { export_c(b.model, {.requantize = Requantize::Fixed}, {}); }),
              HasSubstr("'product1' (a scale a group of weights has no fixed-point form: export with f32"));
}

TEST(CExportErrors, SayWhatWouldHelp) {
  EXPECT_THAT(error_of([] { export_c(runtime::test::everything_in_float(1), {}, {}); }),
              HasSubstr("(a softmax of f32 needs exponentials: quantize it, or end the model before it)"));
  ModelBuilder dynamic(1);
  dynamic.hybrid(dynamic.input({8}), {.o = 4, .kh = 1, .kw = 1}, unsigned_codes(8));
  EXPECT_THAT(
      error_of([&] { export_c(dynamic.model, {.requantize = Requantize::Fixed}, {}); }),
      HasSubstr("1 layer has no C form: 'product0' (a dynamic product of f32: quantize it, or export with f32"));
  ModelBuilder codes(1);
  codes.dequantize(codes.flatten(codes.quantize(codes.input({2, 3, 4}))));
  EXPECT_THAT(error_of([&] { export_c(codes.model, {}, {}); }),
              HasSubstr("expected a model whose output is computed by layers"));
}

TEST(CExportNames, AreRefusedWhereSourcesCouldNotHaveThem) {
  ModelBuilder b(1);
  b.dequantize(b.linear(b.quantize(b.input({8})), 6));
  const std::vector<Tensor> examples = drawn_examples(b.model, 1);
  for (const char* const name : {"", "2nd", "a-b", "a b", "_a"}) {
    EXPECT_THAT(error_of([&] { export_c(b.model, {.name = name}, examples); }),
                HasSubstr(std::string("begins with a letter, got '") + name + "'"));
  }
  for (const std::string name : {"float", "stdint", "string"}) {
    EXPECT_THAT(error_of([&] { export_c(b.model, {.name = name}, examples); }),
                HasSubstr("got '" + name + "', whose " + name + ".h would hide it; write --name " + name + "_model"));
  }
  EXPECT_THAT(error_of([&] { export_c(b.model, {}, {}); }), HasSubstr("expected examples for the self-test"));
}

TEST(CExportNames, MayBeKeywordsAndWhatSourcesCallThings) {
  ModelBuilder b(1);
  b.dequantize(b.linear(b.quantize(b.input({20})), 6));
  b.model.inputs[0].name = "int";
  b.model.nodes[0].name = "return";
  b.model.nodes[1].name = "run";
  for (const std::string name : {"static", "int", "layer", "example"}) {
    const TempFolder folder;
    test::write_sources(export_c(b.model, {.name = name}, drawn_examples(b.model, 2)), folder.path(), name);
    if (test::works("cc")) {
      EXPECT_EQ(test::shell("cd '" + folder.path().string() + "' && cc " + kFlags + " " + name + ".c " + name +
                                "_test.c -o it && ./it",
                            folder / "messages"),
                0)
          << name << ": " << read_text(folder / "messages");
    }
  }
}

}  // namespace
}  // namespace detent::interchange::c::c_refusals_test
