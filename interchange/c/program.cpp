#include "detent/interchange/c/program.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "detent/core/error.h"
#include "detent/interchange/c/layout.h"
#include "detent/interchange/c/text.h"

namespace detent::interchange::c {
namespace {

using runtime::Model;
using runtime::Node;
using runtime::ValueId;
using runtime::ValueType;

template <typename T>
bool is(const Node* node) {
  return node != nullptr && std::holds_alternative<T>(node->op);
}

/// The value whose elements a reshape shows.
ValueId root_of(const Model& model, ValueId value) {
  while (is<runtime::Reshape>(model.node_of(value))) {
    value = model.node_of(value)->inputs[0];
  }
  return value;
}

/// The codes that the model's numbers are made of, where they come from its last dequantize.
ValueId result_of(const Model& model) {
  const ValueId root = root_of(model, model.output);
  const Node* const node = model.node_of(root);
  return is<runtime::Dequantize>(node) ? node->inputs[0] : model.output;
}

/// Why a node has no C form, or nothing.
struct WhyNot {
  const Model& model;
  const Node& node;
  Requantize requantize;

  using Reason = std::optional<std::string>;

  bool is_fixed() const { return requantize == Requantize::Fixed; }
  Reason of_codes(const char* what) const {
    return node.output.is_codes() ? Reason() : Reason(std::string(what) + " of f32: quantize it");
  }

  Reason operator()(const runtime::Quantize&) const {
    const bool is_input = model.node_of(root_of(model, node.inputs[0])) == nullptr;
    return is_input ? Reason() : Reason("codes of numbers that are computed: quantize what comes before it");
  }
  Reason operator()(const runtime::Dequantize&) const {
    const bool is_last =
        root_of(model, model.output) == model.value_of(static_cast<std::size_t>(&node - model.nodes.data()));
    return is_last ? Reason() : Reason("numbers in between: quantize what comes behind it");
  }
  Reason operator()(const runtime::Reshape&) const { return {}; }
  Reason operator()(const runtime::Product& product) const {
    if (!node.output.is_codes()) {
      return of_codes("a product");
    }
    if (is_fixed() && product.weight.qparams()->is_per_group()) {
      return "a scale a group of weights has no fixed-point form: export with f32 requantization";
    }
    const auto bytes = product.shape.weight_elements();
    return bytes <= std::numeric_limits<std::int32_t>::max() ? Reason() : Reason("more than 2^31 weights");
  }
  Reason operator()(const runtime::HybridProduct& product) const {
    return std::string(product.dynamic ? "a dynamic product" : "a product of weight codes and f32") +
           ": quantize it statically, or by training";
  }
  Reason operator()(const runtime::Add&) const { return of_codes("an addition"); }
  Reason operator()(const runtime::Concat&) const { return of_codes("a concatenation"); }
  Reason operator()(const runtime::Pool&) const { return of_codes("a pool"); }
  Reason operator()(const runtime::Lookup&) const { return {}; }
  Reason operator()(const runtime::Softmax&) const {
    if (!node.output.is_codes() || !is_fixed()) {
      return of_codes("a softmax");
    }
    const ScaleZero map = node.output.qparams->tensor();
    int exponent = 0;
    const bool is_power = std::frexp(map.scale, &exponent) == 0.5F && -7 <= exponent && exponent <= 0;
    return is_power && map.zero_point == 0 && node.output.qparams->codes.qmin == 0
               ? Reason()
               : Reason("a softmax on a map that is not 2^-b: export with f32 requantization");
  }
  Reason operator()(const runtime::Activation&) const { return of_codes("an activation"); }
  Reason operator()(const runtime::BatchNorm&) const { return of_codes("a batch norm"); }
  Reason operator()(const runtime::Custom& custom) const {
    return "the custom operation '" + std::string(custom.op->kind()) + "'";
  }
};

void check_supported(const Model& model, Requantize requantize) {
  std::vector<std::string> refused;
  for (const Node& node : model.nodes) {
    std::optional<std::string> reason = std::visit(WhyNot{model, node, requantize}, node.op);
    if (!reason && node.output.shape.elements() > std::numeric_limits<std::int32_t>::max()) {
      reason = "more than 2^31 elements";
    }
    if (reason) {
      refused.push_back("'" + node.name + "' (" + *reason + ")");
    }
  }
  std::string list;
  for (const std::string& one : refused) {
    list += (list.empty() ? "" : ", ") + one;
  }
  check(refused.empty(), "export: c: ", refused.size(), refused.size() == 1 ? " layer has" : " layers have",
        " no C form: ", list);
}

bool is_step(const Node& node) {
  return node.output.is_codes() && !std::holds_alternative<runtime::Quantize>(node.op) &&
         !std::holds_alternative<runtime::Reshape>(node.op);
}

/// Bytes that a node needs beside its inputs and its output: what one output pixel sees.
std::int64_t scratch_bytes(const Node& node) {
  const auto* const product = std::get_if<runtime::Product>(&node.op);
  const bool gathers = product != nullptr && !is_depthwise(*product) && !is_by_pixel(*product);
  return gathers ? product->shape.depth() : 0;
}

void add_entries(Program& program) {
  const Model& model = *program.model;
  for (ValueId value = 0; value < model.values(); ++value) {
    const Node* const node = model.node_of(value);
    if (node == nullptr ? model.type(value).is_codes() : is<runtime::Quantize>(node)) {
      program.entries.push_back({.value = value, .input = node == nullptr ? value : root_of(model, node->inputs[0])});
    }
  }
  Identifiers names;
  for (ValueId input = 0; input < model.inputs.size(); ++input) {
    const std::string& name = model.inputs[input].name;
    program.inputs.push_back(names.take(model.inputs.size() == 1 ? "input" : "input_" + identifier(name)));
    check(std::ranges::count(program.entries, input, &Entry::input) > 0, "export: c: '", name,
          "' is an input that no layer takes");
  }
  for (Entry& entry : program.entries) {
    entry.name = entry.value == entry.input    ? program.inputs[entry.input]
                 : program.entries.size() == 1 ? "input"
                                               : names.take("codes_" + identifier(model.name(entry.value)));
  }
}

/// Step 0 makes the entries, the last one reads the result.
class Memory {
 public:
  explicit Memory(Program& program) : program_(program), buffer_of_(program.model->values(), kNone) {
    const Model& model = *program_.model;
    for (const Entry& entry : program_.entries) {
      add(entry.value, 0);
    }
    scratch_of_.assign(model.nodes.size(), kNone);
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const std::size_t index = program_.steps[i];
      const Node& node = model.nodes[index];
      const auto time = static_cast<std::int64_t>(i) + 1;
      for (const ValueId input : node.inputs) {
        use(input, time);
      }
      add(model.value_of(index), time);
      if (const std::int64_t bytes = scratch_bytes(node); bytes > 0) {
        scratch_of_[index] = buffers_.size();
        buffers_.push_back({bytes, time, time});
      }
    }
    use(program_.result, static_cast<std::int64_t>(program_.steps.size()) + 1);
  }

  void place_all() {
    const Layout layout = place(buffers_);
    program_.arena_bytes = std::max<std::int64_t>(layout.bytes, 1);
    const Model& model = *program_.model;
    const auto at = [&](std::size_t buffer) {
      const std::int64_t offset = layout.offsets[buffer];
      return offset == 0 ? std::string("arena->bytes") : "arena->bytes + " + number(offset);
    };
    program_.address.resize(model.values());
    program_.scratch.resize(model.nodes.size());
    const ValueId result = root_of(model, program_.result);
    for (ValueId value = 0; value < model.values(); ++value) {
      const ValueId root = root_of(model, value);
      if (model.type(value).is_codes() && buffer_of_[root] != kNone) {
        program_.address[value] = root == result ? "output" : at(buffer_of_[root]);
      }
    }
    program_.result_offset = layout.offsets[buffer_of_[result]];
    for (Entry& entry : program_.entries) {
      entry.offset = layout.offsets[buffer_of_[entry.value]];
    }
    for (ValueId value = 0; value < model.values(); ++value) {
      for (const Entry& entry : program_.entries) {
        if (root_of(model, value) == entry.value) {
          program_.address[value] = entry.name;
        }
      }
    }
    for (std::size_t node = 0; node < model.nodes.size(); ++node) {
      program_.scratch[node] = scratch_of_[node] == kNone ? "" : at(scratch_of_[node]);
    }
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  void add(ValueId value, std::int64_t time) {
    buffer_of_[value] = buffers_.size();
    buffers_.push_back({program_.type(value).shape.elements(), time, time});
  }
  void use(ValueId value, std::int64_t time) {
    Buffer& buffer = buffers_[buffer_of_[root_of(*program_.model, value)]];
    buffer.last = std::max(buffer.last, time);
  }

  Program& program_;
  std::vector<std::size_t> buffer_of_;  // of each value that has one
  std::vector<std::size_t> scratch_of_ = {};
  std::vector<Buffer> buffers_ = {};
};

}  // namespace

bool is_depthwise(const runtime::Product& product) {
  return product.shape.groups == product.shape.c && product.shape.c > 1 && !product.weight.qparams()->is_per_group();
}

bool is_by_pixel(const runtime::Product& product) {
  const kernels::ConvShape& s = product.shape;
  return s.groups == 1 && s.is_matmul();
}

Program make_program(const Model& model, Requantize requantize) {
  model.validate();
  check_supported(model, requantize);
  Program program{.model = &model, .result = result_of(model)};
  add_entries(program);
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    if (is_step(model.nodes[i])) {
      program.steps.push_back(i);
    }
  }
  const ValueId result = root_of(model, program.result);
  const bool is_computed =
      std::ranges::any_of(program.steps, [&](std::size_t i) { return model.value_of(i) == result; });
  check(is_computed, "export: c: expected a model whose output is computed from codes, '", model.name(model.output),
        "' is not");
  Memory(program).place_all();
  return program;
}

}  // namespace detent::interchange::c
