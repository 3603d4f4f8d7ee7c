#include "detent/kernels/product/int8/grouped_layer.h"

#include <cstring>

#include "detent/core/memory.h"

namespace detent::kernels {
namespace {

/// Copies rows of `bytes` bytes between memories in which they lie `from_stride` and `to_stride` apart.
void copy_rows(const std::uint8_t* from, std::int64_t from_stride, std::int64_t rows, std::int64_t bytes,
               std::uint8_t* to, std::int64_t to_stride) {
  for (std::int64_t row = 0; row < rows; ++row) {
    std::memcpy(to + row * to_stride, from + row * from_stride, static_cast<std::size_t>(bytes));
  }
}

class GroupedLayer final : public Int8Conv::Layer {
 public:
  GroupedLayer(const ConvShape& shape, std::vector<std::shared_ptr<const Int8Conv::Layer>> groups)
      : shape_(shape), of_group_(shape_of_group(shape)), groups_(std::move(groups)) {}

  std::int64_t parts() const override { return shape_.groups; }

  void run(const std::uint8_t* x_q, std::int64_t images, Range parts, std::uint8_t* y_q,
           const std::uint8_t*) const override {
    const std::int64_t pixels = shape_.h * shape_.w, results = shape_.out_h() * shape_.out_w();
    const std::int64_t channels = of_group_.c, outputs = of_group_.o;
    auto* const x = thread_scratch_of<std::uint8_t>(
        static_cast<std::size_t>(of_group_.input_row() + of_group_.output_row()), Scratch::ProductPadded);
    std::uint8_t* const y = x + of_group_.input_row();
    for (std::int64_t image = 0; image < images; ++image) {
      const std::uint8_t* const from = x_q + image * shape_.input_row();
      std::uint8_t* const to = y_q + image * shape_.output_row();
      for (std::int64_t group = parts.begin; group < parts.end; ++group) {
        const Int8Conv::Layer& layer = *groups_[static_cast<std::size_t>(group)];
        copy_rows(from + group * channels, shape_.c, pixels, channels, x, channels);
        layer.run(x, 1, {0, layer.parts()}, y, nullptr);
        copy_rows(y, outputs, results, outputs, to + group * outputs, shape_.o);
      }
    }
  }

  void observe(const std::uint8_t*, std::int64_t, std::uint8_t*, std::uint8_t*, MinMax*) const override {
    // Int8Conv::make_observed makes none.
  }

  std::size_t bytes() const override {
    std::size_t sum = 0;
    for (const auto& layer : groups_) {
      sum += layer->bytes();
    }
    return sum;
  }

  std::vector<std::span<std::byte>> packed_memory_for_tests() const override {
    std::vector<std::span<std::byte>> memory;
    for (const auto& layer : groups_) {
      for (const std::span<std::byte> own : layer->packed_memory_for_tests()) {
        memory.push_back(own);
      }
    }
    return memory;
  }

 private:
  ConvShape shape_, of_group_;
  std::vector<std::shared_ptr<const Int8Conv::Layer>> groups_;
};

std::vector<float> of_group(const std::vector<float>& by_output, std::int64_t outputs, std::int64_t group) {
  if (by_output.empty()) {
    return {};
  }
  const auto first = by_output.begin() + group * outputs;
  return {first, first + outputs};
}

}  // namespace

std::shared_ptr<const Int8Conv::Layer> make_grouped_layer(const ConvShape& shape,
                                                          std::vector<std::shared_ptr<const Int8Conv::Layer>> groups) {
  return std::make_shared<GroupedLayer>(shape, std::move(groups));
}

ConvShape shape_of_group(const ConvShape& shape) {
  ConvShape group = shape;
  group.c /= shape.groups;
  group.o /= shape.groups;
  group.groups = 1;
  return group;
}

Requantization requantization_of_group(const ConvShape& shape, const Requantization& r, std::int64_t group) {
  const std::int64_t outputs = shape.o / shape.groups;
  Requantization own = r;
  own.multiplier = of_group(r.multiplier, outputs, group);
  own.bias = of_group(r.bias, outputs, group);
  own.real_scale = of_group(r.real_scale, outputs, group);
  return own;
}

}  // namespace detent::kernels
