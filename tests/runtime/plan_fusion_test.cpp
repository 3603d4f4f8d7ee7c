// What a plan does in one step, against the reference executor, node by node.

#include <gtest/gtest.h>

#include "tests/runtime/against_reference.h"

namespace detent::runtime::plan_fusion_test {
namespace {

using test::expect_reference;
using test::ModelBuilder;

TEST(Plan, FusesAMaxPoolWithoutATrace) {
  for (const std::int64_t batch : {1, 3, 17, 40}) {
    ModelBuilder b(7);
    const ValueId x = b.conv(b.quantize(b.input({9, 11, 3})), {.o = 24, .kh = 3, .kw = 3}, true);
    b.linear(b.flatten(b.max_pool(x)), 6);
    expect_reference(b.model, batch, 7);
    // Read twice, it is not fused.
    ModelBuilder twice(8);
    const ValueId y = twice.conv(twice.quantize(twice.input({9, 11, 3})), {.o = 24, .kh = 3, .kw = 3}, true);
    twice.concat({twice.flatten(twice.max_pool(y)), twice.flatten(y)});
    expect_reference(twice.model, batch, 8);
  }
}

TEST(Plan, FusesAResidualSumWithoutATrace) {
  for (const std::int64_t batch : {1, 3, 17, 40}) {
    for (const std::int64_t channels : {16, 20, 64}) {
      const kernels::ConvShape same{.o = channels, .kh = 3, .kw = 3, .padding = 1};
      ModelBuilder b(9);
      const ValueId x = b.conv(b.quantize(b.input({9, 7, 3})), same, true);
      const ValueId y = b.sum(b.conv(b.conv(x, same, true), same), x, true);
      // The shortcut is a product, too, and the sum's first input.
      const ValueId shortcut = b.conv(y, {.o = 50});
      const ValueId z = b.sum(shortcut, b.conv(b.conv(y, same, true), {.o = 50, .kh = 3, .kw = 3, .padding = 1}));
      const ValueId row = b.linear(b.flatten(z), 24);
      b.sum(row, b.linear(row, 24));
      expect_reference(b.model, batch, 9);
      // Read twice, neither term of a sum is fused, nor is one with itself.
      ModelBuilder twice(10);
      const ValueId left = twice.conv(twice.quantize(twice.input({9, 7, 3})), same, true);
      const ValueId right = twice.conv(left, same);
      const ValueId sum = twice.sum(left, right);
      twice.concat({twice.sum(sum, sum), right, twice.sum(right, twice.quantize(twice.dequantize(left)))});
      expect_reference(twice.model, batch, 10);
    }
  }
}

}  // namespace
}  // namespace detent::runtime::plan_fusion_test
