#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "detent/core/memory.h"
#include "detent/core/threads/async_task.h"
#include "detent/data/augment.h"
#include "detent/data/dataset.h"

namespace detent::data {

/// x = (pixel / 255 - mean) / std of bytes, x = (value - mean) / std of real numbers, every operation rounded to f32.
/// With the default real numbers stay as they are, and the 256 pixel values are the codes of an affine u8 tensor of
/// scale 1/255 and zero point 0, exactly. REQUIRES: std finite, > 0.
struct Normalization {
  float mean = 0.0F;
  float std = 1.0F;
  /// In place of `mean` and `std` one each for every index of an example's last axis: the columns of rows of features,
  /// the channels of images. None: one for all.
  std::vector<float> means = {};
  std::vector<float> stds = {};
  bool operator==(const Normalization&) const = default;
};

/// The 256 values that a pixel becomes by `mean` and `std`.
std::array<float, 256> normalized_pixels(const Normalization& normalization);

/// The mean and the standard deviation sqrt(sum (x - mean)^2 / N) of every column, or channel, of the examples, of
/// bytes as p / 255. A column of one value gets 1 for its deviation, which makes it 0.
Normalization column_normalization(const Dataset& dataset);

struct LoaderOptions {
  std::int64_t batch = 128;
  bool shuffle = false;    ///< another order every epoch, by (seed, epoch)
  std::uint64_t seed = 0;  ///< of shuffles and augmentation
  Augmentation augment = {};
  bool drop_last = false;  ///< leave out a last batch that is not full
  Normalization normalization = {};
};

/// A batch of examples as a step takes it.
struct Batch {
  Tensor examples;          ///< f32 [B, ...], normalized
  Tensor labels;            ///< as the data set has them: s32 [B], or f32 [B, K]
  std::int64_t first = 0;   ///< how many examples of this epoch came before it
  std::int64_t number = 0;  ///< how many batches of this epoch came before it
  std::int64_t size() const { return labels.shape()[0]; }
};

/// Hands out a data set in batches, epoch by epoch; while a step computes, the next batch is prepared on the threads
/// that the caller runs in. What comes depends on data set, options and epoch alone: not on the number of threads, and
/// not on the epochs before.
///
///     Loader loader(train, {.batch = 128, .shuffle = true, .seed = 1});
///     for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
///       loader.begin_epoch(epoch);
///       for (Batch batch; loader.next(batch);) { ... }
///     }
class Loader {
 public:
  /// Where the loader stands: the next batch that `next` gives. For checkpoints.
  struct Position {
    std::int64_t epoch = 0;
    std::int64_t batch = 0;
    bool operator==(const Position&) const = default;
  };

  /// Throws Error for an invalid data set or option, and for augmentation of what are no images. The loader stands at
  /// the start of epoch 0.
  Loader(Dataset dataset, LoaderOptions options);

  std::int64_t batches_per_epoch() const;
  const Dataset& dataset() const { return dataset_; }
  const LoaderOptions& options() const { return options_; }

  void begin_epoch(std::int64_t epoch) { seek({epoch, 0}); }
  /// The next batch of the epoch in `batch`, or false if there is none. A batch that was handed out stays as it is
  /// while somebody holds it; drop it to have its memory used again.
  bool next(Batch& batch);

  Position position() const { return position_; }
  /// Goes to any batch of any epoch: `next` gives what it would have given there. Throws Error for a batch that the
  /// epoch does not have (its end is allowed).
  void seek(Position position);

 private:
  void start_preparing();
  void prepare(Batch& batch) const;
  void prepare_bytes(std::int64_t example, std::span<std::uint8_t> augmented, std::span<float> x) const;
  void prepare_reals(std::int64_t example, std::span<float> x) const;

  Dataset dataset_;
  LoaderOptions options_;
  std::vector<std::array<float, 256>> pixels_;  // of all channels, or of each
  Position position_;
  std::vector<std::int64_t> order_;  // the example at every place of this epoch
  Arena arena_;
  Batch prepared_;
  AsyncTask next_batch_;  // last: ends before what it writes to
};

/// The order of `count` examples in `epoch`: a permutation of [0, count) that depends on seed and epoch alone
/// (Fisher-Yates on a Philox stream).
std::vector<std::int64_t> shuffled_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch);

}  // namespace detent::data
