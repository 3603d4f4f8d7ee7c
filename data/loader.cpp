#include "detent/data/loader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "detent/core/philox.h"
#include "detent/core/threads/parallel.h"

namespace detent::data {
namespace {

constexpr std::int64_t kExamplesPerSlice = 16;

}  // namespace

std::array<float, 256> normalized_pixels(const Normalization& normalization) {
  check(std::isfinite(normalization.mean), "normalization: mean: expected a finite number, got ", normalization.mean);
  check(std::isfinite(normalization.std) && normalization.std > 0.0F,
        "normalization: std: expected a finite number above 0, got ", normalization.std);
  std::array<float, 256> values;
  for (std::size_t pixel = 0; pixel < values.size(); ++pixel) {
    values[pixel] = (static_cast<float>(pixel) / 255.0F - normalization.mean) / normalization.std;
  }
  return values;
}

namespace {

// The tables of `normalization` for examples whose last axis has `channels` indices.
std::vector<std::array<float, 256>> pixel_tables(const Normalization& normalization, std::int64_t channels) {
  const auto& [mean, std, means, stds] = normalization;
  if (means.empty() && stds.empty()) {
    return {normalized_pixels(normalization)};
  }
  check(std::ssize(means) == channels && std::ssize(stds) == channels,
        "normalization: expected a mean and a std for each ", "of ", channels, " columns, got ", means.size(), " and ",
        stds.size());
  std::vector<std::array<float, 256>> tables;
  for (std::size_t c = 0; c < means.size(); ++c) {
    tables.push_back(normalized_pixels({.mean = means[c], .std = stds[c]}));
  }
  return tables;
}

}  // namespace

Normalization column_normalization(const Dataset& dataset) {
  const Shape shape = dataset.example_shape();
  const auto columns = static_cast<std::size_t>(shape[shape.rank() - 1]);
  const bool is_bytes = dataset.examples.dtype() == DType::U8;
  const auto values = static_cast<std::size_t>(dataset.examples.elements());
  const auto rows = static_cast<double>(values / columns);
  const auto value_at = [&](std::size_t i) {
    return is_bytes ? dataset.examples.data<std::uint8_t>()[i] / 255.0
                    : static_cast<double>(dataset.examples.data<float>()[i]);
  };
  std::vector<double> means(columns), squares(columns);
  for (std::size_t i = 0; i < values; ++i) {
    means[i % columns] += value_at(i) / rows;
  }
  for (std::size_t i = 0; i < values; ++i) {
    const double from_mean = value_at(i) - means[i % columns];
    squares[i % columns] += from_mean * from_mean / rows;
  }
  Normalization normalization;
  for (std::size_t c = 0; c < columns; ++c) {
    normalization.means.push_back(static_cast<float>(means[c]));
    const auto std = static_cast<float>(std::sqrt(squares[c]));
    // The mean of equal values may be off by a rounding, and so may be what they are from it.
    const bool is_constant = static_cast<double>(std) <= 1e-12 * std::abs(means[c]);
    normalization.stds.push_back(is_constant || !(std > 0.0F) ? 1.0F : std);
  }
  return normalization;
}

std::vector<std::int64_t> shuffled_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch) {
  check(count <= std::numeric_limits<std::uint32_t>::max(), "shuffle: ", count, " examples are too many");
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(seed, "shuffle", static_cast<std::uint64_t>(epoch));
  for (std::size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[random.index(static_cast<std::uint32_t>(left))]);
  }
  return order;
}

Loader::Loader(Dataset dataset, LoaderOptions options) : dataset_(std::move(dataset)), options_(std::move(options)) {
  dataset_.validate(dataset_.name);
  const Shape shape = dataset_.example_shape();
  pixels_ = pixel_tables(options_.normalization, shape[shape.rank() - 1]);
  options_.augment.validate();
  check(!options_.augment.is_on() || dataset_.has_images(), "loader: augment: expected images u8 [N, H, W, C], but ",
        dataset_.name, " has ", dataset_.examples.dtype(), ' ', dataset_.examples.shape(),
        "; write augment = \"none\"");
  check(options_.batch >= 1, "loader: batch: expected at least 1, got ", options_.batch);
  check(batches_per_epoch() >= 1, "loader: ", dataset_.name, " has ", dataset_.size(),
        " examples, fewer than one batch of ", options_.batch, ", and drop_last leaves none");
}

std::int64_t Loader::batches_per_epoch() const {
  return (dataset_.size() + (options_.drop_last ? 0 : options_.batch - 1)) / options_.batch;
}

void Loader::seek(Position position) {
  check(position.epoch >= 0 && position.batch >= 0 && position.batch <= batches_per_epoch(), "loader: epoch ",
        position.epoch, ", batch ", position.batch, " does not exist: an epoch has ", batches_per_epoch(), " batches");
  next_batch_.wait();
  prepared_ = {};
  if (options_.shuffle) {
    order_ = shuffled_order(dataset_.size(), options_.seed, position.epoch);
  }
  position_ = position;
  start_preparing();
}

bool Loader::next(Batch& batch) {
  if (position_.batch >= batches_per_epoch()) {
    return false;
  }
  if (!prepared_.examples.defined()) {
    seek(position_);
  }
  next_batch_.wait();
  batch = std::move(prepared_);
  prepared_ = {};
  ++position_.batch;
  start_preparing();
  return true;
}

void Loader::start_preparing() {
  if (position_.batch >= batches_per_epoch()) {
    return;
  }
  const std::int64_t first = position_.batch * options_.batch;
  const std::int64_t size = std::min(options_.batch, dataset_.size() - first);
  // The arena is asked here, on the caller's thread; the task only fills.
  prepared_ = {Tensor::empty(dataset_.example_shape().batched(size), DType::F32, &arena_),
               Tensor::empty(dataset_.labels.shape().row().batched(size), dataset_.labels.dtype(), &arena_), first,
               position_.batch};
  next_batch_.start([this] { prepare(prepared_); });
}

void Loader::prepare(Batch& batch) const {
  const Slices slices = slice_rows(batch.size(), kExamplesPerSlice);
  const auto size = static_cast<std::size_t>(dataset_.example_shape().elements());
  const Tensor& labels = dataset_.labels;
  const std::size_t label_bytes = static_cast<std::size_t>(labels.shape().row_elements()) * size_of(labels.dtype());
  const std::span<float> x = batch.examples.data<float>();
  parallel_slices(slices.count, [&](std::int64_t slice) {
    std::vector<std::uint8_t> augmented(options_.augment.is_on() ? size : 0);
    for (std::int64_t row = slices[slice].begin; row < slices[slice].end; ++row) {
      const std::int64_t place = batch.first + row;
      const std::int64_t example = options_.shuffle ? order_[static_cast<std::size_t>(place)] : place;
      const std::span<float> to = x.subspan(static_cast<std::size_t>(row) * size, size);
      if (dataset_.examples.dtype() == DType::U8) {
        prepare_bytes(example, augmented, to);
      } else {
        prepare_reals(example, to);
      }
      std::memcpy(batch.labels.raw() + static_cast<std::size_t>(row) * label_bytes,
                  labels.raw() + static_cast<std::size_t>(example) * label_bytes, label_bytes);
    }
  });
}

void Loader::prepare_bytes(std::int64_t example, std::span<std::uint8_t> augmented, std::span<float> x) const {
  const std::span<const std::uint8_t> bytes = std::as_const(dataset_.examples).data<std::uint8_t>();
  std::span<const std::uint8_t> image = bytes.subspan(static_cast<std::size_t>(example) * x.size(), x.size());
  if (options_.augment.is_on()) {
    // One stream an image and epoch: 2^32 examples leave room for 2^32 epochs.
    const auto epoch = static_cast<std::uint64_t>(position_.epoch);
    RandomStream random(options_.seed, "augment", epoch << 32 | static_cast<std::uint64_t>(example));
    augment(image, dataset_.example_shape(), options_.augment, random, augmented);
    image = augmented;
  }
  if (pixels_.size() == 1) {
    std::ranges::transform(image, x.begin(), [&table = pixels_[0]](std::uint8_t pixel) { return table[pixel]; });
    return;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = pixels_[i % pixels_.size()][image[i]];
  }
}

void Loader::prepare_reals(std::int64_t example, std::span<float> x) const {
  const std::span<const float> values = std::as_const(dataset_.examples).data<float>();
  const std::span<const float> from = values.subspan(static_cast<std::size_t>(example) * x.size(), x.size());
  const auto& [mean, std, means, stds] = options_.normalization;
  if (means.empty()) {
    std::ranges::transform(from, x.begin(), [mean = mean, std = std](float value) { return (value - mean) / std; });
    return;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = (from[i] - means[i % means.size()]) / stds[i % stds.size()];
  }
}

}  // namespace detent::data
