#include <algorithm>

#include "detent/kernels/layers/batch_norm.h"
#include "detent/kernels/layers/elementwise.h"
#include "detent/kernels/layers/softmax.h"
#include "detent/runtime/plan_step.h"

/// Steps of f32 but products.
namespace detent::runtime {
namespace {

/// What the steps have in common: where the whole batch is wanted, they take it.
class FloatStep : public Step {
 public:
  explicit FloatStep(const StepRequest& request) : Step(request), whole_(request.whole) {}
  Grain grain() const override { return whole_ ? Grain::Whole : liked(); }

 protected:
  virtual Grain liked() const { return Grain::Either; }

 private:
  bool whole_;
};

class FloatAddStep : public FloatStep {
 public:
  FloatAddStep(const Add& add, const StepRequest& request) : FloatStep(request), relu_(add.relu) {}
  void run(Range images, std::int64_t task, Range) const override {
    const auto count = static_cast<std::int64_t>(out_elements(images));
    auto* const y = out<float>(images, task);
    (relu_ ? kernels::add_relu<float> : kernels::add<float>)(count, in<float>(images, task, 0),
                                                             in<float>(images, task, 1), y);
  }

 private:
  bool relu_;
};

class FloatConcatStep : public FloatStep {
 public:
  using FloatStep::FloatStep;
  void run(Range images, std::int64_t task, Range) const override {
    const std::int64_t stride = output().type->shape.extents().back();
    const std::int64_t rows = images.size() * (output().elements() / stride);
    float* y = out<float>(images, task);
    for (std::size_t i = 0; i < inputs().size(); ++i) {
      const std::int64_t columns = input(i).type->shape.extents().back();
      const auto* const x = in<float>(images, task, i);
      for (std::int64_t r = 0; r < rows; ++r) {
        std::copy_n(x + r * columns, columns, y + r * stride);
      }
      y += columns;
    }
  }
};

class FloatPoolStep : public FloatStep {
 public:
  FloatPoolStep(const Pool& pool, const StepRequest& request) : FloatStep(request), pool_(pool) {}
  void run(Range images, std::int64_t task, Range) const override {
    kernels::PoolShape shape = pool_.shape;
    shape.n = images.size();
    if (pool_.kind == PoolKind::Max) {
      kernels::max_pool_forward(shape, in<float>(images, task), out<float>(images, task), nullptr);
    } else {
      kernels::avg_pool_forward(shape, in<float>(images, task), out<float>(images, task));
    }
  }

 protected:
  Grain liked() const override { return Grain::Image; }

 private:
  Pool pool_;
};

class ActivationStep : public FloatStep {
 public:
  ActivationStep(const Activation& activation, const StepRequest& request)
      : FloatStep(request), activation_(activation) {}
  void run(Range images, std::int64_t task, Range) const override {
    kernels::activation_forward(activation_.function, static_cast<std::int64_t>(out_elements(images)),
                                in<float>(images, task), out<float>(images, task), activation_.slope);
  }

 private:
  Activation activation_;
};

class BatchNormStep : public FloatStep {
 public:
  BatchNormStep(const BatchNorm& norm, const StepRequest& request) : FloatStep(request), norm_(norm) {}
  void run(Range images, std::int64_t task, Range) const override {
    const std::int64_t channels = norm_.mean.elements();
    const auto pointer = [](const Tensor& t) { return t.defined() ? t.data<float>().data() : nullptr; };
    kernels::batch_norm_forward_eval(in<float>(images, task),
                                     static_cast<std::int64_t>(out_elements(images)) / channels, channels,
                                     pointer(norm_.weight), pointer(norm_.bias), pointer(norm_.mean),
                                     pointer(norm_.variance), norm_.epsilon, false, out<float>(images, task));
  }

 private:
  BatchNorm norm_;
};

class FloatSoftmaxStep : public FloatStep {
 public:
  using FloatStep::FloatStep;
  void run(Range images, std::int64_t task, Range) const override {
    const std::int64_t channels = output().type->shape.extents().back();
    kernels::softmax_forward(in<float>(images, task), static_cast<std::int64_t>(out_elements(images)) / channels,
                             channels, out<float>(images, task));
  }
};

}  // namespace

MadeStep make_float_step(const StepRequest& request) {
  const Op& op = request.node.op;
  if (const auto* const add = std::get_if<Add>(&op)) {
    return std::make_unique<FloatAddStep>(*add, request);
  }
  if (const auto* const pool = std::get_if<Pool>(&op)) {
    return std::make_unique<FloatPoolStep>(*pool, request);
  }
  if (const auto* const activation = std::get_if<Activation>(&op)) {
    return std::make_unique<ActivationStep>(*activation, request);
  }
  if (const auto* const norm = std::get_if<BatchNorm>(&op)) {
    return std::make_unique<BatchNormStep>(*norm, request);
  }
  if (std::holds_alternative<Softmax>(op)) {
    return std::make_unique<FloatSoftmaxStep>(request);
  }
  return std::make_unique<FloatConcatStep>(request);
}

}  // namespace detent::runtime
