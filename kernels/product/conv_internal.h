#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "detent/core/memory.h"
#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/direct/direct_conv.h"
#include "detent/kernels/product/onednn/onednn.h"

/// What the sources of the convolution share with each other.
namespace detent::kernels {

class Int8Product;

/// How the numbers of a packed weight lie in memory.
///   Plain     O KH KW I, as the caller had it
///   Blocked   oneDNN's layout for the product
///   Tiles     for the tiles of Int8Product (integer products)
///   Depthwise see depthwise/depthwise.h
///   Direct    DirectConv's layout
enum class WeightLayout : std::uint8_t { Plain, Blocked, Tiles, Depthwise, Direct };

struct PackedWeight::Impl {
  ConvShape shape;  // with n = 1
  DType dtype = DType::F32;
  onednn::Product product = onednn::Product::Forward;
  WeightLayout layout = WeightLayout::Plain;
  std::shared_ptr<const std::byte> data;
  std::size_t bytes = 0;           // of data
  std::vector<std::int32_t> sums;  // of an output's codes; only for integer linear layers, and depthwise
  std::shared_ptr<const Int8Product> tiles = nullptr;  // whose weights `data` is
  std::shared_ptr<const DirectConv> direct = nullptr;  // of the layout Direct
};

/// The implementation of `weight`, checked to be packed for this product, shape and type.
const PackedWeight::Impl& packed_for(std::string_view op, const PackedWeight& weight, onednn::Product product,
                                     const ConvShape& shape, DType dtype);

/// Images of a slice at most. It depends on the size of an image alone, so that packed weights fit every batch.
std::int64_t images_per_slice(const ConvShape& shape);

/// The plans for the slices of a shape, which are of at most two sizes.
class SlicePlans {
 public:
  template <typename Make>
  SlicePlans(const Slices& slices, Make&& make) : small_images_(slices.rows / slices.count) {
    small_ = make(small_images_);
    large_ = slices.rows % slices.count == 0 ? small_ : make(small_images_ + 1);
  }
  const onednn::Plan& operator[](Range images) const { return images.size() == small_images_ ? *small_ : *large_; }

 private:
  std::int64_t small_images_;
  onednn::PlanPointer small_, large_;
};

/// Memory that lasts for one op, and is used again by the next: unlike thread_scratch it may be shared by its slices.
std::shared_ptr<std::byte> op_buffer(std::size_t bytes);

void convert_to_float(const bfloat16* from, std::int64_t count, float* to);
/// bf16 numbers in memory as f32 ones, for the products of processors without bf16 units.
std::shared_ptr<std::byte> widened(const std::byte* from, std::int64_t count);
void convert_to_bfloat16(const float* from, std::int64_t count, bfloat16* to);

/// sum[i] += part[i]
void add_to(float* sum, const float* part, std::int64_t count);
/// Adds partials [count, elements] in their order, in parallel; the sum replaces the first.
void add_partials(float* first, std::int64_t count, std::int64_t elements);
/// sums[o] += the sum of column o of `rows` [count, columns].
void add_rows_to(float* sums, DType dtype, const std::byte* rows, std::int64_t count, std::int64_t columns);

/// conv2d_backward of linear layers, whose slices are columns or outputs of the results: there are no partial sums.
void linear_backward(const ConvShape& shape, const ConvBackward& backward);

}  // namespace detent::kernels
