#include "detent/optim/optimizer.h"

#include <cmath>
#include <limits>
#include <set>

#include "detent/kernels/optimizer/optimizer_step.h"

namespace detent::optim {
namespace {

/// Whether `x` is a number that f32 has, and not negative.
bool is_amount(double x) { return x >= 0.0 && x <= static_cast<double>(std::numeric_limits<float>::max()); }

}  // namespace

Optimizer::Optimizer(std::vector<ParameterGroup> groups) {
  std::set<std::string> names;
  std::map<const std::byte*, std::string> name_of;  // by the value's memory
  for (ParameterGroup& group : groups) {
    check(is_amount(group.weight_decay), "optimizer: weight decay: expected a number of at least 0, got ",
          group.weight_decay);
    check(is_amount(group.learning_rate_multiplier),
          "optimizer: learning rate multiplier: expected a number of at least 0, got ", group.learning_rate_multiplier);
    for (ParameterRef& parameter : group.parameters) {
      check(names.insert(parameter.name).second, "optimizer: the parameter '", parameter.name, "' is named twice");
      check(parameter.value != nullptr && parameter.gradient != nullptr && parameter.value->defined(),
            "optimizer: ", parameter.name, " has no value: initialize the model first");
      check(parameter.value->dtype() == DType::F32, "optimizer: ", parameter.name, ": expected an f32 value, got ",
            parameter.value->dtype());
      const auto [known, is_new] = name_of.emplace(parameter.value->raw(), parameter.name);
      check(is_new, "optimizer: '", parameter.name, "' is the parameter '", known->second,
            "': it would be stepped twice");
      shapes_.push_back(parameter.value->shape());
      weight_decay_.push_back(group.weight_decay);
      multiplier_.push_back(group.learning_rate_multiplier);
      parameters_.push_back(std::move(parameter));
    }
  }
  steps_ = Tensor::zeros({static_cast<std::int64_t>(parameters_.size()) + 1}, DType::S32);
}

std::size_t Optimizer::add_state(const std::string& name) {
  State state{.name = name, .tensors = {}};
  for (const ParameterRef& parameter : parameters_) {
    state.tensors.push_back(Tensor::zeros(parameter.value->shape(), DType::F32));
  }
  states_.push_back(std::move(state));
  return states_.size() - 1;
}

void Optimizer::check_step(double learning_rate) const {
  check_any_gradient(parameters_);
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const ParameterRef& parameter = parameters_[p];
    check(is_amount(learning_rate) && is_amount(learning_rate * multiplier_[p]),
          "optimizer: learning rate: expected 0 to 3.4e38, got ", learning_rate, " times ", multiplier_[p], " for ",
          parameter.name);
    check(parameter.value->shape() == shapes_[p], "optimizer: ", parameter.name, ": its value has shape ",
          parameter.value->shape(), ", it had ", shapes_[p], " when the optimizer was made: make a new one");
  }
}

void Optimizer::step(double learning_rate) {
  check_step(learning_rate);
  const ElementSlices slices(parameters_);
  const std::span<std::int32_t> steps = steps_.data<std::int32_t>();
  ++steps[0];
  struct Memory {
    const float* gradient;
    float* value;
  };
  std::vector<Memory> memory(parameters_.size());
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    if (parameters_[p].gradient->defined()) {
      const std::int32_t number = ++steps[p + 1];
      prepare(p, {learning_rate * multiplier_[p], weight_decay_[p], number});
      memory[p] = {parameters_[p].gradient->data<float>().data(), parameters_[p].value->data<float>().data()};
    }
  }
  slices.for_each(
      [&](std::int64_t, std::size_t p, Range elements) { update(p, elements, memory[p].gradient, memory[p].value); });
}

std::int64_t Optimizer::steps() const { return steps_.data<std::int32_t>()[0]; }

void Optimizer::clear_gradients() {
  for (const ParameterRef& parameter : parameters_) {
    *parameter.gradient = Tensor();
  }
}

std::vector<std::pair<std::string, Tensor*>> Optimizer::state() {
  std::vector<std::pair<std::string, Tensor*>> all{{"steps", &steps_}};
  for (State& state : states_) {
    for (std::size_t p = 0; p < parameters_.size(); ++p) {
      all.emplace_back(state.name + "/" + parameters_[p].name, &state.tensors[p]);
    }
  }
  return all;
}

void Optimizer::set_state(const std::map<std::string, Tensor>& tensors) {
  const auto all = state();
  for (const auto& [name, tensor] : all) {
    const auto found = tensors.find(name);
    check(found != tensors.end(), "optimizer: state: no tensor '", name, "'");
    check(found->second.shape() == tensor->shape() && found->second.dtype() == tensor->dtype(),
          "optimizer: state: ", name, ": expected ", tensor->dtype(), " ", tensor->shape(), ", got ",
          found->second.dtype(), " ", found->second.shape());
  }
  for (const std::int32_t count : tensors.at("steps").data<std::int32_t>()) {
    check(count >= 0, "optimizer: state: steps: expected counts of at least 0, got ", count);
  }
  for (const auto& [name, tensor] : all) {
    tensor->copy_from(tensors.at(name));
  }
}

double clip_grad_norm(std::span<const ParameterRef> parameters, double max_norm) {
  check(max_norm > 0.0, "clip_grad_norm: expected a positive norm, got ", max_norm);
  const ElementSlices slices(parameters);
  std::vector<double> sums(static_cast<std::size_t>(slices.count()), 0.0);
  slices.for_each([&](std::int64_t slice, std::size_t p, Range elements) {
    const Tensor& gradient = *parameters[p].gradient;
    sums[static_cast<std::size_t>(slice)] +=
        kernels::sum_of_squares(elements.size(), gradient.data<float>().data() + elements.begin);
  });
  double sum = 0.0;
  for (const double part : sums) {
    sum += part;
  }
  const double norm = std::sqrt(sum);
  const double factor = max_norm / (norm + 1e-6);
  if (std::isfinite(norm) && factor < 1.0) {
    slices.for_each([&](std::int64_t, std::size_t p, Range elements) {
      kernels::scale_in_place(static_cast<float>(factor), elements.size(),
                              parameters[p].gradient->data<float>().data() + elements.begin);
    });
  }
  return norm;
}

}  // namespace detent::optim
