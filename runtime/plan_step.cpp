#include "detent/runtime/plan_step.h"

#include <cstring>

#include "detent/kernels/codes/lookup.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/softmax_codes.h"

namespace detent::runtime {
namespace {

using Bytes = std::span<const std::uint8_t>;

/// Real numbers, or pixels, to codes.
class QuantizeStep : public Step {
 public:
  explicit QuantizeStep(const StepRequest& request) : Step(request) {
    for (std::size_t p = 0; p < table_.size(); ++p) {
      table_[p] = static_cast<std::uint8_t>(quantize(static_cast<float>(p) / 255.0F, output().map(), output().codes()));
    }
    is_identity_ = kernels::is_identity(table_);
  }
  bool takes_pixels() const override { return true; }
  void run(Range images, std::int64_t task, Range) const override {
    const std::size_t count = out_elements(images);
    auto* const q = out<std::uint8_t>(images, task);
    if (!input().place->holds_pixels) {
      kernels::quantize(std::span(in<float>(images, task), count), output().map(), output().codes(), q);
      return;
    }
    const auto* const pixels = in<std::uint8_t>(images, task);
    if (is_identity_) {
      std::memcpy(q, pixels, count);
    } else {
      kernels::lookup(table_.data(), pixels, 1, static_cast<std::int64_t>(count), q, static_cast<std::int64_t>(count));
    }
  }

 private:
  kernels::CodeTable table_{};
  bool is_identity_ = true;
};

class DequantizeStep : public Step {
 public:
  using Step::Step;
  void run(Range images, std::int64_t task, Range) const override {
    kernels::dequantize(Bytes(in<std::uint8_t>(images, task), out_elements(images)), input().map(),
                        out<float>(images, task));
  }
};

class AddStep : public Step {
 public:
  AddStep(const Add& add, const StepRequest& request) : Step(request), relu_(add.relu) {}
  void run(Range images, std::int64_t task, Range) const override {
    const std::size_t count = out_elements(images);
    kernels::requantize_add(Bytes(in<std::uint8_t>(images, task, 0), count), input(0).map(),
                            Bytes(in<std::uint8_t>(images, task, 1), count), input(1).map(), output().map(),
                            output().codes(), relu_, out<std::uint8_t>(images, task));
  }

 private:
  bool relu_;
};

/// Inputs one behind the other along the last axis, each by its own table.
class ConcatStep : public Step {
 public:
  explicit ConcatStep(const StepRequest& request) : Step(request) {
    for (const PlanValue* value : request.inputs) {
      const kernels::CodeTable table = kernels::requantization_table(value->map(), output().map(), output().codes());
      tables_.push_back({table, kernels::is_identity(table, value->codes().qmax)});
    }
  }
  void run(Range images, std::int64_t task, Range) const override {
    const auto width = [](const PlanValue& value) { return value.type->shape.extents().back(); };
    const std::int64_t stride = width(output());
    const std::int64_t rows = images.size() * (output().elements() / stride);
    auto* y = out<std::uint8_t>(images, task);
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      const std::int64_t columns = width(input(i));
      const auto* const x = in<std::uint8_t>(images, task, i);
      if (tables_[i].is_identity) {
        for (std::int64_t r = 0; r < rows; ++r) {
          std::memcpy(y + r * stride, x + r * columns, static_cast<std::size_t>(columns));
        }
      } else {
        kernels::lookup(tables_[i].codes.data(), x, rows, columns, y, stride);
      }
      y += columns;
    }
  }

 private:
  struct Table {
    kernels::CodeTable codes;
    bool is_identity;
  };
  std::vector<Table> tables_;
};

/// The pool of `images` images.
kernels::PoolShape of(kernels::PoolShape shape, Range images) {
  shape.n = images.size();
  return shape;
}

class MaxPoolStep : public Step {
 public:
  MaxPoolStep(const Pool& pool, const StepRequest& request) : Step(request), shape_(pool.shape) {}
  Grain grain() const override { return Grain::Image; }
  void run(Range images, std::int64_t task, Range) const override {
    kernels::max_pool_forward(of(shape_, images), in<std::uint8_t>(images, task), out<std::uint8_t>(images, task),
                              nullptr);
  }

 private:
  kernels::PoolShape shape_;
};

class AverageStep : public Step {
 public:
  AverageStep(const Pool& pool, const StepRequest& request)
      : Step(request),
        shape_(pool.shape),
        requantization_(kernels::make_average_requantization(input().map(), shape_.window(), shape_.c, output().map(),
                                                             output().codes())) {}
  Grain grain() const override { return Grain::Image; }
  void run(Range images, std::int64_t task, Range) const override {
    kernels::avg_pool_codes(of(shape_, images), in<std::uint8_t>(images, task), input().map().zero_point,
                            requantization_, out<std::uint8_t>(images, task));
  }
  PackedMemory packed_memory() override { return {std::as_writable_bytes(std::span(requantization_.multiplier))}; }

 private:
  kernels::PoolShape shape_;
  kernels::Requantization requantization_;
};

class LookupStep : public Step {
 public:
  LookupStep(const Lookup& lookup, const StepRequest& request) : Step(request), table_(lookup.table.clone()) {}
  void run(Range images, std::int64_t task, Range) const override {
    const auto* const table = table_.data<std::uint8_t>().data();
    const auto* const x = in<std::uint8_t>(images, task);
    auto* const y = out<std::uint8_t>(images, task);
    const auto count = static_cast<std::int64_t>(out_elements(images));
    if (table_.shape().rank() == 1) {
      kernels::lookup(table, x, 1, count, y, count);
    } else {
      kernels::lookup_by_channel(table, x, count / table_.shape()[0], table_.shape()[0], y);
    }
  }
  std::size_t bytes() const override { return table_.bytes(); }
  PackedMemory packed_memory() override { return {std::as_writable_bytes(table_.data<std::uint8_t>())}; }

 private:
  Tensor table_;
};

class SoftmaxStep : public Step {
 public:
  SoftmaxStep(const Softmax& softmax, const StepRequest& request) : Step(request), table_(softmax.table.clone()) {}
  void run(Range images, std::int64_t task, Range) const override {
    const std::int64_t channels = output().type->shape.extents().back();
    kernels::softmax_codes({table_.data<std::int32_t>().data(), output().map(), output().codes()},
                           in<std::uint8_t>(images, task), images.size() * (output().elements() / channels), channels,
                           out<std::uint8_t>(images, task));
  }
  std::size_t bytes() const override { return table_.bytes(); }
  PackedMemory packed_memory() override { return {std::as_writable_bytes(table_.data<std::int32_t>())}; }

 private:
  Tensor table_;
};

/// An operation of a user's, on the whole batch.
class CustomStep : public Step {
 public:
  CustomStep(const Custom& custom, const StepRequest& request)
      : Step(request), name_(request.node.name), op_(custom.op), arena_(request.arena) {}
  Grain grain() const override { return Grain::Whole; }
  void run(Range images, std::int64_t, Range) const override {
    std::vector<Tensor> given;
    for (const PlanValue* value : inputs()) {
      given.push_back(value->tensor(images.size()));
    }
    const Tensor y = op_->run(given, *output().type, arena_);
    Tensor whole = output().place->whole;
    check(y.defined() && y.dtype() == whole.dtype() && y.elements() == whole.elements(), "plan: ", name_, ": a ",
          op_->kind(), " gave ", y.dtype(), " ", y.shape(), "; expected ", whole.dtype(), " ",
          output().type->shape.batched(images.size()));
    whole.copy_from(y.reshape(whole.shape()));
  }

 private:
  std::string name_;
  std::shared_ptr<const CustomOp> op_;
  Arena* arena_;
};

/// A step for each operation. Those that compute with floats as well as with codes go by the type of their first input.
struct MakeStep {
  const StepRequest& request;
  bool of_codes = request.inputs[0]->type->is_codes();

  MadeStep operator()(const Quantize&) const { return std::make_unique<QuantizeStep>(request); }
  MadeStep operator()(const Dequantize&) const { return std::make_unique<DequantizeStep>(request); }
  MadeStep operator()(const Product& product) const { return make_product(product, request); }
  MadeStep operator()(const HybridProduct& product) const { return make_hybrid(product, request); }
  MadeStep operator()(const Add& add) const {
    return of_codes ? std::make_unique<AddStep>(add, request) : make_float_step(request);
  }
  MadeStep operator()(const Concat&) const {
    return of_codes ? std::make_unique<ConcatStep>(request) : make_float_step(request);
  }
  MadeStep operator()(const Pool& pool) const {
    if (!of_codes) {
      return make_float_step(request);
    }
    return pool.kind == PoolKind::Max ? MadeStep(std::make_unique<MaxPoolStep>(pool, request))
                                      : std::make_unique<AverageStep>(pool, request);
  }
  MadeStep operator()(const Lookup& lookup) const { return std::make_unique<LookupStep>(lookup, request); }
  MadeStep operator()(const Softmax& softmax) const {
    return of_codes ? std::make_unique<SoftmaxStep>(softmax, request) : make_float_step(request);
  }
  MadeStep operator()(const Reshape&) const { return nullptr; }
  MadeStep operator()(const Activation&) const { return make_float_step(request); }
  MadeStep operator()(const BatchNorm&) const { return make_float_step(request); }
  MadeStep operator()(const Custom& custom) const { return std::make_unique<CustomStep>(custom, request); }
};

}  // namespace

MadeStep make_step(const StepRequest& request) { return std::visit(MakeStep{request}, request.node.op); }

bool is_passed_on(const Node& node) { return std::holds_alternative<Reshape>(node.op); }

}  // namespace detent::runtime
