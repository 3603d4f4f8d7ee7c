// Every op of op_table.cpp: gradients by central differences, accumulation, every choice of inputs that want a
// gradient, f32 against f64, and an Error for what does not fit.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <regex>
#include <set>

#include "tests/autograd/op_table.h"
#include "tests/places.h"

namespace detent::autograd::gradient_test {
namespace {

constexpr std::uint64_t kSeed = 20240613;
constexpr int kTrials = 4;

struct Gradients {
  Tensor y;
  std::vector<Tensor> of_inputs;  // undefined where not wanted
  std::size_t nodes = 0;
};

// Runs the op forward and backward from dL/dy = dy; bit i of `wanted` says that input i wants a gradient.
Gradients run(const OpSample& sample, const std::vector<Tensor>& inputs, const Tensor& dy, unsigned wanted,
              Arena* arena) {
  Tape tape(arena);
  std::vector<Variable> variables;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    variables.push_back((wanted >> i & 1U) != 0 ? tape.variable(inputs[i]) : tape.constant(inputs[i]));
  }
  const Variable y = sample.apply(variables);
  Gradients result{y.value(), std::vector<Tensor>(inputs.size()), tape.size()};
  if (wanted != 0) {
    tape.backward(y, dy.clone());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (variables[i].needs_grad()) {
        result.of_inputs[i] = tape.gradient(variables[i]);
      }
    }
  }
  return result;
}

// What the arena lends next is full of NaN: an op that adds to memory instead of writing it is found.
void poison(Arena& arena, const std::vector<Tensor>& tensors) {
  std::vector<std::shared_ptr<std::byte>> blocks;
  for (int copies = 0; copies < 3; ++copies) {
    for (const Tensor& tensor : tensors) {
      blocks.push_back(arena.allocate(tensor.bytes()));
      std::memset(blocks.back().get(), 0xFF, tensor.bytes());
    }
  }
}

Tensor output_of(const OpSample& sample, const std::vector<Tensor>& inputs) {
  return run(sample, inputs, Tensor(), 0, nullptr).y;
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data<double>().size(); ++i) {
    sum += a.data<double>()[i] * b.data<double>()[i];
  }
  return sum;
}

// (L(x + h) - L(x - h)) / 2h of element i of an input, L = dy . y
double central_difference(const OpSample& sample, std::size_t input, std::size_t i, const Tensor& dy) {
  std::vector<Tensor> inputs = sample.inputs;
  inputs[input] = inputs[input].clone();
  double& x = inputs[input].data<double>()[i];
  const double middle = x, h = 1e-5;
  x = middle + h;
  const double above = dot(dy, output_of(sample, inputs));
  x = middle - h;
  const double below = dot(dy, output_of(sample, inputs));
  return (above - below) / (2 * h);
}

void expect_same(const Tensor& expected, const Tensor& actual, const std::string& what) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  for (std::size_t i = 0; i < expected.data<double>().size(); ++i) {
    ASSERT_EQ(actual.data<double>()[i], expected.data<double>()[i]) << what << ", element " << i;
  }
}

class Ops : public ::testing::TestWithParam<OpRow> {};

TEST_P(Ops, GradientsAreThoseOfCentralDifferences) {
  for (int trial = 0; trial < kTrials; ++trial) {
    SCOPED_TRACE(testing::Message() << GetParam() << ", seed " << kSeed << ", trial " << trial);
    RandomStream random(kSeed, GetParam().name + GetParam().variant, static_cast<std::uint64_t>(trial));
    const OpSample sample = GetParam().sample(random);
    const Tensor y = output_of(sample, sample.inputs);
    const Tensor dy = random_tensor(random, y.shape());
    Arena arena;
    std::vector<Tensor> memory = sample.inputs;
    memory.push_back(y);
    poison(arena, memory);
    const unsigned all = (1U << sample.inputs.size()) - 1;
    const Gradients gradients = run(sample, sample.inputs, dy, all, &arena);
    for (std::size_t input = 0; input < sample.inputs.size(); ++input) {
      ASSERT_TRUE(gradients.of_inputs[input].defined()) << "input " << input << " got no gradient";
      const auto actual = gradients.of_inputs[input].data<double>();
      for (std::size_t i = 0; i < actual.size(); ++i) {
        const double expected = central_difference(sample, input, i, dy);
        ASSERT_NEAR(actual[i], expected, 1e-6 * std::max(1.0, std::abs(expected)))
            << "input " << input << " of shape " << sample.inputs[input].shape() << ", element " << i;
      }
    }
  }
}

TEST_P(Ops, EveryChoiceOfWantedGradientsGivesTheSame) {
  SCOPED_TRACE(testing::Message() << GetParam() << ", seed " << kSeed);
  RandomStream random(kSeed, GetParam().name + GetParam().variant);
  const OpSample sample = GetParam().sample(random);
  const Tensor dy = random_tensor(random, output_of(sample, sample.inputs).shape());
  const unsigned all = (1U << sample.inputs.size()) - 1;
  const Gradients full = run(sample, sample.inputs, dy, all, nullptr);
  EXPECT_EQ(run(sample, sample.inputs, dy, 0, nullptr).nodes, 0u) << "something was recorded although nobody asked";
  for (unsigned wanted = 1; wanted < all; ++wanted) {
    const Gradients some = run(sample, sample.inputs, dy, wanted, nullptr);
    for (std::size_t input = 0; input < sample.inputs.size(); ++input) {
      if ((wanted >> input & 1U) != 0) {
        expect_same(full.of_inputs[input], some.of_inputs[input],
                    "choice " + std::to_string(wanted) + ", input " + std::to_string(input));
      }
    }
  }
}

TEST_P(Ops, GradientsAreAddedToWhatIsThere) {
  SCOPED_TRACE(testing::Message() << GetParam() << ", seed " << kSeed);
  RandomStream random(kSeed, GetParam().name + GetParam().variant);
  const OpSample sample = GetParam().sample(random);
  const Tensor dy = random_tensor(random, output_of(sample, sample.inputs).shape());
  const Gradients plain = run(sample, sample.inputs, dy, (1U << sample.inputs.size()) - 1, nullptr);
  std::vector<Tensor> before, sums;
  for (const Tensor& input : sample.inputs) {
    before.push_back(random_tensor(random, input.shape()));
    sums.push_back(before.back().clone());
  }
  Tape tape;
  std::vector<Variable> variables;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    variables.push_back(tape.parameter(sample.inputs[i], &sums[i]));
  }
  tape.backward(sample.apply(variables), dy.clone());
  for (std::size_t input = 0; input < sums.size(); ++input) {
    for (std::size_t i = 0; i < sums[input].data<double>().size(); ++i) {
      ASSERT_EQ(sums[input].data<double>()[i],
                before[input].data<double>()[i] + plain.of_inputs[input].data<double>()[i])
          << "input " << input << ", element " << i;
    }
  }
}

TEST_P(Ops, SinglePrecisionAgreesWithDouble) {
  for (int trial = 0; trial < kTrials; ++trial) {
    SCOPED_TRACE(testing::Message() << GetParam() << ", seed " << kSeed << ", trial " << trial);
    RandomStream random(kSeed, GetParam().name + GetParam().variant, static_cast<std::uint64_t>(trial));
    const OpSample sample = GetParam().sample(random);
    const Tensor dy = random_tensor(random, output_of(sample, sample.inputs).shape());
    const unsigned all = (1U << sample.inputs.size()) - 1;
    const Gradients exact = run(sample, sample.inputs, dy, all, nullptr);
    std::vector<Tensor> single;
    for (const Tensor& input : sample.inputs) {
      single.push_back(input.to(DType::F32));
    }
    Arena arena;
    poison(arena, single);
    const Gradients rounded = run(sample, single, dy.to(DType::F32), all, &arena);
    const auto expect_near = [](const Tensor& expected, const Tensor& actual, const std::string& what) {
      ASSERT_EQ(actual.dtype(), DType::F32) << what;
      ASSERT_EQ(actual.shape(), expected.shape()) << what;
      double largest = 1;
      for (const double v : expected.data<double>()) {
        largest = std::max(largest, std::abs(v));
      }
      for (std::size_t i = 0; i < expected.data<double>().size(); ++i) {
        ASSERT_NEAR(actual.data<float>()[i], expected.data<double>()[i], 2e-5 * largest) << what << ", element " << i;
      }
    };
    expect_near(exact.y, rounded.y, "the value");
    for (std::size_t input = 0; input < single.size(); ++input) {
      expect_near(exact.of_inputs[input], rounded.of_inputs[input], "gradient of input " + std::to_string(input));
    }
  }
}

TEST_P(Ops, WhatDoesNotFitIsRefused) {
  Tape tape;
  try {
    GetParam().wrong(tape);
    FAIL() << GetParam() << " accepted it";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    EXPECT_GT(std::string(error.what()).size(), 15u) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Ops, ::testing::ValuesIn(op_table()), [](const auto& row) {
  return row.param.name + (row.param.variant.empty() ? "" : "_" + row.param.variant);
});

TEST(OpTable, HasARowForEveryOp) {
  std::ifstream header(source_path("autograd/ops.h"));
  const std::regex declaration(R"(^(?:inline )?Variable (\w+)\()");
  std::set<std::string> declared, tested;
  for (std::string line; std::getline(header, line);) {
    if (std::smatch match; std::regex_search(line, match, declaration)) {
      declared.insert(match[1]);
    }
  }
  for (const OpRow& row : op_table()) {
    tested.insert(row.name);
  }
  EXPECT_GE(declared.size(), 20u) << "the header was not found, or is written in another way";
  EXPECT_EQ(tested, declared);
}

}  // namespace
}  // namespace detent::autograd::gradient_test
