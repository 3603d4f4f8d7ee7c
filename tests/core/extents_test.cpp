#include "detent/core/text/extents.h"

#include <gmock/gmock.h>

namespace detent::extents_test {
namespace {

using testing::ElementsAre;
using testing::Optional;

TEST(Extents, AreNumbersWithAnXBetween) {
  EXPECT_THAT(extents_from("56x48x3"), Optional(ElementsAre(56, 48, 3)));
  EXPECT_THAT(extents_from("7"), Optional(ElementsAre(7)));
  EXPECT_THAT(extents_from("65536x1"), Optional(ElementsAre(65536, 1)));
  for (const char* const text : {"", "x", "56x", "x56", "56x0", "56x-1", "65537", "5 6", "56x56 ", "56X56", "1e2",
                                 "2.5", "99999999999999999999"}) {
    EXPECT_EQ(extents_from(text), std::nullopt) << text;
  }
}

TEST(Extents, ImagesHaveOneChannelOrSoMany) {
  EXPECT_EQ(image_shape_from("28x20"), (Shape{28, 20, 1}));
  EXPECT_EQ(image_shape_from("32x24x3"), (Shape{32, 24, 3}));
  EXPECT_EQ(image_shape_from("28"), std::nullopt);
  EXPECT_EQ(image_shape_from("1x28x28x1"), std::nullopt);
  EXPECT_EQ(image_shape_from("28x"), std::nullopt);
}

}  // namespace
}  // namespace detent::extents_test
