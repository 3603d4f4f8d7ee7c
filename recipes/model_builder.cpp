#include "detent/recipes/model_builder.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "detent/core/error.h"
#include "detent/core/text/nearest.h"
#include "detent/interchange/onnx/in/import.h"
#include "detent/quant/passes/open_model.h"
#include "detent/train/losses/loss.h"
#include "detent/train/model_attributes.h"

namespace detent::recipes {
namespace {

nn::Conv2d::Options conv_options(LayerText& text, Extent2d kernel, nn::Init init) {
  nn::Conv2d::Options options{.kernel = kernel, .init = init};
  options.stride = text.extent_option("stride", 1);
  options.dilation = text.extent_option("dilation", 1);
  options.padding = text.padding_option(Padding2d::same(kernel, options.dilation));
  options.bias = !text.flag("nobias");
  return options;
}

std::shared_ptr<nn::Module> make_conv(LayerText& text, const LayerContext& context) {
  const std::int64_t channels = text.whole("the number of output channels", "conv 32 3x3");
  nn::Conv2d::Options options = conv_options(text, text.window("conv 32 3x3"), context.init);
  options.out_channels = channels;
  options.groups = text.option("groups", 1);
  return std::make_shared<nn::Conv2d>(options);
}

std::shared_ptr<nn::Module> make_depthwise(LayerText& text, const LayerContext& context) {
  nn::Conv2d::Options options = conv_options(text, text.window("depthwise 3x3"), context.init);
  check(context.input.rank() == 3, "expected an image [H, W, C] as input");
  options.out_channels = options.groups = context.input[2];
  return std::make_shared<nn::Conv2d>(options);
}

std::shared_ptr<nn::Module> make_linear(LayerText& text, const LayerContext& context) {
  nn::Linear::Options options{.out_features = text.whole("the number of outputs", "linear 128"), .init = context.init};
  check(context.input.rank() == 1, "expected a vector as input; put \"flatten\" before it");
  options.bias = !text.flag("nobias");
  return std::make_shared<nn::Linear>(options);
}

std::shared_ptr<nn::Module> make_batch_norm(LayerText& text, const LayerContext&) {
  nn::BatchNorm::Options options;
  options.affine = !text.flag("noaffine");
  options.epsilon = text.real_option("eps", options.epsilon);
  options.momentum = text.real_option("momentum", options.momentum);
  return std::make_shared<nn::BatchNorm>(options);
}

template <typename Pool>
std::shared_ptr<nn::Module> make_pool(LayerText& text, const LayerContext&) {
  nn::Pool2d::Options options{.kernel = text.window(text.operation() + " 2")};
  options.stride = text.extent_option("stride", options.kernel);
  options.padding = text.padding_option(Padding2d::same(options.kernel));
  return std::make_shared<Pool>(options);
}

std::shared_ptr<nn::Module> make_activation(LayerText& text, const LayerContext&) {
  nn::ActivationLayer::Options options{.function = kernels::activation_from_name(text.operation())};
  if (options.function == kernels::Activation::LeakyRelu && text.has_number()) {
    options.slope = text.number("the slope", "leaky_relu 0.1");
  }
  return std::make_shared<nn::ActivationLayer>(options);
}

std::shared_ptr<nn::Module> make_dropout(LayerText& text, const LayerContext&) {
  return std::make_shared<nn::Dropout>(nn::Dropout::Options{.p = text.number("the share to drop", "dropout 0.25")});
}

std::shared_ptr<nn::Module> make_concat(LayerText&, const LayerContext& context) {
  return std::make_shared<nn::Concat>(nn::Concat::Options{.inputs = static_cast<std::int64_t>(context.inputs)});
}

template <typename M>
std::shared_ptr<nn::Module> make_plain(LayerText&, const LayerContext&) {
  return std::make_shared<M>();
}

const Layer& layer_named(const std::string& name, const Layers& layers) {
  const auto row = layers.find(name);
  if (row == layers.end()) {
    std::vector<std::string> names;
    for (const auto& [known, layer] : layers) {
      names.push_back(known);
    }
    fail("unknown operation '", name, "'", did_you_mean(name, names));
  }
  return row->second;
}

std::vector<nn::Graph::Handle> inputs_of(const nn::Graph& graph, const LayerSpec& layer) {
  if (layer.inputs.empty()) {
    return {{graph.nodes().size() - 1}};
  }
  std::vector<nn::Graph::Handle> inputs;
  for (const std::string& name : layer.inputs) {
    const std::optional<nn::Graph::Handle> found = graph.find(name);
    if (!found) {
      std::vector<std::string> names;
      for (const nn::Graph::Node& node : graph.nodes()) {
        names.push_back(node.name);
      }
      fail("no node '", name, "' before it", did_you_mean(name, names));
    }
    inputs.push_back(*found);
  }
  return inputs;
}

void add_layer(nn::Graph& graph, const LayerSpec& layer, nn::Init init, const Layers& layers) {
  const std::vector<nn::Graph::Handle> inputs = inputs_of(graph, layer);
  LayerText text(layer.text);
  const Layer& operation = layer_named(text.operation(), layers);
  std::shared_ptr<nn::Module> module = operation.make(text, {graph.node(inputs[0]).shape, inputs.size(), init});
  text.done();
  graph.add(std::move(module), inputs, layer.name.empty() ? graph.free_name(operation.stem) : layer.name);
}

std::string input_shapes(const nn::Graph& graph, const LayerSpec& layer) {
  std::ostringstream text;
  if (layer.inputs.empty()) {
    text << graph.nodes().back().shape;
  }
  for (const std::string& name : layer.inputs) {
    if (const std::optional<nn::Graph::Handle> found = graph.find(name)) {
      text << (text.tellp() > 0 ? " and " : "") << graph.node(*found).shape;
    }
  }
  return text.str();
}

}  // namespace

const Layers& standard_layers() {
  static const Layers layers{
      {"conv", {"conv", make_conv}},
      {"depthwise", {"conv", make_depthwise}},
      {"linear", {"fc", make_linear}},
      {"batchnorm", {"bn", make_batch_norm}},
      {"maxpool", {"pool", make_pool<nn::MaxPool2d>}},
      {"avgpool", {"pool", make_pool<nn::AvgPool2d>}},
      {"gap", {"pool", make_plain<nn::GlobalAvgPool2d>}},
      {"relu", {"relu", make_activation}},
      {"relu6", {"relu", make_activation}},
      {"leaky_relu", {"relu", make_activation}},
      {"sigmoid", {"sigmoid", make_activation}},
      {"tanh", {"tanh", make_activation}},
      {"gelu", {"gelu", make_activation}},
      {"hard_swish", {"swish", make_activation}},
      {"silu", {"silu", make_activation}},
      {"sign", {"sign", make_activation}},
      {"dropout", {"drop", make_dropout}},
      {"flatten", {"flatten", make_plain<nn::Flatten>}},
      {"add", {"add", make_plain<nn::Add>}},
      {"concat", {"concat", make_concat}},
      {"softmax", {"softmax", make_plain<nn::Softmax>}},
  };
  return layers;
}

nn::Graph build_model(const ModelSection& model, const Shape& input, std::int64_t classes, const Layers& layers) {
  nn::Graph graph;
  graph.input(input);
  for (const LayerSpec& layer : model.layers) {
    try {
      add_layer(graph, layer, model.init, layers);
    } catch (const Error& error) {
      fail(layer.where, " \"", layer.text, "\", on ", input_shapes(graph, layer), ": ", error.what());
    }
  }
  const LayerSpec& last = model.layers.back();
  check(graph.output_shape() == Shape{classes}, last.where, " \"", last.text, "\": the model gives ",
        graph.output_shape(), " numbers an example, but the data set has ", classes, " classes; end with \"linear ",
        classes, "\"");
  return graph;
}

nn::Model trained_model_of(const Recipe& recipe, const quant::Kinds& kinds) {
  const ModelSection& model = recipe.model;
  if (std::filesystem::path(model.file).extension() == ".onnx") {
    return {
        .graph =
            onnx::import_file(model.file, {.scores = train::takes_scores(recipe.train), .image = model.image}).graph,
        .attributes = train::to_attributes({})};
  }
  quant::OpenedModel opened = quant::open_model(model.file, kinds);
  check(opened.kind == "fp32", model.file, ": expected a float model (fp32.h5), got kind '", opened.kind,
        "'; quantize the float model that it was made of");
  return {.graph = std::move(*opened.graph()), .kind = opened.kind, .attributes = std::move(opened.attributes)};
}

}  // namespace detent::recipes
