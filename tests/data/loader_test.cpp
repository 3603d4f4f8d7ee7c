#include "detent/data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

#include "detent/core/threads/parallel.h"
#include "detent/data/digits.h"
#include "tests/data/temp_folder.h"

namespace detent::data::loader_test {
namespace {

using ::testing::HasSubstr;

/// 23 images of 2 x 3 pixels: every pixel of image i is 10 i, its label is i.
Dataset small_dataset() {
  constexpr std::int64_t kCount = 23;
  Dataset dataset{"small", Tensor::empty({kCount, 2, 3, 1}, DType::U8), Tensor::empty({kCount}, DType::S32), kCount};
  for (std::int64_t i = 0; i < kCount; ++i) {
    dataset.labels.data<std::int32_t>()[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i);
    std::memset(dataset.examples.raw() + i * 6, static_cast<int>(10 * i), 6);
  }
  return dataset;
}

struct Epoch {
  std::vector<std::int32_t> labels;
  std::vector<float> pixels;
  std::vector<std::int64_t> sizes;
  bool operator==(const Epoch&) const = default;
};

Epoch rest_of_epoch(Loader& loader) {
  Epoch epoch;
  for (Batch batch; loader.next(batch);) {
    const auto labels = std::as_const(batch.labels).data<std::int32_t>();
    const auto pixels = std::as_const(batch.examples).data<float>();
    epoch.labels.insert(epoch.labels.end(), labels.begin(), labels.end());
    epoch.pixels.insert(epoch.pixels.end(), pixels.begin(), pixels.end());
    epoch.sizes.push_back(batch.size());
  }
  return epoch;
}

Epoch run_epoch(Loader& loader, std::int64_t epoch) {
  loader.begin_epoch(epoch);
  return rest_of_epoch(loader);
}

/// 7 examples of 3 real numbers: 100 i, 100 i + 1, 100 i + 2.
Dataset real_dataset() {
  Dataset dataset{"real", Tensor::empty({7, 3}, DType::F32), Tensor::zeros({7}, DType::S32), 1};
  const auto values = dataset.examples.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(100 * (i / 3) + i % 3);
  }
  return dataset;
}

TEST(Loader, GivesRealNumbersAsTheyAre) {
  Loader loader(real_dataset(), {.batch = 4});
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  EXPECT_EQ(batch.examples.shape(), Shape({4, 3}));
  EXPECT_EQ(batch.examples.data<float>()[10], 301.0F);
  Loader normalized(real_dataset(), {.batch = 4, .normalization = {.mean = 1.0F, .std = 4.0F}});
  ASSERT_TRUE(normalized.next(batch));
  EXPECT_EQ(batch.examples.data<float>()[10], 75.0F);
}

TEST(Loader, ShufflesRealNumbersWithTheirExamples) {
  Loader loader(real_dataset(), {.batch = 7, .shuffle = true, .seed = 4});
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  std::set<float> first;
  const auto x = std::as_const(batch.examples).data<float>();
  for (std::size_t i = 0; i < x.size(); i += 3) {
    first.insert(x[i]);
    EXPECT_EQ(x[i + 2], x[i] + 2.0F);
  }
  EXPECT_EQ(first, (std::set<float>{0, 100, 200, 300, 400, 500, 600}));
}

TEST(Loader, AugmentsOnlyImages) {
  EXPECT_THAT(error_of([] { Loader(real_dataset(), {.batch = 4, .augment = {.shift = 2.0F}}); }),
              "loader: augment: expected images u8 [N, H, W, C], but real has f32 [7, 3]; write augment = \"none\"");
}

TEST(Loader, RefusesNumbersThatAreNotFinite) {
  Dataset dataset = real_dataset();
  dataset.examples.data<float>()[13] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_of([&] { Loader(dataset, {.batch = 4}); }), HasSubstr("number 1 of example 4 is nan"));
}

TEST(Loader, GivesTheDataInOrder) {
  Loader loader(small_dataset(), {.batch = 5});
  EXPECT_EQ(loader.batches_per_epoch(), 5);
  const Epoch epoch = run_epoch(loader, 0);
  EXPECT_EQ(epoch.sizes, (std::vector<std::int64_t>{5, 5, 5, 5, 3}));
  for (std::size_t i = 0; i < epoch.labels.size(); ++i) {
    EXPECT_EQ(epoch.labels[i], static_cast<std::int32_t>(i));
    EXPECT_EQ(epoch.pixels[6 * i], static_cast<float>(10 * i) / 255.0F) << "image " << i;
  }
  Batch batch;
  EXPECT_FALSE(loader.next(batch));
}

TEST(Loader, DropsALastBatchThatIsNotFull) {
  Loader loader(small_dataset(), {.batch = 5, .drop_last = true});
  EXPECT_EQ(run_epoch(loader, 0).sizes, (std::vector<std::int64_t>{5, 5, 5, 5}));
}

TEST(Loader, CountsWhatCameBefore) {
  Loader loader(small_dataset(), {.batch = 8});
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  ASSERT_TRUE(loader.next(batch));
  EXPECT_EQ(batch.first, 8);
  EXPECT_EQ(batch.number, 1);
  EXPECT_EQ(batch.examples.shape(), Shape({8, 2, 3, 1}));
}

TEST(Loader, ShufflesByPermutationsThatDifferByEpochAndSeed) {
  std::set<std::vector<std::int64_t>> orders;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
      std::vector<std::int64_t> order = shuffled_order(1000, seed, epoch);
      EXPECT_EQ(order, shuffled_order(1000, seed, epoch));
      orders.insert(order);
      std::ranges::sort(order);
      for (std::size_t i = 0; i < order.size(); ++i) {
        ASSERT_EQ(order[i], static_cast<std::int64_t>(i)) << "seed " << seed << ", epoch " << epoch;
      }
    }
  }
  EXPECT_EQ(orders.size(), 12U);
}

TEST(Loader, EveryPlaceIsEquallyLikelyInAShuffle) {
  constexpr int kShuffles = 6000;
  std::array<std::array<int, 4>, 4> counts{};
  for (int epoch = 0; epoch < kShuffles; ++epoch) {
    const auto order = shuffled_order(4, 5, epoch);
    for (std::size_t place = 0; place < 4; ++place) {
      ++counts[place][static_cast<std::size_t>(order[place])];
    }
  }
  // 1500 expected; five standard deviations are 168.
  for (std::size_t place = 0; place < 4; ++place) {
    for (std::size_t example = 0; example < 4; ++example) {
      EXPECT_NEAR(counts[place][example], kShuffles / 4, 168) << "example " << example << " at place " << place;
    }
  }
}

TEST(Loader, AnEpochDoesNotDependOnThoseBefore) {
  const LoaderOptions options{.batch = 4, .shuffle = true, .seed = 3};
  Loader steady(small_dataset(), options);
  run_epoch(steady, 0);
  run_epoch(steady, 1);
  const Epoch expected = run_epoch(steady, 2);
  Loader fresh(small_dataset(), options);
  EXPECT_EQ(run_epoch(fresh, 2), expected);
  EXPECT_NE(expected.labels, run_epoch(steady, 1).labels);
}

TEST(Loader, ResumesWhereItStood) {
  const LoaderOptions options{.batch = 4, .shuffle = true, .seed = 3, .augment = {.shift = 1.0F}};
  Loader loader(small_dataset(), options);
  loader.begin_epoch(6);
  Batch batch;
  loader.next(batch);
  loader.next(batch);
  const Loader::Position position = loader.position();
  EXPECT_EQ(position, (Loader::Position{6, 2}));
  const Epoch expected = rest_of_epoch(loader);
  Loader resumed(small_dataset(), options);
  resumed.seek(position);
  EXPECT_EQ(rest_of_epoch(resumed), expected);
  resumed.seek({6, 6});
  EXPECT_FALSE(resumed.next(batch));
  EXPECT_THROW(resumed.seek({6, 7}), Error);
}

TEST(Loader, TheSameBitsAtAnyNumberOfThreads) {
  const Dataset digits = make_digits({.train = 300, .test = 10}).train;
  const LoaderOptions options{
      .batch = 64, .shuffle = true, .seed = 8, .augment = {.shift = 2, .rotation = 10, .scale = 0.1F, .elastic = 1}};
  std::vector<Epoch> results;
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    pool.run([&] {
      Loader loader(digits, options);
      results.push_back(run_epoch(loader, 1));
    });
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Loader, ABatchStaysAsItIsWhileItIsHeld) {
  Loader loader(small_dataset(), {.batch = 5});
  std::vector<Batch> held;
  for (Batch batch; loader.next(batch);) {
    held.push_back(batch);
  }
  for (const Batch& batch : held) {
    EXPECT_EQ(std::as_const(batch.labels).data<std::int32_t>()[0], batch.first);
  }
}

TEST(Loader, MayBeLeftInTheMiddle) {
  for (int i = 0; i < 20; ++i) {
    Loader loader(small_dataset(), {.batch = 2});
    Batch batch;
    loader.next(batch);
  }
}

TEST(Loader, NormalizesByDivision) {
  const auto plain = normalized_pixels({});
  const auto scaled = normalized_pixels({.mean = 0.1307F, .std = 0.3081F});
  for (std::size_t pixel = 0; pixel < 256; ++pixel) {
    const float x = static_cast<float>(pixel) / 255.0F;
    EXPECT_EQ(plain[pixel], x);
    EXPECT_EQ(scaled[pixel], (x - 0.1307F) / 0.3081F);
  }
}

TEST(Loader, RefusesWhatCannotBeMeant) {
  EXPECT_THAT(error_of([] { Loader(small_dataset(), {.batch = 0}); }), HasSubstr("batch: expected at least 1, got 0"));
  EXPECT_THAT(error_of([] { Loader(small_dataset(), {.batch = 24, .drop_last = true}); }), HasSubstr("drop_last"));
  EXPECT_THAT(error_of([] { Loader(small_dataset(), {.normalization = {.std = 0.0F}}); }), HasSubstr("std"));
  EXPECT_THAT(error_of([] { Loader(small_dataset(), {.augment = {.scale = 1.0F}}); }), HasSubstr("augment: scale"));
  EXPECT_THAT(error_of([] { Loader(Dataset{}, {}); }), HasSubstr("images"));
}

}  // namespace
}  // namespace detent::data::loader_test
