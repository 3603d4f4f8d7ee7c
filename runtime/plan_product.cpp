#include <algorithm>

#include "detent/core/conversion.h"
#include "detent/core/memory.h"
#include "detent/kernels/layers/elementwise.h"
#include "detent/kernels/product/depthwise/depthwise.h"
#include "detent/kernels/product/direct/direct_conv.h"
#include "detent/kernels/product/group_product.h"
#include "detent/kernels/product/int8_conv.h"
#include "detent/runtime/plan_step.h"

/// Steps of products.
namespace detent::runtime {
namespace {

/// What integer and float products share.
class ProductStep : public Step {
 public:
  ProductStep(const Product& product, const StepRequest& request) : Step(request), shape_(product.shape) {}
  Grain grain() const override {
    return shape_.h * shape_.w * shape_.kh * shape_.kw == 1 ? Grain::Batch : Grain::Image;
  }
  std::int64_t work() const override { return shape_.output_row() * shape_.depth(); }

 protected:
  kernels::ConvShape of(Range images) const {
    kernels::ConvShape shape = shape_;
    shape.n = images.size();
    return shape;
  }

 private:
  kernels::ConvShape shape_;
};

/// How the sums of a product of codes become codes.
kernels::Requantization requantization_of(const Product& product, const PlanValue& input, const PlanValue& output) {
  kernels::Requantization r = kernels::make_requantization(input.map(), *product.weight.qparams(), {}, product.shape.o,
                                                           output.map(), output.codes(), product.relu);
  if (product.bias.defined()) {
    std::ranges::transform(product.bias.data<std::int32_t>(), std::back_inserter(r.bias),
                           [](std::int32_t b) { return static_cast<float>(b); });
  }
  return r;
}

/// Sums, codes and pool, or residual sum, in one kernel.
class Int8Step : public ProductStep {
 public:
  Int8Step(kernels::Int8Conv layer, const Product& product, const StepRequest& request)
      : ProductStep(product, request), layer_(std::move(layer)) {}
  std::int64_t parts() const override { return layer_.parts(); }
  void run(Range images, std::int64_t task, Range parts) const override {
    layer_.run(in<std::uint8_t>(images, task), images.size(), parts, out<std::uint8_t>(images, task),
               inputs().size() > 1 ? in<std::uint8_t>(images, task, 1) : nullptr);
  }
  std::size_t bytes() const override { return layer_.bytes(); }
  PackedMemory packed_memory() override { return layer_.packed_memory_for_tests(); }

 private:
  kernels::Int8Conv layer_;
};

/// What Int8Conv does not serve.
class GeneralInt8Step : public ProductStep {
 public:
  GeneralInt8Step(const Product& product, const StepRequest& request)
      : ProductStep(product, request),
        packed_(kernels::pack_integer(product.shape, product.weight.data<std::int8_t>().data(), nullptr,
                                      {.x = input().codes().qmax, .weight = product.weight.qparams()->codes.qmax})),
        requantization_(requantization_of(product, input(), output())) {}
  void run(Range images, std::int64_t task, Range) const override {
    const kernels::ConvShape shape = of(images);
    auto* const y = out<std::uint8_t>(images, task);
    kernels::conv2d_integer(shape, in<std::uint8_t>(images, task), input().map().zero_point, packed_,
                            [&](std::int64_t, Range slice, const std::int32_t* acc) {
                              kernels::requantize(acc, slice.size() * shape.out_h() * shape.out_w(), requantization_,
                                                  y + slice.begin * shape.output_row());
                            });
  }
  std::size_t bytes() const override { return packed_.bytes(); }
  PackedMemory packed_memory() override {
    return {packed_.memory_for_tests(), std::as_writable_bytes(std::span(requantization_.multiplier)),
            std::as_writable_bytes(std::span(requantization_.bias))};
  }

 private:
  kernels::PackedWeight packed_;
  kernels::Requantization requantization_;
};

/// A product whose weights have a scale a group of input channels.
class GroupStep : public ProductStep {
 public:
  GroupStep(const Product& product, const StepRequest& request)
      : ProductStep(product, request),
        product_(product.shape, product.weight.data<std::int8_t>().data(), product.weight.qparams()->group,
                 {.x = input().codes().qmax, .weight = product.weight.qparams()->codes.qmax}),
        requantization_(requantization_of(product, input(), output())) {}
  void run(Range images, std::int64_t task, Range) const override {
    product_.run(of(images), in<std::uint8_t>(images, task), input().map().zero_point, requantization_,
                 out<std::uint8_t>(images, task));
  }
  std::size_t bytes() const override { return product_.bytes(); }
  PackedMemory packed_memory() override {
    PackedMemory memory = product_.memory_for_tests();
    for (std::vector<float>* constants :
         {&requantization_.multiplier, &requantization_.bias, &requantization_.bias_multiplier}) {
      memory.push_back(std::as_writable_bytes(std::span(*constants)));
    }
    return memory;
  }

 private:
  kernels::GroupProduct product_;
  kernels::Requantization requantization_;
};

/// A multiply-add of floats takes about as long as so many of codes.
constexpr std::int64_t kWorkOfFloat = 4;

/// `images` of f32 as factors of a product of `dtype`: as they are, or rounded to bf16 where `memory` is.
const std::byte* factors_of(DType dtype, std::span<const float> images, std::byte* memory) {
  if (dtype == DType::F32) {
    return reinterpret_cast<const std::byte*>(images.data());
  }
  convert(images, reinterpret_cast<bfloat16*>(memory));
  return memory;
}

/// A convolution that takes so many examples as one image: the rows of a linear layer, which then share what is read of
/// its weights.
struct ConvOfExamples {
  std::int64_t examples = 1;
  std::shared_ptr<const kernels::DirectConv> conv = nullptr;
};

/// A product of floats, its bias, sum and ReLU in one kernel.
class DirectStep : public ProductStep {
 public:
  /// `convs` from the one of most examples to that of one; all have one layout of weights.
  DirectStep(std::vector<ConvOfExamples> convs, const Product& product, const StepRequest& request)
      : ProductStep(product, request),
        dtype_(product.weight.dtype()),
        convs_(std::move(convs)),
        weight_(allocate_aligned(convs_[0].conv->weight_bytes())),
        bias_(product.bias.defined() ? product.bias.clone() : Tensor()),
        relu_(product.relu) {
    convs_[0].conv->pack(product.weight.raw(), weight_.get());
  }
  std::int64_t parts() const override { return convs_[0].conv->parts(); }
  std::int64_t work() const override { return kWorkOfFloat * ProductStep::work(); }
  void run(Range images, std::int64_t task, Range parts) const override {
    const std::span<const float> x(in<float>(images, task),
                                   static_cast<std::size_t>(images.size() * input().elements()));
    std::byte* const memory =
        dtype_ == DType::F32 ? nullptr : thread_scratch(x.size() * sizeof(bfloat16), Scratch::ProductConversion);
    const std::byte* from = factors_of(dtype_, x, memory);
    const float* other = inputs().size() > 1 ? in<float>(images, task, 1) : nullptr;
    auto* y = out<float>(images, task);
    std::int64_t left = images.size();
    for (const ConvOfExamples& of : convs_) {
      const std::int64_t count = left / of.examples;
      if (count == 0) {
        continue;
      }
      of.conv->run(from, count, parts, weight_.get(),
                   {.bias = bias_.defined() ? bias_.data<float>().data() : nullptr, .other = other, .relu = relu_},
                   reinterpret_cast<std::byte*>(y));
      const std::int64_t done = count * of.examples;
      from += done * input().elements() * static_cast<std::int64_t>(size_of(dtype_));
      other += other == nullptr ? 0 : done * output().elements();
      y += done * output().elements();
      left -= done;
    }
  }
  std::size_t bytes() const override { return convs_[0].conv->weight_bytes(); }
  PackedMemory packed_memory() override {
    return {{weight_.get(), convs_[0].conv->weight_bytes()},
            bias_.defined() ? std::as_writable_bytes(bias_.data<float>()) : std::span<std::byte>()};
  }

 private:
  DType dtype_;
  std::vector<ConvOfExamples> convs_;
  std::shared_ptr<std::byte> weight_;
  Tensor bias_;
  bool relu_;
};

/// The convolutions of a DirectStep; none where FloatProductStep is the faster one, or the only one. oneDNN packs bf16
/// weights anew for every product of rows.
std::vector<ConvOfExamples> direct_convs(const Product& product, const StepRequest& request) {
  const DType dtype = product.weight.dtype();
  const bool has_rows = product.shape.is_linear() && request.batch > 1;
  if (request.whole || (has_rows && dtype == DType::F32)) {
    return {};
  }
  std::vector<ConvOfExamples> convs;
  for (const std::int64_t examples : has_rows ? std::vector<std::int64_t>{14, 4, 1} : std::vector<std::int64_t>{1}) {
    kernels::ConvShape shape = product.shape;
    shape.w *= examples;
    convs.push_back({examples, kernels::DirectConv::make_forward(shape, dtype)});
    if (convs.back().conv == nullptr) {
      return {};
    }
  }
  return convs;
}

/// A depthwise product of floats, which may be cut into lines.
class DepthwiseStep : public ProductStep {
 public:
  DepthwiseStep(const Product& product, const StepRequest& request)
      : ProductStep(product, request),
        weight_(kernels::depthwise::pack_forward(product.shape, DType::F32, product.weight.raw())),
        bias_(product.bias.defined() ? product.bias.clone() : Tensor()),
        relu_(product.relu) {}
  std::int64_t parts() const override { return output().type->shape[0]; }
  std::int64_t work() const override { return kWorkOfFloat * ProductStep::work(); }
  void run(Range images, std::int64_t task, Range lines) const override {
    kernels::depthwise::forward(of(images), lines, DType::F32, in<std::byte>(images, task), weight_.data.get(),
                                bias_.defined() ? bias_.data<float>().data() : nullptr, relu_, DType::F32,
                                out<std::byte>(images, task));
  }
  std::size_t bytes() const override { return weight_.bytes; }
  PackedMemory packed_memory() override {
    return {{weight_.data.get(), weight_.bytes},
            bias_.defined() ? std::as_writable_bytes(bias_.data<float>()) : std::span<std::byte>()};
  }

 private:
  kernels::depthwise::Weight weight_;
  Tensor bias_;
  bool relu_;
};

/// What DirectConv does not serve, whole batches, and linear layers of many rows of f32.
class FloatProductStep : public ProductStep {
 public:
  FloatProductStep(const Product& product, const StepRequest& request)
      : ProductStep(product, request),
        whole_(request.whole),
        dtype_(product.weight.dtype()),
        packed_(kernels::pack_forward(product.shape, dtype_, product.weight.raw())),
        bias_(product.bias.defined() ? product.bias.clone() : Tensor()),
        relu_(product.relu) {
    if (dtype_ == DType::BF16) {
      factor_bytes_ = static_cast<std::size_t>(request.batch * input().elements()) * sizeof(bfloat16);
      factors_ = allocate_aligned(factor_bytes_);
    }
  }
  Grain grain() const override { return whole_ ? Grain::Whole : ProductStep::grain(); }
  void run(Range images, std::int64_t task, Range) const override {
    const bool adds = inputs().size() > 1;
    const float* const bias = bias_.defined() ? bias_.data<float>().data() : nullptr;
    auto* const y = out<float>(images, task);
    const auto row = static_cast<std::size_t>(input().elements());
    const std::span<const float> x(in<float>(images, task), static_cast<std::size_t>(images.size()) * row);
    // Not the thread's memory: while the product waits for its slices, the thread may take other images.
    std::byte* const memory =
        factors_ ? factors_.get() + static_cast<std::size_t>(images.begin) * row * sizeof(bfloat16) : nullptr;
    kernels::conv2d_forward(of(images), dtype_, factors_of(dtype_, x, memory), packed_, bias, relu_ && !adds,
                            DType::F32, reinterpret_cast<std::byte*>(y));
    if (adds) {
      const auto count = static_cast<std::int64_t>(out_elements(images));
      kernels::add(count, y, in<float>(images, task, 1), y);
      if (relu_) {
        kernels::activation_forward(kernels::Activation::Relu, count, y, y);
      }
    }
  }
  std::size_t bytes() const override { return packed_.bytes() + factor_bytes_; }
  PackedMemory packed_memory() override {
    return {packed_.memory_for_tests(),
            bias_.defined() ? std::as_writable_bytes(bias_.data<float>()) : std::span<std::byte>()};
  }

 private:
  bool whole_;
  DType dtype_;
  kernels::PackedWeight packed_;
  Tensor bias_;
  bool relu_;
  std::shared_ptr<std::byte> factors_ = nullptr;  // the images of the batch in bf16
  std::size_t factor_bytes_ = 0;
};

kernels::Int8Conv int8_conv(const Product& product, const StepRequest& request, bool pool) {
  const PlanValue& x = *request.inputs[0];
  return kernels::Int8Conv::make(product.shape, product.weight.data<std::int8_t>().data(), x.map().zero_point,
                                 requantization_of(product, x, request.output), pool, x.codes().qmax);
}

}  // namespace

MadeStep make_product(const Product& product, const StepRequest& request) {
  if (!request.inputs[0]->type->is_codes()) {
    std::vector<ConvOfExamples> convs = direct_convs(product, request);
    if (!convs.empty()) {
      return std::make_unique<DirectStep>(std::move(convs), product, request);
    }
    const bool is_f32 = product.weight.dtype() == DType::F32;
    if (is_f32 && !request.whole && request.inputs.size() == 1 && kernels::depthwise::serves(product.shape)) {
      return std::make_unique<DepthwiseStep>(product, request);
    }
    return std::make_unique<FloatProductStep>(product, request);
  }
  if (product.weight.qparams()->is_per_group()) {
    return std::make_unique<GroupStep>(product, request);
  }
  kernels::Int8Conv layer = int8_conv(product, request, false);
  if (layer.defined()) {
    return std::make_unique<Int8Step>(std::move(layer), product, request);
  }
  return std::make_unique<GeneralInt8Step>(product, request);
}

MadeStep make_pooled_product(const Product& product, const StepRequest& request) {
  if (!request.inputs[0]->type->is_codes() || product.weight.qparams()->is_per_group()) {
    return nullptr;
  }
  kernels::Int8Conv layer = int8_conv(product, request, true);
  return layer.defined() ? std::make_unique<Int8Step>(std::move(layer), product, request) : nullptr;
}

MadeStep make_added_product(const Product& product, const Add& add, const PlanValue& between,
                            const StepRequest& request) {
  if (!request.inputs[0]->type->is_codes() || product.weight.qparams()->is_per_group()) {
    return nullptr;
  }
  const PlanValue& x = *request.inputs[0];
  kernels::Int8Conv layer = kernels::Int8Conv::make_added(
      product.shape, product.weight.data<std::int8_t>().data(), x.map().zero_point,
      requantization_of(product, x, between),
      {request.inputs[1]->map(), request.output.map(), request.output.codes(), add.relu}, x.codes().qmax);
  return layer.defined() ? std::make_unique<Int8Step>(std::move(layer), product, request) : nullptr;
}

}  // namespace detent::runtime
