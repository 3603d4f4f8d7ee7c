#include "detent/optim/plateau.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/error_of.h"

namespace detent::optim::plateau_test {
namespace {

struct Fed {
  double value;
  double multiplier;  // after it
  std::int64_t waited;
};

void expect_sequence(Plateau plateau, const std::vector<Fed>& sequence) {
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    plateau.feed(sequence[i].value);
    EXPECT_EQ(plateau.multiplier(), sequence[i].multiplier) << "value " << i;
    EXPECT_EQ(plateau.state().waited, sequence[i].waited) << "value " << i;
  }
}

TEST(Plateau, LowersAfterMoreThanPatienceEpochsWithoutGain) {
  expect_sequence(Plateau({.factor = 0.5, .patience = 1}), {{2.0, 1.0, 0},
                                                            {1.0, 1.0, 0},
                                                            {1.0, 1.0, 1},
                                                            {0.99995, 0.5, 0},  // less than the threshold below
                                                            {1.5, 0.5, 1},
                                                            {0.9, 0.5, 0},
                                                            {0.9, 0.5, 1},
                                                            {0.9, 0.25, 0}});
}

TEST(Plateau, WithoutPatienceLowersAtOnceAndNumbersMayBeNegative) {
  expect_sequence(Plateau({.factor = 0.1, .patience = 0, .threshold = 0.0}),
                  {{-0.5, 1.0, 0}, {-0.6, 1.0, 0}, {-0.55, 0.1, 0}, {-0.61, 0.1, 0}});
}

TEST(Plateau, WhatIsNotFiniteIsNoGain) {
  const double infinite = std::numeric_limits<double>::infinity();
  expect_sequence(Plateau({.factor = 0.5, .patience = 1}),
                  {{infinite, 1.0, 1}, {infinite, 0.5, 0}, {3.0, 0.5, 0}, {std::nan(""), 0.5, 1}});
}

TEST(Plateau, GoesOnFromItsState) {
  Plateau first({.factor = 0.5, .patience = 1});
  for (const double value : {1.0, 2.0}) {
    first.feed(value);
  }
  Plateau second({.factor = 0.5, .patience = 1}, first.state());
  second.feed(2.0);
  EXPECT_EQ(second.multiplier(), 0.5);
}

TEST(Plateau, RefusesOptionsOutOfBounds) {
  EXPECT_EQ(error_of([] { Plateau({.factor = 0.0}); }), "plateau: factor: expected a number above 0, got 0");
  EXPECT_EQ(error_of([] { Plateau({.patience = -1}); }), "plateau: patience: expected at least 0, got -1");
  EXPECT_EQ(error_of([] { Plateau({.threshold = -1.0}); }),
            "plateau: threshold: expected a number of at least 0, got -1");
}

}  // namespace
}  // namespace detent::optim::plateau_test
