#include "detent/evaluation/verify.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstring>
#include <optional>
#include <sstream>

#include "detent/evaluation/evaluate.h"

namespace detent::evaluation {
namespace {

double value_at(const Tensor& tensor, std::int64_t i) {
  return tensor.reshape({tensor.elements()}).rows(i, i + 1).item();
}

/// The shortest text that no other f32 has.
std::string text_of(double value) {
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), static_cast<float>(value));
  assert(error == std::errc());
  return {text.data(), end};
}

/// Compares `row` bytes a unit: codes one by one, numbers by their bits. Notes the first difference.
std::int64_t count_differences(const Tensor& expected, const Tensor& actual, std::int64_t first_image,
                               Mismatch& first) {
  const std::size_t unit = size_of(expected.dtype());
  const std::int64_t row = expected.shape().row_elements();
  std::int64_t differing = 0;
  if (std::memcmp(expected.raw(), actual.raw(), expected.bytes()) == 0) {
    return 0;
  }
  for (std::int64_t i = 0; i < expected.elements(); ++i) {
    const auto at = static_cast<std::size_t>(i) * unit;
    if (std::memcmp(expected.raw() + at, actual.raw() + at, unit) == 0) {
      continue;
    }
    if (differing++ == 0) {
      first.image = first_image + i / row;
      first.index = i % row;
      first.expected = value_at(expected, i);
      first.actual = value_at(actual, i);
    }
  }
  return differing;
}

}  // namespace

Verifier::Verifier(nn::Graph prepared, runtime::Model int8)
    : prepared_(std::move(prepared)), int8_(std::move(int8)), layer_of_(prepared_.nodes().size()) {
  check(int8_.inputs.size() == prepared_.inputs().size(),
        "verify: the models have other inputs: ", prepared_.inputs().size(), " and ", int8_.inputs.size());
  for (std::size_t i = 0; i < int8_.inputs.size(); ++i) {
    check(prepared_.inputs()[i].shape == int8_.inputs[i].type.shape,
          "verify: the models have other inputs: ", prepared_.inputs()[i].shape, " and ", int8_.inputs[i].type.shape);
  }
  for (const runtime::Node& node : int8_.nodes) {
    const std::optional<nn::Graph::Handle> other = prepared_.find(node.name);
    const bool exists = other && prepared_.node(*other).shape == node.output.shape;
    check(exists, "verify: the int8 model has a layer '", node.name, "' of shape ", node.output.shape,
          " that the fake-quantized model does not have: these are not two forms of one model");
    layer_of_[other->index] = report_.layers.size();
    report_.layers.push_back({.name = node.name});
    digests_.emplace_back();
  }
}

runtime::Plan& Verifier::plan_for(std::int64_t batch) {
  return evaluation::plan_for(plan_, int8_, batch, runtime::PlanOptions{.keeps_values = true});
}

void Verifier::feed(std::span<const Tensor> inputs) {
  const std::int64_t examples = inputs.empty() ? 0 : inputs[0].shape()[0];
  std::vector<Tensor> expected(report_.layers.size());
  autograd::Tape tape(&arena_, autograd::Tape::Mode::Inference);
  nn::Context context{tape};
  std::size_t node = 0;  // nodes come in their order
  const auto keep = [&](const nn::Graph::Node&, const nn::Variable& value) {
    if (const std::optional<std::size_t> layer = layer_of_[node++]) {
      expected[*layer] = value.value();
    }
  };
  std::vector<nn::Variable> on_tape;
  std::ranges::transform(inputs, std::back_inserter(on_tape),
                         [&](const Tensor& input) { return tape.constant(input); });
  const Tensor expected_output = prepared_.forward(context, on_tape, keep).value();
  runtime::Plan& plan = plan_for(examples);
  const Tensor actual_output = plan.run(inputs);
  std::vector<Tensor> actual;
  for (std::size_t i = 0; i < report_.layers.size(); ++i) {
    actual.push_back(plan.value(int8_.value_of(i)));
  }

  std::vector<std::optional<Mismatch>> found(report_.layers.size());
  parallel_slices(static_cast<std::int64_t>(report_.layers.size()), [&](std::int64_t slice) {
    const auto i = static_cast<std::size_t>(slice);
    LayerComparison& layer = report_.layers[i];
    check(expected[i].shape() == actual[i].shape() && expected[i].dtype() == actual[i].dtype(), "verify: ", layer.name,
          ": expected ", expected[i].dtype(), ' ', expected[i].shape(), ", got ", actual[i].dtype(), ' ',
          actual[i].shape());
    Mismatch mismatch{.layer = layer.name};
    const std::int64_t differing = count_differences(expected[i], actual[i], report_.images, mismatch);
    if (differing > 0 && layer.codes_mismatched == 0) {
      found[i] = mismatch;
    }
    layer.codes_compared += expected[i].elements();
    layer.codes_mismatched += differing;
    if (int8_.nodes[i].output.is_codes()) {
      digests_[i].update(std::as_bytes(actual[i].data<std::uint8_t>()));
    }
  });
  for (std::optional<Mismatch>& mismatch : found) {
    if (mismatch) {
      report_.first.push_back(std::move(*mismatch));
    }
  }
  report_.predictions_changed += count_changed(predictions_of(expected_output), predictions_of(actual_output));
  report_.images += examples;
}

VerifyReport Verifier::report() const {
  VerifyReport report = report_;
  Sha256 all;
  for (std::size_t i = 0; i < report.layers.size(); ++i) {
    report.codes_compared += report.layers[i].codes_compared;
    report.codes_mismatched += report.layers[i].codes_mismatched;
    const std::string line = report.layers[i].name + " " + digests_[i].hex() + "\n";
    all.update(std::as_bytes(std::span(line)));
  }
  report.codes_sha256 = all.hex();
  return report;
}

std::string to_text(const VerifyReport& report) {
  std::ostringstream text;
  for (const Mismatch& mismatch : report.first) {
    for (const LayerComparison& layer : report.layers) {
      if (layer.name == mismatch.layer) {
        text << mismatch.layer << ": image " << mismatch.image << ", element " << mismatch.index << ": expected "
             << text_of(mismatch.expected) << ", got " << text_of(mismatch.actual) << " (" << layer.codes_mismatched
             << " of " << layer.codes_compared << " codes differ)\n";
      }
    }
  }
  return text.str();
}

}  // namespace detent::evaluation
