#include "detent/evaluation/verify_hybrid.h"

#include <algorithm>
#include <cstring>

#include "detent/core/threads/parallel.h"
#include "detent/evaluation/evaluate.h"
#include "detent/runtime/reference.h"

namespace detent::evaluation {
namespace {

constexpr std::int64_t kMultiplyAdds = std::int64_t{1} << 29;
constexpr std::int64_t kFewestExamples = 16;
constexpr std::int64_t kExamplesPerSlice = 4;

bool is_dynamic(const runtime::Node& node) {
  const auto* const product = std::get_if<runtime::HybridProduct>(&node.op);
  return product != nullptr && product->dynamic;
}

std::vector<std::size_t> dynamic_nodes(const runtime::Model& model) {
  std::vector<std::size_t> nodes;
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    if (is_dynamic(model.nodes[i])) {
      nodes.push_back(i);
    }
  }
  return nodes;
}

std::int64_t examples_of(const runtime::Model& model, std::span<const std::size_t> nodes, std::int64_t most) {
  std::int64_t work = 1;
  for (const std::size_t node : nodes) {
    const kernels::ConvShape& shape = *runtime::product_shape(model.nodes[node].op);
    work += shape.output_row() * shape.depth();
  }
  return std::min(std::max(kMultiplyAdds / work, kFewestExamples), most);
}

/// What the reference executor gives for the input `x` of a node.
Tensor reference_of(const runtime::Model& model, const runtime::Node& node, const Tensor& x) {
  runtime::Model alone{.inputs = {{.name = "x", .type = model.type(node.inputs[0])}}, .nodes = {node}, .output = 1};
  alone.nodes[0].name = "y";
  alone.nodes[0].inputs = {0};
  Tensor y = Tensor::empty(node.output.shape.batched(x.shape()[0]), DType::F32);
  const Slices slices = slice_rows(x.shape()[0], kExamplesPerSlice);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range rows = slices[slice];
    const Tensor part = x.rows(rows.begin, rows.end);
    y.rows(rows.begin, rows.end).copy_from(runtime::run_reference(alone, std::span(&part, 1))[1]);
  });
  return y;
}

void compare(const Tensor& expected, const Tensor& actual, LayerComparison& layer, VerifyReport& report) {
  const std::int64_t row = expected.shape().row_elements();
  for (std::int64_t i = 0; i < expected.elements(); ++i) {
    const float* const wanted = expected.data<float>().data() + i;
    const float* const given = actual.data<float>().data() + i;
    if (std::memcmp(wanted, given, sizeof(float)) == 0) {
      continue;
    }
    if (layer.codes_mismatched++ == 0) {
      report.first.push_back({.layer = layer.name,
                              .image = report.images + i / row,
                              .index = i % row,
                              .expected = double{*wanted},
                              .actual = double{*given}});
    }
  }
  layer.codes_compared += expected.elements();
}

}  // namespace

VerifyReport verify_hybrid(const runtime::Model& model, const data::Dataset& dataset,
                           const data::Normalization& normalization, Reporter& reporter) {
  VerifyReport report;
  const std::vector<std::size_t> nodes = dynamic_nodes(model);
  if (nodes.empty()) {
    report.images = dataset.size();
    return report;
  }
  for (const std::size_t node : nodes) {
    report.layers.push_back({.name = model.nodes[node].name});
  }
  std::optional<runtime::Plan> plan;
  const data::Dataset fed = dataset.take(examples_of(model, nodes, dataset.size()));
  for_each_batch(fed, normalization, "verify", reporter, [&](const data::Batch& batch) {
    runtime::Plan& tapped = plan_for(plan, model, batch.size(), runtime::PlanOptions{.keeps_values = true});
    tapped.run(batch.examples);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const runtime::Node& node = model.nodes[nodes[i]];
      compare(reference_of(model, node, tapped.value(node.inputs[0])), tapped.value(model.value_of(nodes[i])),
              report.layers[i], report);
    }
    report.images += batch.size();
  });
  for (const LayerComparison& layer : report.layers) {
    report.codes_compared += layer.codes_compared;
    report.codes_mismatched += layer.codes_mismatched;
  }
  return report;
}

}  // namespace detent::evaluation
