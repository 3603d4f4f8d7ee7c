// Plans of products of few bits against the reference executor: what counts bits where that is faster.

#include <gtest/gtest.h>

#include "detent/runtime/model_file.h"
#include "tests/runtime/against_reference.h"
#include "tests/runtime/random_model.h"

namespace detent::runtime::few_bits_test {
namespace {

using test::expect_reference;
using test::ModelBuilder;

/// A value of `bits` bits of any map, most of whose codes occur.
ValueId few_bits(ModelBuilder& b, ValueId x, int bits) {
  return b.add(Quantize{}, {x}, b.codes(b.type(x).shape, 1.6F / static_cast<float>(1 << bits), bits));
}

/// Makes the weights of the last node -1 and 1 alone.
void make_signs(Model& model) {
  for (std::int8_t& code : std::get<Product>(model.nodes.back().op).weight.data<std::int8_t>()) {
    code = static_cast<std::int8_t>(code < 0 ? -1 : 1);
  }
}

struct ProductCase {
  const char* name;
  Shape example;
  kernels::ConvShape shape;
};

TEST(PlanOfFewBits, GivesTheCodesOfEveryKindOfProduct) {
  const ProductCase cases[] = {
      {"linear", {256}, {.o = 33}},
      {"odd linear", {131}, {.o = 70}},
      {"pointwise", {5, 4, 64}, {.o = 20}},
      {"convolution", {9, 8, 32}, {.o = 48, .kh = 3, .kw = 3}},
      {"padded", {6, 7, 16}, {.o = 12, .kh = 5, .kw = 5, .padding = {2, 1, 0, 3}}},
      {"strided", {9, 8, 24}, {.o = 17, .kh = 3, .kw = 2, .stride_h = 2, .stride_w = 3}},
      {"grouped", {6, 6, 32}, {.o = 8, .kh = 3, .kw = 3, .groups = 2}},
      {"dilated", {9, 9, 32}, {.o = 8, .kh = 3, .kw = 3, .padding = 2, .dilation_h = 2, .dilation_w = 2}},
  };
  std::uint64_t seed = 0;
  for (const ProductCase& c : cases) {
    for (const int bits : {1, 2, 3}) {
      for (const bool signs : {true, false}) {
        SCOPED_TRACE(c.name);
        ++seed;
        ModelBuilder b(seed);
        const ValueId x = few_bits(b, b.input(c.example), bits);
        const ValueId y = b.conv(x, c.shape, seed % 2 == 0, seed % 3 != 0, seed % 5 != 0, 2);
        if (signs) {
          make_signs(b.model);
        }
        expect_reference(b.model, seed % 2 == 0 ? 3 : 17, seed);
        if (b.type(y).shape.rank() == 3 && b.type(y).shape[0] >= 2 && b.type(y).shape[1] >= 2) {
          b.max_pool(y);
          expect_reference(b.model, 3, seed);
        }
      }
    }
  }
}

TEST(PlanOfFewBits, AddsWhatStandsBeside) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    ModelBuilder b(seed);
    const ValueId x = few_bits(b, b.input({8, 9, 32}), seed % 2 == 0 ? 1 : 2);
    const ValueId y = b.conv(x, {.o = 32, .kh = 3, .kw = 3, .padding = 1}, false, true, true, 2);
    if (seed % 3 != 0) {
      make_signs(b.model);
    }
    b.sum(y, x, seed % 2 == 1);
    expect_reference(b.model, 5, seed);
  }
}

TEST(PlanOfFewBits, OfAModelFromAFileIsTheSame) {
  ModelBuilder b(4);
  b.conv(few_bits(b, b.input({6, 6, 32}), 1), {.o = 8, .kh = 3, .kw = 3}, true, true, true, 2);
  make_signs(b.model);
  const Model read = from_file(to_file({.model = b.model})).model;
  const std::vector<Tensor> inputs = test::inputs_of(b.model, 9, 1);
  test::expect_same(test::run_plan(read, inputs), test::run_plan(b.model, inputs), "read back");
}

}  // namespace
}  // namespace detent::runtime::few_bits_test
