#include "quant/plan.h"

#include <algorithm>

namespace detent::quant {

struct InferencePlan::Impl {
  nn::Graph graph;
  std::int64_t batch;
  bool is_integer = false;
  Arena arena = {};
  Tensor reals = {};   // of run_pixels
  Tensor result = {};  // of the last run
};

InferencePlan::InferencePlan(const nn::Graph& graph, std::int64_t batch)
    : impl_(std::make_unique<Impl>(Impl{.graph = graph, .batch = batch})) {
  check(batch >= 1, "plan: expected a batch of at least 1, got ", batch);
  for (const nn::Graph::Node& node : graph.nodes()) {
    const std::string kind(node.module ? node.module->kind() : "");
    check(!kind.starts_with("qat_"), "plan: ", node.name, " is of a prepared model; convert it first");
    impl_->is_integer = impl_->is_integer || kind.starts_with("int8_");
  }
}

InferencePlan::~InferencePlan() = default;
InferencePlan::InferencePlan(InferencePlan&&) noexcept = default;
InferencePlan& InferencePlan::operator=(InferencePlan&&) noexcept = default;

const Tensor& InferencePlan::run(const Tensor& images) {
  check(images.shape() == input_shape().batched(impl_->batch), "plan: expected images of ",
        input_shape().batched(impl_->batch), ", got ", images.shape());
  impl_->result = Tensor();
  nn::Tape tape(&impl_->arena, nn::Tape::Mode::Inference);
  nn::Context context{.tape = tape};
  impl_->result = impl_->graph.forward(context, tape.constant(images)).value();
  return impl_->result;
}

const Tensor& InferencePlan::run_pixels(const Tensor& pixels) {
  if (!impl_->reals.defined()) {
    impl_->reals = Tensor::empty(input_shape().batched(impl_->batch), DType::F32);
  }
  check(pixels.elements() == impl_->reals.elements(), "plan: expected pixels of ", impl_->reals.shape(), ", got ",
        pixels.shape());
  std::ranges::transform(pixels.data<std::uint8_t>(), impl_->reals.data<float>().begin(),
                         [](std::uint8_t p) { return static_cast<float>(p) / 255.0F; });
  return run(impl_->reals);
}

std::int64_t InferencePlan::batch() const { return impl_->batch; }
const Shape& InferencePlan::input_shape() const { return impl_->graph.input_shape(); }
bool InferencePlan::is_integer() const { return impl_->is_integer; }
std::size_t InferencePlan::memory_bytes() const { return impl_->arena.bytes_reserved(); }

}  // namespace detent::quant
