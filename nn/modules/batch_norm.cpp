#include "detent/nn/modules/batch_norm.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace detent::nn {
namespace {

std::vector<float> divided(std::span<const double> sums, double by) {
  std::vector<float> result;
  for (const double sum : sums) {
    result.push_back(static_cast<float>(sum / by));
  }
  return result;
}

std::vector<double> in_double(const Tensor& tensor) {
  const std::span<const float> values = tensor.data<float>();
  return {values.begin(), values.end()};
}

}  // namespace

void BatchStatistics::add(std::span<const double> mean, std::span<const double> variance, std::int64_t count) {
  check(count >= 2, "batch statistics: a batch of ", count, " values a channel has no variance");
  check(empty() || mean.size() == sums_.size(), "batch statistics: expected ", sums_.size(), " channels, got ",
        mean.size());
  sums_.resize(mean.size());
  squares_.resize(mean.size());
  values_ += static_cast<double>(count);
  freedom_ += static_cast<double>(count - 1);
  for (std::size_t c = 0; c < mean.size(); ++c) {
    sums_[c] += static_cast<double>(count) * mean[c];
    squares_[c] += static_cast<double>(count - 1) * variance[c];
  }
}

std::vector<float> BatchStatistics::mean() const { return divided(sums_, values_); }

std::vector<float> BatchStatistics::variance() const { return divided(squares_, freedom_); }

void BatchNorm::Options::describe(OptionList& list) {
  list.real("momentum", momentum, {.min = 0.0, .max = 1.0}, "how far the running statistics move to a batch's");
  list.real("epsilon", epsilon, {.min = 0.0, .max = 1e30, .is_open_below = true, .is_open_above = true},
            "is added to the variance");
  list.boolean("affine", affine, "whether there are a weight and a bias");
  list.boolean("frozen", frozen, "whether the running statistics are used, and stay, in training too", frozen);
  list.boolean("relu", relu, "whether max(0, .) follows in the module's own kernel", relu);
  list.integer("channels", channels, {}, "of the input; 0: taken from it");
}

BatchNorm::BatchNorm(Options options) : options_(std::move(options)) { check_options(kind(), options_); }

nlohmann::json BatchNorm::options() const { return write_options(options_); }

std::shared_ptr<Module> BatchNorm::from_options(const nlohmann::json& options) {
  return std::make_shared<BatchNorm>(read_options<Options>("batch_norm", options));
}

void BatchNorm::bind(std::span<const Shape> inputs) {
  output_shape(inputs);
  options_.channels = inputs[0][inputs[0].rank() - 1];
}

Shape BatchNorm::output_shape(std::span<const Shape> inputs) const {
  const Shape& x = inputs[0];
  check(x.rank() >= 1, "batch_norm: expected examples [..., C], got ", x);
  check(options_.channels == 0 || x[x.rank() - 1] == options_.channels, "batch_norm: expected ", options_.channels,
        " channels, got ", x);
  return x;
}

Variable BatchNorm::forward(Context& context, std::span<const Variable> inputs) {
  const Variable weight = options_.affine ? on_tape(context, *this, weight_) : Variable();
  const Variable bias = options_.affine ? on_tape(context, *this, bias_) : Variable();
  check(running_mean_.defined() && running_variance_.defined(), name(),
        ": its statistics are not set: call Graph::initialize or load a model");
  check(!context.training || inputs[0].value().elements() != options_.channels, name(),
        ": a single value a channel has no variance to train with, got ", inputs[0].shape(),
        "; use larger batches, or leave out the last one");
  if (gathered_ != nullptr) {
    return forward_gathered(inputs[0], weight, bias);
  }
  return autograd::batch_norm(inputs[0], weight, bias, {running_mean_, running_variance_},
                              {.momentum = options_.momentum,
                               .epsilon = options_.epsilon,
                               .training = context.training && !options_.frozen,
                               .relu = options_.relu});
}

// With a momentum of 1 the running statistics are those of the batch.
Variable BatchNorm::forward_gathered(const Variable& x, const Variable& weight, const Variable& bias) {
  Tensor mean = Tensor::zeros({options_.channels}, DType::F32);
  Tensor variance = Tensor::zeros({options_.channels}, DType::F32);
  Variable y =
      autograd::batch_norm(x, weight, bias, {mean, variance},
                           {.momentum = 1.0, .epsilon = options_.epsilon, .training = true, .relu = options_.relu});
  gathered_->add(in_double(mean), in_double(variance), x.value().elements() / options_.channels);
  return y;
}

std::vector<Slot> BatchNorm::slots() {
  const Shape shape{options_.channels};
  std::vector<Slot> slots;
  if (options_.affine) {
    slots.push_back({"weight", &weight_.value, &weight_, shape});
    slots.push_back({"bias", &bias_.value, &bias_, shape});
  }
  slots.push_back({"running_mean", &running_mean_, nullptr, shape});
  slots.push_back({"running_var", &running_variance_, nullptr, shape});
  return slots;
}

void BatchNorm::initialize(RandomStream&) {
  check(options_.channels > 0, "batch_norm: channels is not known: set it, or add the module to a graph");
  const Shape shape{options_.channels};
  if (options_.affine) {
    allocate(weight_.value, shape);
    std::ranges::fill(weight_.value.data<float>(), 1.0F);
    allocate(bias_.value, shape);
  }
  allocate(running_mean_, shape);
  allocate(running_variance_, shape);
  std::ranges::fill(running_variance_.data<float>(), 1.0F);
}

}  // namespace detent::nn
