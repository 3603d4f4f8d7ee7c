// Products in f32, bf16 and f16 beside modules on codes: whatever is kept in float, a step and an evaluation run, and
// lose no more than the 16-bit types do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/quant/qat_fixture.h"

namespace detent::mixed_precision_test {
namespace {

const std::vector<std::string> kProducts = {"conv1", "depthwise", "pointwise", "conv2", "fc1", "fc2"};

/// What reads a product's result: batch norm, relu, sigmoid, add, average pool, max-pool, dropout, the loss.
nn::Graph net() {
  nn::Graph net = test::everything_net();
  net.initialize(1);
  return net;
}

struct Case {
  DType dtype;
  bool calibrates;
  unsigned kept;  // bit i: kProducts[i] stays in float
  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    out << c.dtype << (c.calibrates ? ", prepare" : ", prepare_qat") << ", kept:";
    for (std::size_t i = 0; i < kProducts.size(); ++i) {
      out << ((c.kept >> i & 1U) != 0 ? " " + kProducts[i] : "");
    }
    return out;
  }
};

quant::QConfigMapping mapping_of(unsigned kept) {
  quant::QConfigMapping mapping;
  for (std::size_t i = 0; i < kProducts.size(); ++i) {
    if ((kept >> i & 1U) != 0) {
      mapping.set_name(kProducts[i], std::nullopt);
    }
  }
  return mapping;
}

double loss_of(nn::Graph& graph, DType dtype, bool training, const Tensor& images, const Tensor& labels) {
  graph.clear_gradients();
  autograd::Tape tape(nullptr, training ? autograd::Tape::Mode::Record : autograd::Tape::Mode::Inference);
  nn::Context context{.tape = tape, .training = training, .product_dtype = dtype};
  const autograd::Variable loss = autograd::cross_entropy(graph.forward(context, tape.constant(images)), labels);
  if (training) {
    tape.backward(loss);
  }
  return loss.value().item();
}

TEST(MixedPrecision, EveryConsumerTakesALowPrecisionResult) {
  const Tensor images = test::random_images({12, 12, 3}, 8, 1, -1.0F, 1.0F);
  const Tensor labels = test::random_labels(8, 5, 2);
  const nn::Graph source = net();
  for (unsigned kept = 0; kept < 1U << kProducts.size(); kept += 1) {
    std::vector<double> reference;
    for (const DType dtype : {DType::F32, DType::BF16, DType::F16}) {
      std::vector<double> losses;
      std::ostringstream what;
      what << Case{dtype, false, kept};
      ASSERT_NO_THROW({
        nn::Graph qat = quant::prepare_qat(source, mapping_of(kept));
        losses.push_back(loss_of(qat, dtype, true, images, labels));
        for (const nn::NamedParameter& named : qat.parameters()) {
          ASSERT_TRUE(named.parameter->gradient.defined()) << what.str() << ": " << named.name << " has no gradient";
          ASSERT_EQ(named.parameter->gradient.dtype(), DType::F32) << what.str() << ": " << named.name;
        }
        losses.push_back(loss_of(qat, dtype, false, images, labels));
        quant::freeze_observers(qat);
        losses.push_back(loss_of(qat, dtype, true, images, labels));
        nn::Graph prepared = quant::prepare(source, mapping_of(kept));
        losses.push_back(loss_of(prepared, dtype, false, images, labels));
        quant::freeze_observers(prepared);
        losses.push_back(loss_of(prepared, dtype, false, images, labels));
      }) << what.str();
      reference = dtype == DType::F32 ? losses : reference;
      ASSERT_EQ(losses.size(), reference.size()) << what.str();
      for (std::size_t i = 0; i < losses.size(); ++i) {
        EXPECT_NEAR(losses[i], reference[i], 0.1 * reference[i]) << what.str() << ", loss " << i;
      }
    }
  }
}

}  // namespace
}  // namespace detent::mixed_precision_test
