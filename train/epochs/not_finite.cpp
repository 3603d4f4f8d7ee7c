#include "detent/train/epochs/not_finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace detent::train {
namespace {

struct Found {
  std::int64_t row;
  float value;
};

// Codes are finite; what they stand for is, where their scale is.
std::optional<Found> first_not_finite(const Tensor& values) {
  if (!is_floating(values.dtype())) {
    return std::nullopt;
  }
  const Tensor reals = values.as(DType::F32, nullptr);
  const std::span<const float> numbers = reals.data<float>();
  const auto found = std::ranges::find_if(numbers, [](float x) { return !std::isfinite(x); });
  if (found == numbers.end()) {
    return std::nullopt;
  }
  return Found{(found - numbers.begin()) / std::max<std::int64_t>(1, reals.shape().row_elements()), *found};
}

// The row that reaches farthest.
Found largest_of(const Tensor& values) {
  const Tensor reals = values.as(DType::F32, nullptr);
  const std::span<const float> numbers = reals.data<float>();
  const auto largest = std::ranges::max_element(numbers, {}, [](float x) { return std::abs(x); });
  return {(largest - numbers.begin()) / std::max<std::int64_t>(1, reals.shape().row_elements()), *largest};
}

}  // namespace

std::string origin_of_not_finite(nn::Graph& graph, const data::Batch& batch, std::span<const std::int64_t> examples,
                                 DType product_dtype, std::uint64_t seed, std::uint64_t number) {
  const auto example = [&](const Found& found) { return examples[static_cast<std::size_t>(found.row)]; };
  if (const auto found = first_not_finite(batch.examples)) {
    return fmt::format("the data have one themselves: {} in example {}", found->value, example(*found));
  }
  std::string origin;
  std::string last = "the input";
  const auto look = [&](const nn::Graph::Node& node, const nn::Variable& value) {
    last = node.name;
    if (const auto found = origin.empty() ? first_not_finite(value.value()) : std::nullopt) {
      origin =
          fmt::format("{} is the first layer to give one: {} for example {}", node.name, found->value, example(*found));
    }
  };
  nn::Tape tape(nullptr, nn::Tape::Mode::Inference);
  nn::Context context{.tape = tape, .training = true, .product_dtype = product_dtype, .seed = seed, .step = number};
  try {
    const nn::Variable outputs = graph.forward(context, tape.constant(batch.examples), look);
    if (origin.empty()) {
      const Found largest = largest_of(outputs.value());
      origin = fmt::format("all layers give finite numbers, for example {} up to {:g}: too large for the loss",
                           example(largest), largest.value);
    }
  } catch (const Error& error) {
    return origin.empty() ? fmt::format("behind {}: {}", last, error.what()) : origin;
  }
  return origin;
}

}  // namespace detent::train
