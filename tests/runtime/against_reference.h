#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "detent/core/threads/parallel.h"
#include "detent/runtime/plan.h"
#include "detent/runtime/reference.h"
#include "tests/runtime/random_model.h"

/// Plans against the reference executor.
namespace detent::runtime::test {

inline std::vector<Tensor> inputs_of(const Model& model, std::int64_t batch, std::uint64_t seed) {
  std::vector<Tensor> inputs;
  for (const Input& input : model.inputs) {
    inputs.push_back(random_inputs(input.type.shape, batch, seed + inputs.size()));
  }
  return inputs;
}

/// Codes exactly, f32 to `tolerance`, relative above 1.
inline void expect_near(const Tensor& actual, const Tensor& expected, float tolerance, const std::string& what) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  ASSERT_EQ(actual.dtype(), expected.dtype()) << what;
  for (std::size_t i = 0; i < static_cast<std::size_t>(expected.elements()); ++i) {
    if (expected.dtype() == DType::U8) {
      ASSERT_EQ(int{actual.data<std::uint8_t>()[i]}, int{expected.data<std::uint8_t>()[i]})
          << what << ": code " << i << " of " << expected.shape();
    } else {
      const float wanted = expected.data<float>()[i];
      ASSERT_NEAR(actual.data<float>()[i], wanted, tolerance * (1 + std::abs(wanted)))
          << what << ": element " << i << " of " << expected.shape();
    }
  }
}

inline void expect_same(const Tensor& actual, const Tensor& expected, const std::string& what) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  ASSERT_EQ(actual.dtype(), expected.dtype()) << what;
  EXPECT_EQ(std::memcmp(actual.raw(), expected.raw(), expected.bytes()), 0) << what;
}

inline Tensor run_plan(const Model& model, const std::vector<Tensor>& inputs, int threads = 2) {
  ThreadPool pool(threads);
  Tensor y;
  pool.run([&] {
    const std::int64_t batch = inputs[0].shape()[0];
    Plan plan(model, batch);
    plan.run(inputs_of(model, batch, 99));  // what an earlier run left must not matter
    y = plan.run(inputs).clone();
  });
  return y;
}

/// The plan that keeps its values, value by value, and the one that does not, with each value in turn as the result.
inline void expect_reference(Model model, std::int64_t batch, std::uint64_t seed, float tolerance = 0) {
  const std::vector<Tensor> inputs = inputs_of(model, batch, seed);
  const std::vector<Tensor> expected = run_reference(model, inputs);
  const std::string where = "seed " + std::to_string(seed) + ", batch " + std::to_string(batch) + ", ";
  Plan keeping(model, batch, {.keeps_values = true});
  expect_near(keeping.run(inputs), expected[model.output], tolerance, where + "result of the plan that keeps");
  for (ValueId value = 0; value < model.values(); ++value) {
    expect_near(keeping.value(value), expected[value], tolerance, where + model.name(value));
  }
  for (ValueId value = model.inputs.size(); value < model.values(); ++value) {
    model.output = value;
    expect_near(run_plan(model, inputs), expected[value], tolerance, where + "as the result: " + model.name(value));
  }
}

}  // namespace detent::runtime::test
