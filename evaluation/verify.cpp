#include "detent/evaluation/verify.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstring>
#include <optional>
#include <sstream>

#include "detent/kernels/layers/loss.h"

namespace detent::evaluation {
namespace {

bool is_codes(const Tensor& tensor) { return tensor.qparams() != nullptr; }

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

void check_none(const nn::Graph& graph, std::string_view kinds, std::string_view what) {
  for (const nn::Graph::Node& node : graph.nodes()) {
    const std::string_view kind = node.module ? node.module->kind() : "";
    check(!kind.starts_with(kinds), "verify: ", node.name, " (", kind, ") is of ", what);
  }
}

std::vector<std::int32_t> predictions(const Tensor& output) {
  const Tensor flat = output.reshape({output.shape()[0], output.shape().row_elements()});
  std::vector<std::int32_t> best(static_cast<std::size_t>(flat.shape()[0]));
  kernels::argmax_rows(flat.data<float>().data(), flat.shape()[0], flat.shape()[1], best.data());
  return best;
}

}  // namespace

Verifier::Verifier(nn::Graph prepared, nn::Graph int8) : prepared_(std::move(prepared)), int8_(std::move(int8)) {
  check(prepared_.input_shape() == int8_.input_shape(),
        "verify: the models have other inputs: ", prepared_.input_shape(), " and ", int8_.input_shape());
  check_none(prepared_, "int8_", "a converted graph; pass the prepared one first");
  check_none(int8_, "qat_", "a prepared graph; pass what quant::convert makes of it second");
  for (const nn::Graph::Node& node : int8_.nodes()) {
    if (!node.module) {
      continue;
    }
    const std::optional<nn::Graph::Handle> other = prepared_.find(node.name);
    const bool exists = other && prepared_.node(*other).shape == node.shape;
    check(exists, "verify: the int8 model has a layer '", node.name, "' of shape ", node.shape,
          " that the fake-quantized model does not have: these are not two forms of one model");
    layer_index_[node.name] = report_.layers.size();
    report_.layers.push_back({.name = node.name});
    digests_.emplace_back();
  }
}

void Verifier::feed(const Tensor& images) {
  std::vector<Tensor> expected(report_.layers.size());
  std::vector<Tensor> actual(report_.layers.size());
  const auto keep = [&](std::vector<Tensor>& values) {
    return [&](const nn::Graph::Node& node, const nn::Variable& value) {
      if (const auto layer = layer_index_.find(node.name); layer != layer_index_.end()) {
        values[layer->second] = value.value();
      }
    };
  };
  autograd::Tape tape(&arena_, autograd::Tape::Mode::Inference);
  nn::Context context{tape};
  const Tensor expected_output = prepared_.forward(context, tape.constant(images), keep(expected)).value();
  const Tensor actual_output = int8_.forward(context, tape.constant(images), keep(actual)).value();

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
    if (is_codes(actual[i])) {
      digests_[i].update(std::as_bytes(actual[i].data<std::uint8_t>()));
    }
  });
  for (std::optional<Mismatch>& mismatch : found) {
    if (mismatch) {
      report_.first.push_back(std::move(*mismatch));
    }
  }
  const std::vector<std::int32_t> before = predictions(expected_output);
  const std::vector<std::int32_t> after = predictions(actual_output);
  for (std::size_t i = 0; i < before.size(); ++i) {
    report_.predictions_changed += before[i] != after[i];
  }
  report_.images += images.shape()[0];
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
