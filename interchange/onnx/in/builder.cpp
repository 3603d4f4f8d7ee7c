#include "detent/interchange/onnx/in/builder.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "detent/core/text/list_text.h"
#include "detent/interchange/onnx/in/operations.h"
#include "detent/interchange/onnx/model_file.h"

namespace detent::onnx {
namespace {

constexpr std::int64_t kFirstOpset = 11;

std::string text_of(const Node& node) {
  return !node.name.empty() ? "'" + node.name + "'"
                            : "that gives '" + (node.outputs.empty() ? std::string() : node.outputs[0]) + "'";
}

/// The part of a name that can stand in a graph.
std::string plain_name(std::string_view name) {
  constexpr std::size_t kLongest = 80;
  std::string plain;
  for (const char letter : name.substr(0, kLongest)) {
    const bool is_plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                          (letter >= '0' && letter <= '9') || letter == '_' || letter == '-' || letter == '.';
    plain += is_plain ? letter : letter == '/' ? '.' : '_';
  }
  const std::size_t begin = plain.find_first_not_of('.');
  return begin == std::string::npos ? std::string() : plain.substr(begin);
}

}  // namespace

std::string to_text(const Dims& dims) {
  std::ostringstream text;
  text << Shape(dims);
  return text.str();
}

std::size_t axis_of(std::int64_t axis, std::size_t rank) {
  const auto count = static_cast<std::int64_t>(rank);
  check(-count <= axis && axis < count, "expected an axis in [", -count, ", ", count, "), got ", axis);
  return static_cast<std::size_t>(axis < 0 ? axis + count : axis);
}

std::int64_t elements_of(const Dims& dims) { return Shape(dims).elements(); }

std::vector<float> finite_reals(const Array& array, const char* what) {
  std::vector<float> values = array.reals();
  const auto odd = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  check(odd == values.end(), what, " '", array.name, "': element ", odd - values.begin(),
        ": expected a finite number, got ", odd == values.end() ? 0.0F : *odd);
  return values;
}

Builder::Builder(const Model& model, const ImportOptions& options) : model_(model), options_(options) {}

Imported Builder::run() && {
  check_opset();
  std::string output = chosen_output();
  if (const std::string scores = scores_of(output); !scores.empty()) {
    remarks.push_back(options_.scores
                          ? "its softmax at the end is left out: it gives the scores '" + scores + "'"
                          : "it ends with a softmax, which training and quantization want without: --result " + scores);
    output = options_.scores ? scores : output;
  }
  for (const Array& array : model_.initializers) {
    set(array.name, {.constant = array});
  }
  find_needed(output);
  add_inputs();
  for (const Node& node : model_.nodes) {
    if (needed_.contains(&node)) {
      import(node);
    }
  }
  // The output is read as by a node of its own.
  const Node reader{.name = output, .op = "output", .inputs = {output}};
  try {
    (void)computed(reader, 0);
    const nn::Graph::Handle handle = at(reader, 0);
    const Value& value = in(reader, 0);
    check(!value.order,
          "it is a flattened image, whose elements Detent has in another order; export the model without "
          "the flatten at its end");
    graph.output(handle);
    if (value.channels_first && graph.node(handle).shape.rank() == 3) {
      remarks.push_back("its output is [H, W, C] of an image, where the file's is [C, H, W]");
    }
  } catch (const Skipped&) {
  } catch (const Error& error) {
    report(reader, error.what());
  }
  fail_with_problems();
  if (quantized_ > 0) {
    remarks.push_back("it was quantized in the file (" + std::to_string(quantized_) +
                      " operations); its weights are taken as real numbers, and its activations are not rounded: "
                      "quantize it anew");
  }
  if (needed_.size() < model_.nodes.size()) {
    remarks.push_back(std::to_string(model_.nodes.size() - needed_.size()) +
                      " operations on which the output does not depend were left out");
  }
  return {.graph = std::move(graph), .remarks = std::move(remarks)};
}

void Builder::check_opset() {
  const auto found = model_.opsets.find("");
  check(found != model_.opsets.end(), "it does not say which version of the operations (opset) it uses");
  opset_ = found->second;
  check(opset_ >= kFirstOpset, "it uses opset ", opset_, "; expected ", kFirstOpset,
        " or newer: export it with a newer one");
}

void Builder::add_inputs() {
  bool is_first = true;
  for (const ValueInfo& input : model_.inputs) {
    const auto readers = readers_.find(input.name);
    if (readers == readers_.end()) {
      continue;
    }
    check(is_real(input.type) || input.type == ElementType::U8, "input '", input.name, "' is ", name_of(input.type),
          "; expected real numbers");
    check(input.dims && !input.dims->empty(), "input '", input.name, "' has no shape; export it with one");
    const Dims dims(input.dims->begin() + 1, input.dims->end());
    check(!dims.empty() && std::ranges::all_of(dims, [](std::int64_t extent) { return extent > 0; }), "input '",
          input.name, "' has the shape ", to_text(*input.dims),
          ", of which only the first extent, the batch's, may be open (-1); export it with fixed ones");
    check(elements_of(dims) <= kLargestExample, "input '", input.name, "' has the shape ", to_text(*input.dims),
          "; expected at most ", kLargestExample, " elements an example");
    if (input.type == ElementType::U8) {
      remarks.push_back("its input '" + input.name +
                        "' is of bytes, 0 to 255, where Detent takes p / 255: say so by --std 0.00392156862745098");
    }
    if (is_first) {
      batch_ = input.dims->front();
    }
    is_first = false;
    // Images are [C, H, W], but where all that reads them turns them to it from [H, W, C]; [H, W, 1] may be reshaped.
    const bool are_turned = std::ranges::all_of(readers->second, [&](const Node* reader) {
      const bool is_turn =
          reader != nullptr && reader->op == "Transpose" && reader->integers("perm", {}) == Dims{0, 3, 1, 2};
      return is_turn || (reader != nullptr && reader->op == "Reshape" && dims.back() == 1);
    });
    const bool channels_first = dims.size() == 3 && !are_turned;
    Value value{.dims = dims, .channels_first = channels_first};
    const Shape shape = channels_first ? Shape{dims[1], dims[2], dims[0]} : Shape(dims);
    const std::string name = graph.nodes().empty() ? std::string() : plain_name(input.name);
    value.handle = add_input(shape, name.empty() || graph.find(name) ? std::string() : name);
    set(input.name, std::move(value));
  }
  check(!is_first, "its output depends on no input");
}

nn::Graph::Handle Builder::add_input(const Shape& shape, const std::string& name) {
  if (!options_.image) {
    return graph.input(shape, name);
  }
  check(graph.nodes().empty() && shape == Shape{options_.image->elements()}, "it takes examples of ", shape,
        ", which are no flattened images ", *options_.image);
  return graph.flatten(graph.input(*options_.image, name));
}

void Builder::import(const Node& node) {
  const auto taken = taken_in_.find(&node);
  if (taken != taken_in_.end()) {
    by_name_[node.outputs.at(0)] = by_name_.at(taken->second->outputs.at(0));
    return;
  }
  try {
    check(!node.outputs.empty(), "it gives nothing");
    const auto row = operations().find(key_of(node));
    if (row != operations().end()) {
      row->second(*this, node);
      return;
    }
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      (void)(node.has_input(i) ? &in(node, i) : nullptr);  // what depends on a failure is none of its own
    }
    check(node.op != "LogSoftmax", "export the model without it: the same class wins");
    const bool is_last = std::ranges::find(readers_[node.outputs[0]], nullptr) != readers_[node.outputs[0]].end();
    fail("Detent has no such operation; it would take a module of that kind (docs/extending.md)",
         is_last && is_given(node.inputs.empty() ? "" : node.inputs[0], "")
             ? "; --result " + node.inputs[0] + " takes the model before it"
             : std::string());
  } catch (const Skipped&) {
  } catch (const Error& error) {
    report(node, error.what());
  }
  for (const std::string& name : node.outputs) {
    set(name, {.node = &node, .is_failed = true});
  }
}

void Builder::report(const Node& node, const std::string& problem) {
  const std::string op = key_of(node);
  const auto same =
      std::ranges::find_if(problems_, [&](const Problem& known) { return known.op == op && known.text == problem; });
  Problem& row = same == problems_.end() ? problems_.emplace_back(Problem{.op = op, .text = problem}) : *same;
  row.nodes.push_back(text_of(node));
}

void Builder::fail_with_problems() const {
  if (problems_.empty()) {
    return;
  }
  std::size_t count = 0;
  std::string text;
  for (const Problem& problem : problems_) {
    count += problem.nodes.size();
    text += "; " + problem.op + " " + comma_separated(problem.nodes) + ": " + problem.text;
  }
  fail("cannot be imported for ", count, count == 1 ? " operation" : " operations", text);
}

void Builder::set(const std::string& name, Value value) {
  value.name = name;
  if (!value.function) {
    value.root = values_.size();
  }
  by_name_[name] = values_.size();
  values_.push_back(std::move(value));
}

ValueId Builder::id(const Node& node, std::size_t i) {
  check(node.has_input(i), "it has no input ", i);
  const auto found = by_name_.find(node.inputs[i]);
  check(found != by_name_.end(), "its input '", node.inputs[i], "' is given by no operation before it");
  check(!are_codes(node.inputs[i]) || node.op == "DequantizeLinear", "its input '", node.inputs[i],
        "' is of codes; expected real numbers, as QuantizeLinear and DequantizeLinear in pairs give them");
  return found->second;
}

const Value& Builder::in(const Node& node, std::size_t i) {
  const Value& value = values_[id(node, i)];
  if (value.is_failed) {
    throw Skipped{};
  }
  return value;
}

const Value& Builder::computed(const Node& node, std::size_t i, bool may_be_padded) {
  const Value& value = in(node, i);
  check(!value.constant, "its input '", node.inputs[i], "' is a constant; expected a value that is computed");
  check(may_be_padded || value.padding == Padding2d(),
        "the padding before it can be imported only before a "
        "convolution");
  return value;
}

const Array& Builder::constant(const Node& node, std::size_t i, const char* what) {
  const Value& value = in(node, i);
  check(value.constant.has_value(), "its ", what, " '", node.inputs[i],
        "' are computed; expected constants, stored in the file");
  return *value.constant;
}

std::optional<std::vector<std::int64_t>> Builder::integers(const Node& node, std::size_t i,
                                                           std::string_view attribute) {
  if (node.has_input(i)) {
    return constant(node, i, "numbers").integers();
  }
  return node.has(attribute) ? std::optional(node.integers(attribute, {})) : std::nullopt;
}

nn::Graph::Handle Builder::add(const Node& node, std::shared_ptr<nn::Module> module,
                               std::vector<nn::Graph::Handle> inputs, std::size_t weight) {
  std::string name = weight == 0 ? std::string() : name_for(node, weight);
  if (!name.empty() && graph.find(name)) {
    name = graph.free_name(name + "_");
  }
  return graph.add(std::move(module), std::move(inputs), std::move(name));
}

std::string Builder::name_for(const Node& node, std::size_t weight) const {
  const std::string& tensor = weight < node.inputs.size() ? node.inputs[weight] : node.name;
  if (tensor.ends_with(".weight") && tensor.find("::") == std::string::npos) {
    return plain_name(std::string_view(tensor).substr(0, tensor.size() - std::string_view(".weight").size()));
  }
  const std::size_t slash = node.name.rfind('/');
  const bool ends_in_op = slash != std::string::npos && node.name.compare(slash + 1, node.op.size(), node.op) == 0;
  return plain_name(ends_in_op ? std::string_view(node.name).substr(0, slash) : std::string_view(node.name));
}

void Builder::give(const Node& node, Value value) {
  check(elements_of(value.dims) <= kLargestExample, "it gives examples of ", to_text(value.dims), "; expected at most ",
        kLargestExample, " elements");
  value.node = &node;
  set(node.outputs.at(0), std::move(value));
}

void Builder::give(const Node& node, nn::Graph::Handle handle, Dims dims, bool channels_first) {
  give(node, Value{.dims = std::move(dims), .channels_first = channels_first, .handle = handle});
}

void Builder::give_like(const Node& node, nn::Graph::Handle handle, const Value& like) {
  give(node, Value{.dims = like.dims, .channels_first = like.channels_first, .order = like.order, .handle = handle});
}

void Builder::give_constant(const Node& node, Array array) {
  array.name = node.outputs.at(0);
  give(node, Value{.constant = std::move(array)});
}

void Builder::give_same(const Node& node, std::size_t i) { by_name_[node.outputs.at(0)] = id(node, i); }

void Builder::pass_over_quantization(const Node& node, bool gives_codes) {
  ++quantized_;
  give_same(node);
  if (gives_codes) {
    codes_.insert(node.outputs.at(0));
  }
}

const Node* Builder::sole_reader(const Node& node, std::string_view op) const {
  const auto readers = readers_.find(node.outputs.at(0));
  const bool is_sole = readers != readers_.end() && readers->second.size() == 1 && readers->second[0] != nullptr;
  return is_sole && readers->second[0]->domain.empty() && readers->second[0]->op == op ? readers->second[0] : nullptr;
}

void Builder::take_in(const Node& node, const Node& with) { taken_in_[&node] = &with; }

Imported import_graph(const Model& model, const ImportOptions& options) { return Builder(model, options).run(); }

Imported import_file(const std::string& path, const ImportOptions& options) {
  const Model model = read_model(path);
  try {
    return import_graph(model, options);
  } catch (const Error& error) {
    fail(path, ": ", error.what());
  }
}

}  // namespace detent::onnx
