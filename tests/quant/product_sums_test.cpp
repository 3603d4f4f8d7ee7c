// The sums of a quantized product, made again slice by slice.

#include "detent/quant/kinds/product/product_sums.h"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "detent/core/philox.h"

namespace detent::quant::product_sums_test {
namespace {

// Who adds up over a slice does so without a lock, and in the same order for every number of threads.
TEST(ProductSums, OfASliceComePartAfterPartOnItsThread) {
  for (const std::int64_t images : {1, 16, 44, 128}) {
    const kernels::ConvShape shape{.n = images, .h = 13, .w = 13, .c = 8, .o = 8, .kh = 3, .kw = 3, .padding = 1};
    Tensor x = Tensor::zeros({images, 13, 13, 8}, DType::U8);
    RandomStream random(7, "product sums");
    for (std::uint8_t& q : x.data<std::uint8_t>()) {
      q = static_cast<std::uint8_t>(random.index(256));
    }
    x = x.with_qparams(std::make_shared<const QParams>(QParams::per_tensor({0.5F, 3}, unsigned_codes(8))));
    Tensor codes = Tensor::zeros(shape.weight_shape(), DType::S8);
    for (std::int8_t& q : codes.data<std::int8_t>()) {
      q = static_cast<std::int8_t>(static_cast<std::int32_t>(random.index(255)) - 127);
    }
    const ProductSums sums(shape, x, {codes, QParams::per_tensor({1.0F, 0}, signed_codes(8))}, nullptr);

    struct Seen {
      std::thread::id thread;
      std::int64_t end = 0;
    };
    const Slices slices = kernels::conv_slices(shape);
    std::vector<Seen> seen(static_cast<std::size_t>(slices.count));
    std::mutex mutex;
    sums.visit_all([&](std::int64_t slice, Range part, const std::int32_t*) {
      const std::lock_guard lock(mutex);
      Seen& of_slice = seen[static_cast<std::size_t>(slice)];
      if (part.begin == slices[slice].begin) {
        of_slice = {std::this_thread::get_id(), part.begin};
      }
      EXPECT_EQ(part.begin, of_slice.end) << images << " images, slice " << slice;
      EXPECT_EQ(std::this_thread::get_id(), of_slice.thread) << images << " images, slice " << slice;
      EXPECT_TRUE(part.end == slices[slice].end || (part.end - slices[slice].begin) % 8 == 0 ||
                  shape.output_row() % 8 == 0);
      of_slice.end = part.end;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    });
    for (std::int64_t slice = 0; slice < slices.count; ++slice) {
      EXPECT_EQ(seen[static_cast<std::size_t>(slice)].end, slices[slice].end);
    }
  }
}

}  // namespace
}  // namespace detent::quant::product_sums_test
