// A bias always fits: where it is large beside its channel's weights and input, the weights' scale gives way.

#include <gtest/gtest.h>

#include <filesystem>

#include "detent/kernels/codes/quantize.h"
#include "detent/nn/model_file.h"
#include "detent/quant/kinds/qat_product.h"
#include "tests/quant/qat_fixture.h"

namespace detent::bias_test {
namespace {

constexpr std::int32_t kLargestBias = 1 << 30;

std::span<float> values(const nn::Graph& graph, std::string_view node, std::string_view slot_name) {
  for (const nn::Slot& slot : graph.node(node).module->slots()) {
    if (slot.name == slot_name) {
      return slot.tensor->data<float>();
    }
  }
  fail("test: no slot ", slot_name);
}

std::span<float> row(const nn::Graph& graph, std::string_view node, std::size_t output) {
  const std::size_t outputs = values(graph, node, "bias").size();
  const std::span<float> all = values(graph, node, "weight");
  return all.subspan(output * (all.size() / outputs), all.size() / outputs);
}

/// conv (+ batch norm) - relu - conv - relu - linear, so that every kind of product has a layer before or behind it.
nn::Graph small_net(bool norm) {
  nn::Graph net;
  auto x = net.input({6, 6, 2});
  x = net.conv2d(x, {.out_channels = 16, .kernel = 3, .padding = 1, .name = "conv1"});
  x = net.relu(norm ? net.batch_norm(x, {.name = "bn"}) : x);
  x = net.relu(net.conv2d(x, {.out_channels = 6, .kernel = 3, .stride = 2, .name = "conv2"}));
  net.output(net.linear(net.flatten(x), {.out_features = 5, .name = "fc"}));
  return net;
}

struct Row {
  const char* name;
  bool norm;
  void (*change)(const nn::Graph&, const Tensor& images);
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {"no weights, convolution", false,
       [](const nn::Graph& net, const Tensor&) {
         std::ranges::fill(row(net, "conv1", 3), 0.0F);
         values(net, "conv1", "bias")[3] = 3.0F;
       }},
      {"no weights at all, linear", false,
       [](const nn::Graph& net, const Tensor&) {
         std::ranges::fill(values(net, "fc", "weight"), 0.0F);
         std::ranges::copy(std::vector{3.0F, -3.0F, 1e-3F, 0.0F, 2.0F}, values(net, "fc", "bias").begin());
       }},
      {"tiny weights", false,
       [](const nn::Graph& net, const Tensor&) {
         for (float& w : row(net, "conv2", 2)) {
           w *= 1e-20F;
         }
         values(net, "conv2", "bias")[2] = 3.0F;
       }},
      {"weights a little too small", false,
       [](const nn::Graph& net, const Tensor&) {
         for (float& w : row(net, "fc", 1)) {
           w *= 3e-7F;
         }
         values(net, "fc", "bias")[1] = -3.0F;
       }},
      {"gamma 0", true,
       [](const nn::Graph& net, const Tensor&) {
         values(net, "bn", "weight")[4] = 0.0F;
         values(net, "bn", "bias")[4] = 2.0F;
       }},
      {"gamma 0 everywhere", true,
       [](const nn::Graph& net, const Tensor&) {
         std::ranges::fill(values(net, "bn", "weight"), -0.0F);
         std::ranges::fill(values(net, "bn", "bias"), 2.0F);
       }},
      {"tiny gamma, large mean", true,
       [](const nn::Graph& net, const Tensor&) {
         values(net, "bn", "weight")[0] = 1e-12F;
         values(net, "bn", "bias")[0] = 2.0F;
         values(net, "bn", "running_mean")[0] = 1e6F;
       }},
      {"a relu that never opens", false,
       [](const nn::Graph& net, const Tensor&) {
         std::ranges::fill(values(net, "conv1", "bias"), -100.0F);
         std::ranges::fill(values(net, "conv2", "bias"), 0.5F);
       }},
      {"half of the images black", false,
       [](const nn::Graph& net, const Tensor& images) {
         std::ranges::fill(values(net, "conv1", "bias"), 0.5F);
         const std::span<float> pixels = Tensor(images).data<float>();
         std::ranges::fill(pixels.first(pixels.size() / 2), 0.0F);
       }},
      {"black images", false,
       [](const nn::Graph& net, const Tensor& images) {
         std::ranges::fill(values(net, "conv1", "bias"), 0.5F);
         std::ranges::fill(Tensor(images).data<float>(), 0.0F);
       }},
  };
  return all;
}

/// `images` through the float layers of `prepared`, with the weights and statistics that it has now.
Tensor float_result(const nn::Graph& net, const nn::Graph& prepared, const Tensor& images) {
  nn::Graph twin = net.clone();
  for (const char* slot : {"weight", "bias", "running_mean", "running_var"}) {
    if (twin.nodes()[2].name == "bn") {
      std::ranges::copy(values(prepared, "conv1", std::string("batch_norm_") + slot), values(twin, "bn", slot).begin());
    }
  }
  return test::infer(twin, images);
}

void expect_biases_fit(runtime::Model int8) {
  for (const char* name : {"conv1", "conv2", "fc"}) {
    const Tensor& bias = test::op_of<runtime::Product>(int8, name).bias;
    for (std::size_t o = 0; o < static_cast<std::size_t>(bias.elements()); ++o) {
      EXPECT_LE(std::abs(std::int64_t{bias.data<std::int32_t>()[o]}), kLargestBias) << name << ", output " << o;
    }
  }
}

/// Equal codes on any images; on those that ranges were observed on, results close to those of float.
void expect_exact_and_close(const nn::Graph& net, const nn::Graph& prepared, const Tensor& images, double tolerance) {
  const runtime::Model int8 = quant::convert(prepared).model;
  expect_biases_fit(int8);
  evaluation::Verifier verifier(prepared, int8);
  verifier.feed(images);
  verifier.feed(test::random_images({6, 6, 2}, 16, 99, -3.0F, 3.0F));
  EXPECT_EQ(verifier.report().codes_mismatched, 0) << evaluation::to_text(verifier.report());

  const TempFolder folder;
  const auto file = folder / "int8.h5";
  runtime::save_model({.model = int8}, file);
  const runtime::ModelFile read = runtime::load_model(file);
  const Tensor expected = float_result(net, prepared, images);
  const Tensor actual = test::infer(read.model, images);
  const MinMax range = kernels::min_max(expected.data<float>());
  const double width = std::max(range.max, 0.0F) - std::min(range.min, 0.0F);
  for (std::size_t i = 0; i < static_cast<std::size_t>(expected.elements()); ++i) {
    const double x = expected.data<float>()[i];
    EXPECT_NEAR(actual.data<float>()[i], x, tolerance * width)
        << "image " << i / 5 << ", output " << i % 5 << " of the range [" << range.min << ", " << range.max << "]";
  }
}

class Bias : public testing::TestWithParam<std::size_t> {
 protected:
  /// Runs body(seed, mapping, net, images, coarser) for seeds and configurations.
  template <typename Body>
  void for_each(Body&& body) {
    const Row& row = rows()[GetParam()];
    // Of the last two, of 1 bit and ternary, only the codes say something.
    const char* const grids[] = {"int8", "int8", "int8", "int8", "int8", "int4", "int1", "ternary"};
    const double coarser[] = {1, 1, 1, 1, 1, 16, 1e9, 1e9};
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      quant::QConfig config{.weight = quant::parse_weight_quantizer(grids[seed])};
      config.weight.granularity = seed % 3 == 1 ? quant::Granularity(quant::PerTensor{}) : quant::PerChannel{};
      config.range = seed % 2 == 1 ? quant::RangeUse::Current : quant::RangeUse::Previous;
      config.backward = seed % 2 == 1 ? DType::F32 : DType::BF16;
      SCOPED_TRACE(std::string(row.name) + ", seed " + std::to_string(seed));
      nn::Graph net = small_net(row.norm);
      net.initialize(seed);
      const Tensor images = test::random_images({6, 6, 2}, 16, seed, 0.0F, 1.0F);
      row.change(net, images);
      body(seed, quant::QConfigMapping(config), net, images, coarser[seed]);
    }
  }
};

TEST_P(Bias, FitsAfterStaticQuantization) {
  for_each([](std::uint64_t, const quant::QConfigMapping& mapping, const nn::Graph& net, const Tensor& images,
              double coarser) {
    nn::Graph prepared = quant::prepare(net, mapping);
    test::infer(prepared, images);
    quant::freeze_observers(prepared);
    expect_exact_and_close(net, prepared, images, 0.03 * coarser);
  });
}

TEST_P(Bias, FitsInTraining) {
  for_each([](std::uint64_t seed, const quant::QConfigMapping& mapping, const nn::Graph& net, const Tensor& images,
              double coarser) {
    nn::Graph qat = quant::prepare_qat(net, mapping);
    for (std::uint64_t step = 0; step < 4; ++step) {
      if (step == 2) {
        quant::freeze_batch_norm(qat);
      }
      const double loss = test::train_step(qat, images, test::random_labels(16, 5, seed), 0.0F, step);
      EXPECT_TRUE(std::isfinite(loss)) << "step " << step;
      for (const nn::NamedParameter& named : qat.parameters()) {
        const std::span<const float> gradient = named.parameter->gradient.data<float>();
        const auto bad = std::ranges::find_if(gradient, [](float g) { return !std::isfinite(g); });
        EXPECT_EQ(bad, gradient.end()) << named.name << ", element " << bad - gradient.begin() << " of the gradient";
      }
    }
    nn::Graph moved = qat.clone(quant::factories_of());
    quant::freeze_observers(qat);
    expect_exact_and_close(net, qat, images, 0.06 * coarser);
    // And where weights move.
    for (std::uint64_t step = 0; step < 4; ++step) {
      test::train_step(moved, images, test::random_labels(16, 5, seed), 0.05F, step);
    }
    quant::freeze_observers(moved);
    const runtime::Model int8 = quant::convert(moved).model;
    expect_biases_fit(int8);
    evaluation::Verifier verifier(moved, int8);
    verifier.feed(images);
    EXPECT_EQ(verifier.report().codes_mismatched, 0) << evaluation::to_text(verifier.report());
  });
}

INSTANTIATE_TEST_SUITE_P(Rows, Bias, testing::Range(std::size_t{0}, rows().size()));

TEST(Bias, OfAFileIsCheckedWhenItIsLoaded) {
  nn::Graph net = small_net(false);
  net.initialize(1);
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
  test::infer(prepared, test::random_images({6, 6, 2}, 4, 1));
  quant::freeze_observers(prepared);
  runtime::Model int8 = quant::convert(prepared).model;
  test::op_of<runtime::Product>(int8, "conv2").bias.data<std::int32_t>()[4] = -kLargestBias - 1;
  try {
    test::through_file(int8);
    FAIL() << "taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what())
                  .find("conv2: bias: element 4: expected a number in [-1073741824, 1073741824], got -1073741825"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace detent::bias_test
