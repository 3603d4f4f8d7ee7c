#include "detent/quant/methods/reestimate_batch_norm.h"

#include <algorithm>
#include <deque>

#include "detent/quant/kinds/qat_product.h"

namespace detent::quant {
namespace {

/// Gathers the statistics of one batch norm while it lives. One that stands at several nodes is gathered from all.
class Gathering {
 public:
  Gathering(std::string name, nn::BatchNorm& norm, FoldedBatchNorm* folded)
      : name_(std::move(name)), norm_(norm), folded_(folded) {
    set(&statistics_);
  }
  ~Gathering() { set(nullptr); }
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;

  void store() const {
    check(!statistics_.empty(), "re-estimation: ", name_, ": its batch norm has seen no batch");
    std::ranges::copy(statistics_.mean(), norm_.running_mean().data<float>().begin());
    std::ranges::copy(statistics_.variance(), norm_.running_variance().data<float>().begin());
  }

 private:
  void set(nn::BatchStatistics* statistics) {
    folded_ != nullptr ? folded_->gather(statistics) : norm_.gather(statistics);
  }

  std::string name_;
  nn::BatchNorm& norm_;
  FoldedBatchNorm* folded_;
  nn::BatchStatistics statistics_;
};

}  // namespace

void reestimate_batch_norms(nn::Graph& prepared, const RunExamples& run) {
  std::deque<Gathering> gatherings;
  const auto add = [&](const std::string& name, nn::BatchNorm& norm, FoldedBatchNorm* folded) {
    if (norm.settings().momentum > 0.0) {
      gatherings.emplace_back(name, norm, folded);
    }
  };
  for (const nn::Graph::Node& node : prepared.nodes()) {
    if (!node.module || !node.owns_module()) {
      continue;
    }
    if (auto* const product = dynamic_cast<QatProduct*>(node.module.get()); product && product->batch_norm()) {
      add(node.name, product->batch_norm()->module(), product->batch_norm());
    } else if (auto* const norm = dynamic_cast<nn::BatchNorm*>(node.module.get())) {
      add(node.name, *norm, nullptr);
    }
  }
  run(prepared);
  for (const Gathering& gathering : gatherings) {
    gathering.store();
  }
}

}  // namespace detent::quant
