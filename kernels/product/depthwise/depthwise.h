#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/depthwise/line_kernels.h"
#include "detent/kernels/product/int8_conv.h"
#include "detent/kernels/product/onednn/onednn.h"

/// Depthwise convolutions (groups == c == o) on vectors over channels. All of it works on the calling thread.
namespace detent::kernels::depthwise {

/// Whether these kernels compute `shape` here: a depthwise convolution of several channels, on a processor with AVX2.
bool serves(const ConvShape& shape);

/// Whether a product of floats of `dtype` is faster here than oneDNN's, by measurement: all in bf16 without units for
/// it; else dx in f32 or with a stride, and the forward product in f32 without a stride on AVX-512.
bool serves(const ConvShape& shape, onednn::Product product, DType dtype);

/// Weights of f32 or bf16 as f32 numbers [tap][channels, filled up to vectors].
struct Weight {
  std::shared_ptr<std::byte> data;
  std::size_t bytes = 0;
};
Weight pack_forward(const ConvShape& shape, DType dtype, const std::byte* weight);
/// For dx, whose taps are sorted by the residues of lines and columns with respect to the strides.
Weight pack_backward(const ConvShape& shape, DType dtype, const std::byte* weight);

/// conv2d_forward of the images of `shape`: the lines `lines` of each result.
void forward(const ConvShape& shape, Range lines, DType dtype, const std::byte* x, const std::byte* weight,
             const float* bias, bool relu, DType out, std::byte* y);
/// dx of the images of `shape`.
void backward_data(const ConvShape& shape, DType dtype, const std::byte* dy, const std::byte* weight, DType dx_dtype,
                   std::byte* dx);
/// Numbers of the sums of dw.
std::int64_t weight_sums(const ConvShape& shape);
/// sums = dw of the images of `shape`, one image after another.
void backward_weight(const ConvShape& shape, DType dtype, const std::byte* dy, const std::byte* x, float* sums);
/// dw [O, KH, KW, 1] of sums.
void unpack_sums(const ConvShape& shape, const float* sums, float* dw);

/// Weight codes in the order of CodeLine (line_kernels.h), and the sum of each lane's.
struct Codes {
  std::shared_ptr<std::byte> data;
  std::size_t bytes = 0;
  std::vector<std::int32_t> sums;
};
Codes pack_codes(const ConvShape& shape, const std::int8_t* weight);
/// acc of conv2d_integer, of the images of `shape`.
void integer_sums(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point, const std::byte* weight,
                  std::span<const std::int32_t> weight_sums, std::int32_t* acc);

/// An Int8Conv of a depthwise convolution: from codes to codes, sums stay in registers.
class Int8Layer final : public Int8Conv::Layer {
 public:
  /// `has_bias`: whether sums get their bias as f32, as observe wants it. REQUIRES: serves(shape); 0 <= x_zero_point <=
  /// 255.
  Int8Layer(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point, const Requantization& r,
            bool has_bias);
  std::int64_t parts() const override { return shape_.out_h(); }
  /// REQUIRES of the first: codes before clamping stay below 2^30; of the second: channels are a multiple of 16.
  void run(const std::uint8_t* x_q, std::int64_t images, Range lines, std::uint8_t* y_q,
           const std::uint8_t* other_q) const override;
  void observe(const std::uint8_t* x_q, std::int64_t images, std::uint8_t* y_q, std::uint8_t* mask,
               MinMax* seen) const override;
  std::size_t bytes() const override;
  std::vector<std::span<std::byte>> packed_memory_for_tests() const override;

 private:
  CodeConstants constants() const;

  ConvShape shape_;
  std::int32_t x_zero_point_;
  Codes weight_;
  std::vector<std::int32_t> start_;
  std::vector<float> bias_, multiplier_, real_scale_;
  ScaleZero output_;
  CodeRange codes_;
  bool relu_;
  bool has_bias_;
};

/// For run, null where codes before clamping might not fit; or, `is_observed`, for observe. Throws Error where
/// conv2d_integer would. REQUIRES: serves(shape).
std::shared_ptr<const Int8Layer> make_int8_layer(const ConvShape& shape, const std::int8_t* weight,
                                                 std::int32_t x_zero_point, const Requantization& r, bool is_observed);

}  // namespace detent::kernels::depthwise
