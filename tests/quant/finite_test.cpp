// Numbers that are not finite are refused where they come in, by name; nothing is prepared, converted or read with
// them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "detent/nn/model_file.h"
#include "detent/runtime/model_file.h"
#include "tests/error_of.h"
#include "tests/quant/qat_fixture.h"

namespace detent::finite_test {
namespace {

using testing::HasSubstr;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::string text_of(float value) { return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf"; }

/// Calls body(message) with each real number of `graph` set to something else, one slot at a time.
template <typename Body>
void for_each_slot(const nn::Graph& graph, Body&& body) {
  std::size_t count = 0;
  for (const nn::Graph::Node& node : graph.nodes()) {
    for (const nn::Slot& slot : node.module ? node.module->slots() : std::vector<nn::Slot>()) {
      if (slot.tensor->dtype() == DType::F32) {
        const float value = std::vector{kNaN, kInfinity, -kInfinity}[count++ % 3];
        const auto element = static_cast<std::size_t>(slot.tensor->elements()) - 1;
        const float before = std::exchange(slot.tensor->data<float>()[element], value);
        body(node.name + ": " + slot.name + ": element " + std::to_string(element) +
             ": expected a finite number, got " + text_of(value));
        slot.tensor->data<float>()[element] = before;
      }
    }
  }
  EXPECT_GT(count, 10U);
}

std::string error_of_file(const nn::Graph& graph, const char* kind) {
  return error_of([&] { nn::from_file(nn::to_file({.graph = graph, .kind = kind}), quant::factories_of()); });
}

nn::Graph float_net() {
  nn::Graph net = test::everything_net();
  net.initialize(1);
  return net;
}

nn::Graph calibrated(const nn::Graph& net) {
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
  test::infer(prepared, test::random_images({12, 12, 3}, 4, 1));
  quant::freeze_observers(prepared);
  return prepared;
}

TEST(Finite, FloatModelsArePreparedAndReadOnlySo) {
  const nn::Graph net = float_net();
  for_each_slot(net, [&](const std::string& message) {
    EXPECT_THAT(error_of([&] { quant::prepare(net, quant::QConfigMapping()); }), HasSubstr("prepare: " + message));
    EXPECT_THAT(error_of([&] { quant::prepare_qat(net, quant::QConfigMapping()); }), HasSubstr("prepare: " + message));
    EXPECT_THAT(error_of_file(net, "fp32"), HasSubstr(message));
  });
  EXPECT_EQ(error_of_file(net, "fp32"), "no error");
}

TEST(Finite, PreparedModelsAreConvertedAndReadOnlySo) {
  const nn::Graph prepared = calibrated(float_net());
  for_each_slot(prepared, [&](const std::string& message) {
    EXPECT_THAT(error_of([&] { quant::convert(prepared); }), HasSubstr("convert: " + message));
    EXPECT_THAT(error_of_file(prepared, "qat"), HasSubstr(message));
  });
  EXPECT_EQ(error_of_file(prepared, "qat"), "no error");
}

TEST(Finite, ConvertedModelsAreReadOnlySo) {
  nn::Graph prepared = quant::prepare(float_net(), quant::QConfigMapping().set_name("fc2", std::nullopt));
  test::infer(prepared, test::random_images({12, 12, 3}, 4, 1));
  quant::freeze_observers(prepared);
  const TensorFile good = runtime::to_file({.model = quant::convert(prepared).model});
  EXPECT_EQ(error_of([&] { runtime::from_file(good); }), "no error");
  std::size_t count = 0;
  for (const auto& [path, tensor] : good.tensors) {
    if (tensor.dtype() == DType::F32) {
      TensorFile bad = good;
      Tensor& changed = bad.tensors[path] = tensor.clone();
      const float value = std::vector{kNaN, kInfinity, -kInfinity}[count++ % 3];
      changed.data<float>().back() = value;
      const std::string node = path.substr(path.find('/') + 1, path.rfind('/') - path.find('/') - 1);
      EXPECT_THAT(error_of([&] { runtime::from_file(bad); }),
                  testing::AllOf(HasSubstr(node + ": "), HasSubstr("expected a finite"), HasSubstr(text_of(value))))
          << path;
    }
  }
  EXPECT_GT(count, 20U);
}

TEST(Finite, AnEmptyRangeIsNoNumber) {
  EXPECT_EQ(error_of_file(quant::prepare_qat(float_net(), quant::QConfigMapping()), "qat"), "no error");
}

TEST(Finite, WhatFoldingMakesInfiniteIsNamed) {
  const nn::Graph prepared = calibrated(float_net());
  const auto set = [&](const char* slot_name, float value) {
    for (const nn::Slot& slot : prepared.node("conv1").module->slots()) {
      if (slot.name == slot_name) {
        std::swap(slot.tensor->data<float>()[2], value);
      }
    }
    return value;
  };
  const float variance = set("batch_norm_running_var", -1.0F);
  EXPECT_THAT(
      error_of([&] { quant::convert(prepared); }),
      HasSubstr("convert: conv1: with the batch norm folded, weight: element 54: expected a finite number, got"));
  set("batch_norm_running_var", variance);
  set("batch_norm_weight", 1e30F);
  set("batch_norm_running_mean", 3e38F);
  EXPECT_THAT(
      error_of([&] { quant::convert(prepared); }),
      HasSubstr("convert: conv1: with the batch norm folded, bias: element 2: expected a finite number, got -inf"));
}

TEST(Finite, ARangeOfNothingFiniteIsSaid) {
  for (const float value : {kNaN, kInfinity}) {
    nn::Graph prepared = quant::prepare(float_net(), quant::QConfigMapping());
    const Tensor images = Tensor::full({2, 12, 12, 3}, DType::F32, static_cast<double>(value));
    const std::string error = error_of([&] {
      test::infer(prepared, images);
      quant::freeze_observers(prepared);
    });
    EXPECT_THAT(error, HasSubstr("input_quantize: freeze: it saw no finite value"));
  }
}

}  // namespace
}  // namespace detent::finite_test
