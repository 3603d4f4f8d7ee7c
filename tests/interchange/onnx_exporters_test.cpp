// What the exporters of Keras (tf2onnx) and scikit-learn (skl2onnx) write around networks.
#include <gmock/gmock.h>

#include "tests/error_of.h"
#include "tests/interchange/onnx_models.h"

namespace detent::onnx::onnx_exporters_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A classifier of rows, as scikit-learn's are: a label of whole numbers, and probabilities.
Making classifier() {
  Making making({2});
  making.reals("w", {2, 2}, {1, 2, 3, 4}).node("Cast", {"x"}, "cast", {{"to", std::int64_t{1}}});
  making.node("MatMul", {"cast", "w"}, "scores").node("Softmax", {"scores"}, "p", {{"axis", std::int64_t{-1}}});
  making.node("Identity", {"p"}, "probabilities").node("ArgMax", {"p"}, "label");
  making.model.outputs = {{.name = "label", .type = ElementType::S64}, {.name = "probabilities"}};
  return making;
}

std::vector<std::string> kinds(const nn::Graph& graph) {
  std::vector<std::string> names;
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (node.module) {
      names.emplace_back(node.module->kind());
    }
  }
  return names;
}

TEST(OnnxExporters, TheOnlyOutputOfRealNumbersIsTaken) {
  const Imported imported = import_graph(classifier().model);
  EXPECT_THAT(kinds(imported.graph), ElementsAre("linear", "softmax"));
  EXPECT_EQ(imported.remarks.at(0), "its output is 'probabilities', the only one of real numbers; left out: label");
}

TEST(OnnxExporters, ProbabilitiesByClassAreProbabilities) {
  Making making = classifier();
  making.model.nodes.push_back(
      {.name = "ZipMap", .op = "ZipMap", .domain = "ai.onnx.ml", .inputs = {"p"}, .outputs = {"by_class"}});
  making.model.opsets["ai.onnx.ml"] = 1;
  making.model.outputs[1] = {.name = "by_class", .type = ElementType{0}};
  const std::vector<float> y = outputs_of(import_graph(making.model).graph, {1, 0});
  EXPECT_FLOAT_EQ(y[1], 1.0F / (1.0F + std::exp(-1.0F)));
}

TEST(OnnxExporters, AnyValueCanBeTheResult) {
  const Making making = classifier();
  EXPECT_THAT(outputs_of(import_graph(making.model, {.output = "scores"}).graph, {1, 10}), ElementsAre(31, 42));
  EXPECT_EQ(error_of([&] { import_graph(making.model, {.output = "logits"}); }),
            "it has no output 'logits', and no operation gives it; it has label, probabilities");
  EXPECT_THAT(error_of([&] { import_graph(making.model, {.output = "label"}); }),
              HasSubstr("ArgMax '/label/ArgMax': Detent has no such operation; it would take a module of that kind "
                        "(docs/extending.md); --result p takes the model before it"));
}

TEST(OnnxExporters, ASoftmaxAtTheEndIsLeftOutForScores) {
  const Imported probabilities = import_graph(classifier().model);
  EXPECT_EQ(probabilities.remarks.at(1),
            "it ends with a softmax, which training and quantization want without: --result scores");
  const Imported scores = import_graph(classifier().model, {.scores = true});
  EXPECT_THAT(kinds(scores.graph), ElementsAre("linear"));
  EXPECT_EQ(scores.remarks.at(1), "its softmax at the end is left out: it gives the scores 'scores'");
  Making twice({2});  // a softmax that is not the last operation stays
  twice.node("Softmax", {"x"}, "p", {{"axis", std::int64_t{-1}}}).node("Relu", {"p"}, "y");
  EXPECT_THAT(kinds(import_graph(twice.model, {.scores = true}).graph), ElementsAre("softmax", "activation"));
}

// (x - 100) / 5 is no batch norm, whatever module computes it: what it is trained on does not change it.
TEST(OnnxExporters, ConstantsAreNoStatistics) {
  Making making({2});
  making.reals("mean", {2}, {100, 200}).reals("std", {2}, {5, 4}).node("Sub", {"x", "mean"}, "a");
  making.node("Div", {"a", "std"}, "y");
  Imported imported = import_graph(making.model);
  for (int step = 0; step < 3; ++step) {
    autograd::Tape tape;
    nn::Context context{.tape = tape, .training = true};
    const Tensor y =
        imported.graph.forward(context, tape.constant(Tensor::from<float>({105, 204, 95, 192}, {2, 2}))).value();
    EXPECT_THAT(std::vector<float>(y.data<float>().begin(), y.data<float>().end()),
                testing::Pointwise(testing::FloatNear(1e-4F), {1.0F, 1.0F, -1.0F, -2.0F}));
  }
}

TEST(OnnxExporters, ImagesOfOneChannelAreTurnedByAReshape) {
  // tf2onnx: [N, 2, 3, 1] to [N, 1, 2, 3], a convolution, and back to [N, 1, 2, 1].
  Making making({2, 3, 1});
  making.wholes("first", {-1, 1, 2, 3}).reals("w", {1, 1, 2, 2}, {1, 10, 100, 1000}).wholes("last", {-1, 1, 2, 1});
  making.wholes("flat", {-1, 2}).reals("w2", {2, 2}, {1, 0, 0, 2});
  making.node("Reshape", {"x", "first"}, "image").node("Conv", {"image", "w"}, "conv");
  making.node("Transpose", {"conv"}, "turned", {{"perm", Numbers{0, 2, 3, 1}}});
  making.node("Reshape", {"turned", "flat"}, "row").node("MatMul", {"row", "w2"}, "y");
  const Imported imported = import_graph(making.model);
  EXPECT_EQ(imported.graph.input_shape(), (Shape{2, 3, 1}));
  EXPECT_THAT(outputs_of(imported.graph, {1, 2, 3, 4, 5, 6}), ElementsAre(5421, 2 * 6532));
  making.model.outputs[0].name = "back";
  making.node("Reshape", {"conv", "last"}, "back");
  EXPECT_THAT(outputs_of(import_graph(making.model).graph, {1, 2, 3, 4, 5, 6}), ElementsAre(5421, 6532));
}

TEST(OnnxExporters, ExtentsOfTwoTypesAreOneShape) {
  // tf2onnx: the flatten of [N, 2, 2] by int32 extents, some of which are constants.
  Making making({2, 2});
  making.wholes("zero", {0}).wholes("one", {1}).reals("w", {4, 1}, {1, 10, 100, 1000});
  making.model.initializers.push_back(Array::of("four", {1}, std::vector<std::int32_t>{4}));
  making.node("Shape", {"x"}, "shape").node("Cast", {"shape"}, "extents", {{"to", std::int64_t{6}}});
  making.node("Slice", {"extents", "zero", "one", "zero"}, "examples");
  making.node("Concat", {"examples", "four"}, "flat", {{"axis", std::int64_t{0}}});
  making.node("Cast", {"flat"}, "wide", {{"to", std::int64_t{7}}}).node("Reshape", {"x", "wide"}, "row");
  making.node("MatMul", {"row", "w"}, "y");
  EXPECT_THAT(imported_outputs(making, {1, 2, 3, 4}), ElementsAre(4321));
}

TEST(OnnxExporters, AnImageOfOneColumnKeepsItsChannels) {
  // [N, 2, 3, 1] that a convolution reads are two channels; a reshape of another value mixes nothing.
  Making making({2, 3, 1});
  making.reals("w", {1, 2, 1, 1}, {1, 10}).node("Conv", {"x", "w"}, "y");
  EXPECT_EQ(import_graph(making.model).graph.input_shape(), (Shape{3, 1, 2}));
  EXPECT_THAT(imported_outputs(making, {1, 4, 2, 5, 3, 6}), ElementsAre(41, 52, 63));
}

}  // namespace
}  // namespace detent::onnx::onnx_exporters_test
