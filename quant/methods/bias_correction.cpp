#include "detent/quant/methods/bias_correction.h"

#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/passes/prepare.h"

namespace detent::quant {
namespace {

/// The quantized products, each once, in running order.
std::vector<QatProduct*> products_of(const nn::Graph& prepared) {
  std::vector<QatProduct*> products;
  for (const nn::Graph::Node& node : prepared.nodes()) {
    if (auto* const product = dynamic_cast<QatProduct*>(node.module.get()); product && node.owns_module()) {
      check(product->output().is_calibrating(), "bias correction: ", node.name,
            ": expected a graph that quant::prepare made, and whose observers are not frozen");
      check(product->batch_norm() == nullptr && product->bias().value.defined(), "bias correction: ", node.name,
            ": expected a layer with a bias and without a batch norm; call quant::fold_batch_norms before prepare");
      products.push_back(product);
    }
  }
  return products;
}

/// Watches products while it lives.
class Watch {
 public:
  explicit Watch(std::vector<QatProduct*> products) : products_(std::move(products)), means_(products_.size()) {
    for (std::size_t i = 0; i < products_.size(); ++i) {
      products_[i]->watch(&means_[i]);
    }
  }
  ~Watch() {
    for (QatProduct* const product : products_) {
      product->watch(nullptr);
    }
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  std::vector<double> means(std::size_t index) const { return means_[index].means(); }

 private:
  std::vector<QatProduct*> products_;
  std::vector<OutputMeans> means_;
};

}  // namespace

void calibrate_and_correct_biases(nn::Graph& prepared, const RunExamples& run) {
  const std::vector<QatProduct*> products = products_of(prepared);
  std::vector<std::vector<double>> expected;
  {
    const Watch in_float(products);
    run(prepared);
    for (std::size_t i = 0; i < products.size(); ++i) {
      expected.push_back(in_float.means(i));
    }
  }
  freeze_observers(prepared);
  for (std::size_t i = 0; i < products.size(); ++i) {
    const Watch on_codes({products[i]});
    run(prepared);
    const std::vector<double> actual = on_codes.means(0);
    const std::span<float> bias = products[i]->bias().value.data<float>();
    for (std::size_t o = 0; o < bias.size(); ++o) {
      bias[o] = static_cast<float>(static_cast<double>(bias[o]) + expected[i][o] - actual[o]);
    }
  }
}

}  // namespace detent::quant
