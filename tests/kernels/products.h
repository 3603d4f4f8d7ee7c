#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "detent/core/philox.h"
#include "detent/kernels/product/conv.h"

/// Shapes, random numbers and comparisons that the tests of the products share.
namespace detent::kernels::testing {

struct NamedShape {
  const char* name;
  ConvShape shape;
};

inline void PrintTo(const NamedShape& shape, std::ostream* out) { *out << shape.name; }

/// Every kind of convolution at its borders; small, since the references are plain loops.
inline std::vector<NamedShape> named_shapes() {
  return {
      {"first_layer", {.n = 5, .h = 12, .w = 12, .c = 1, .o = 32, .kh = 3, .kw = 3}},
      {"vector_channels", {.n = 3, .h = 9, .w = 9, .c = 32, .o = 64, .kh = 3, .kw = 3}},
      {"odd_everything", {.n = 7, .h = 7, .w = 9, .c = 3, .o = 10, .kh = 3, .kw = 2}},
      {"few_channels",
       {.n = 9, .h = 10, .w = 11, .c = 2, .o = 7, .kh = 3, .kw = 4, .stride_h = 2, .stride_w = 3, .padding = {1, 2}}},
      {"one_image", {.n = 1, .h = 8, .w = 8, .c = 16, .o = 16, .kh = 3, .kw = 3, .padding = 1}},
      {"many_images", {.n = 130, .h = 6, .w = 5, .c = 4, .o = 6, .kh = 3, .kw = 3}},
      {"many_slices", {.n = 37, .h = 28, .w = 28, .c = 2, .o = 33, .kh = 3, .kw = 3}},
      {"stride", {.n = 4, .h = 11, .w = 13, .c = 8, .o = 16, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 3}},
      {"padding", {.n = 4, .h = 7, .w = 7, .c = 16, .o = 24, .kh = 5, .kw = 5, .padding = 2}},
      {"stride_and_padding",
       {.n = 3, .h = 15, .w = 14, .c = 16, .o = 32, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 2, .padding = 1}},
      {"uneven_padding", {.n = 2, .h = 6, .w = 8, .c = 5, .o = 7, .kh = 3, .kw = 5, .padding = {1, 2}}},
      {"padding_below_and_right",
       {.n = 3, .h = 6, .w = 7, .c = 16, .o = 16, .kh = 2, .kw = 2, .padding = {0, 0, 1, 1}}},
      {"four_paddings", {.n = 4, .h = 7, .w = 9, .c = 3, .o = 18, .kh = 3, .kw = 5, .padding = {1, 0, 2, 3}}},
      {"four_paddings_strided",
       {.n = 3,
        .h = 12,
        .w = 9,
        .c = 32,
        .o = 32,
        .kh = 4,
        .kw = 3,
        .stride_h = 2,
        .stride_w = 1,
        .padding = {2, 1, 0, 0}}},
      {"one_side_pointwise", {.n = 3, .h = 5, .w = 5, .c = 16, .o = 16, .padding = {0, 0, 0, 2}}},
      {"one_side_depthwise",
       {.n = 2, .h = 8, .w = 8, .c = 16, .o = 16, .kh = 3, .kw = 2, .padding = {1, 0, 0, 1}, .groups = 16}},
      {"dilation", {.n = 3, .h = 12, .w = 12, .c = 16, .o = 16, .kh = 3, .kw = 3, .dilation_h = 2, .dilation_w = 3}},
      {"dilation_and_padding",
       {.n = 2, .h = 10, .w = 10, .c = 3, .o = 5, .kh = 3, .kw = 3, .padding = 2, .dilation_h = 2, .dilation_w = 2}},
      {"groups", {.n = 3, .h = 8, .w = 8, .c = 32, .o = 64, .kh = 3, .kw = 3, .padding = 1, .groups = 2}},
      {"odd_groups", {.n = 3, .h = 8, .w = 8, .c = 6, .o = 9, .kh = 3, .kw = 3, .groups = 3}},
      {"depthwise", {.n = 3, .h = 9, .w = 9, .c = 32, .o = 32, .kh = 3, .kw = 3, .padding = 1, .groups = 32}},
      {"odd_depthwise", {.n = 3, .h = 9, .w = 7, .c = 5, .o = 5, .kh = 3, .kw = 3, .padding = 1, .groups = 5}},
      {"depth_multiplier", {.n = 2, .h = 6, .w = 6, .c = 4, .o = 8, .kh = 3, .kw = 3, .groups = 4}},
      {"pointwise", {.n = 4, .h = 7, .w = 7, .c = 32, .o = 48}},
      {"odd_pointwise", {.n = 9, .h = 5, .w = 5, .c = 7, .o = 10}},
      {"pointwise_stride", {.n = 3, .h = 8, .w = 8, .c = 16, .o = 32, .stride_h = 2, .stride_w = 2}},
      {"whole_image", {.n = 6, .h = 5, .w = 5, .c = 16, .o = 12, .kh = 5, .kw = 5}},
      {"lenet", {.n = 33, .h = 14, .w = 14, .c = 6, .o = 16, .kh = 5, .kw = 5}},
      {"linear", {.n = 128, .c = 256, .o = 64}},
      {"linear_ten", {.n = 128, .c = 84, .o = 10}},
      {"linear_one_row", {.n = 1, .c = 300, .o = 17}},
      {"linear_odd", {.n = 130, .c = 785, .o = 33}},
      {"linear_one_output", {.n = 67, .c = 31, .o = 1}},
      {"linear_wide", {.n = 20, .c = 40, .o = 500}},
      {"linear_deep", {.n = 3, .c = 2100, .o = 20}},
  };
}

inline std::string shape_name(const ::testing::TestParamInfo<NamedShape>& info) { return info.param.name; }

inline std::vector<float> random_floats(std::int64_t count, std::string_view purpose, std::uint64_t seed = 1) {
  RandomStream random(seed, purpose);
  std::vector<float> values(static_cast<std::size_t>(count));
  std::generate(values.begin(), values.end(), [&] { return random.uniform(-1.0F, 1.0F); });
  return values;
}

template <typename T>
std::vector<T> random_codes(std::int64_t count, std::int32_t low, std::int32_t high, std::string_view purpose,
                            std::uint64_t seed = 1) {
  RandomStream random(seed, purpose);
  std::vector<T> codes(static_cast<std::size_t>(count));
  std::generate(codes.begin(), codes.end(), [&] {
    return static_cast<T>(low + static_cast<std::int32_t>(random.index(static_cast<std::uint32_t>(high - low + 1))));
  });
  return codes;
}

inline std::vector<bfloat16> to_bf16(const std::vector<float>& values) {
  std::vector<bfloat16> rounded(values.size());
  std::transform(values.begin(), values.end(), rounded.begin(), [](float value) { return bfloat16(value); });
  return rounded;
}

inline std::vector<float> to_floats(const std::vector<bfloat16>& values) { return {values.begin(), values.end()}; }

/// The gradients of a convolution, NaN until they are written.
struct Gradients {
  std::vector<float> dx, dw, db;
  explicit Gradients(const ConvShape& shape)
      : dx(static_cast<std::size_t>(shape.n * shape.input_row()), std::numeric_limits<float>::quiet_NaN()),
        dw(static_cast<std::size_t>(shape.weight_elements()), std::numeric_limits<float>::quiet_NaN()),
        db(static_cast<std::size_t>(shape.o), std::numeric_limits<float>::quiet_NaN()) {}
};

template <typename T>
const std::byte* bytes_of(const std::vector<T>& values) {
  return reinterpret_cast<const std::byte*>(values.data());
}
template <typename T>
std::byte* bytes_of(std::vector<T>& values) {
  return reinterpret_cast<std::byte*>(values.data());
}

/// |actual - expected| <= tolerance * the largest |expected| (sums of mixed signs cancel, so not the element's own).
inline ::testing::AssertionResult are_near(const char* what, const std::vector<float>& actual,
                                           const std::vector<float>& expected, float tolerance) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << what << ": " << actual.size() << " elements, expected " << expected.size();
  }
  float largest = 1e-6F;
  for (const float value : expected) {
    largest = std::max(largest, std::fabs(value));
  }
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (!(std::fabs(actual[i] - expected[i]) <= tolerance * largest)) {
      return ::testing::AssertionFailure() << what << " at " << i << ": expected " << expected[i] << ", actual "
                                           << actual[i] << ", largest " << largest << ", tolerance " << tolerance;
    }
  }
  return ::testing::AssertionSuccess();
}

template <typename T>
::testing::AssertionResult are_equal(const char* what, const std::vector<T>& actual, const std::vector<T>& expected) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << what << ": " << actual.size() << " elements, expected " << expected.size();
  }
  std::size_t differing = 0;
  std::size_t first = 0;
  for (std::size_t i = actual.size(); i-- > 0;) {
    if (actual[i] != expected[i]) {
      ++differing;
      first = i;
    }
  }
  if (differing > 0) {
    return ::testing::AssertionFailure() << what << ": " << differing << " of " << actual.size() << " differ, first at "
                                         << first << ": expected " << +expected[first] << ", actual " << +actual[first];
  }
  return ::testing::AssertionSuccess();
}

}  // namespace detent::kernels::testing
