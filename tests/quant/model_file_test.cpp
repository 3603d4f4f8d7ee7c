// Files of converted models: what is written comes back, what was written before is read, and what is damaged or made
// up is refused in one line.

#include "detent/runtime/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/nn/model_file.h"
#include "detent/quant/passes/open_model.h"
#include "tests/places.h"
#include "tests/quant/qat_fixture.h"

namespace detent::model_file_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const quant::Converted& everything() {
  static const quant::Converted converted = [] {
    nn::Graph net = test::everything_net();
    net.initialize(1);
    nn::Graph prepared =
        quant::prepare(net, quant::QConfigMapping().set_name("fc2", std::nullopt).set_name("sigmoid", std::nullopt));
    test::infer(prepared, test::random_images({12, 12, 3}, 8, 1, -1.0F, 1.0F));
    quant::freeze_observers(prepared);
    return quant::convert(prepared);
  }();
  return converted;
}

json graph_of(const TensorFile& file) { return json::parse(file.text("graph")); }

TEST(ShippedFile, WhatIsWrittenComesBack) {
  const runtime::ModelFile before{.model = everything().model,
                                  .attributes = {{"recipe", std::string("test")}, {"seed", std::int64_t{3}}}};
  const TempFolder folder;
  runtime::save_model(before, folder / "model.h5");
  const runtime::ModelFile after = runtime::load_model(folder / "model.h5");
  EXPECT_EQ(after.attributes, before.attributes);
  const TensorFile one = runtime::to_file(before), two = runtime::to_file(after);
  EXPECT_EQ(one.attributes, two.attributes);
  ASSERT_EQ(one.tensors.size(), two.tensors.size());
  for (const auto& [path, tensor] : one.tensors) {
    const Tensor& other = two.tensor(path);
    ASSERT_EQ(tensor.shape(), other.shape()) << path;
    EXPECT_EQ(std::memcmp(tensor.raw(), other.raw(), tensor.bytes()), 0) << path;
  }
  const std::vector<runtime::Node>& nodes = after.model.nodes;
  const auto sigmoid = std::ranges::find(nodes, "sigmoid", &runtime::Node::name);
  EXPECT_EQ(sigmoid->note, "kept in float as asked by 'sigmoid'");
}

TEST(ShippedFile, OfVersion1IsReadAsTheSameModel) {
  const std::string folder = source_path("tests/golden/");
  const nn::Graph prepared = nn::load_model(folder + "version1-qat.h5", quant::factories_of()).graph;
  const quant::OpenedModel old = quant::open_model(folder + "version1-int8.h5");
  ASSERT_NE(old.model(), nullptr);
  EXPECT_EQ(std::get<std::string>(old.attributes.at("recipe")), "everything");
  evaluation::Verifier verifier(prepared, *old.model());
  verifier.feed(test::random_images(prepared.input_shape(), 20, 5));
  EXPECT_TRUE(verifier.report().passed()) << evaluation::to_text(verifier.report());
  // The same model as this version makes, operation by operation.
  const json ours = graph_of(runtime::to_file({.model = quant::convert(prepared).model}));
  const json theirs = graph_of(runtime::to_file({.model = *old.model()}));
  ASSERT_EQ(ours["nodes"].size(), theirs["nodes"].size());
  for (std::size_t i = 0; i < ours["nodes"].size(); ++i) {
    EXPECT_EQ(ours["nodes"][i], theirs["nodes"][i]);
  }
}

TEST(ShippedFile, IsNotTakenForAGraph) {
  const TempFolder folder;
  runtime::save_model({.model = everything().model}, folder / "int8.h5");
  EXPECT_THAT(error_of([&] { nn::load_model(folder / "int8.h5"); }),
              HasSubstr("kind: it is an int8 model, which runtime::load_model reads"));
  nn::Graph net = test::plain_net();
  net.initialize(1);
  nn::save_model({.graph = net}, folder / "fp32.h5");
  EXPECT_THAT(error_of([&] { runtime::load_model(folder / "fp32.h5"); }),
              HasSubstr("kind: expected an int8 model, got 'fp32', which nn::load_model reads"));
}

struct Damage {
  const char* what;
  void (*change)(TensorFile& file, json& graph);
  const char* message;
};

json& node_of(json& graph, std::string_view name) {
  for (json& node : graph["nodes"]) {
    if (node["name"] == name) {
      return node;
    }
  }
  fail("test: no node ", name);
}

const std::vector<Damage>& damages() {
  static const std::vector<Damage> all{
      {"another format", [](TensorFile& f, json&) { f.attributes["format"] = std::string("other"); },
       "not a model of Detent"},
      {"a version to come", [](TensorFile& f, json&) { f.attributes["version"] = std::int64_t{5}; },
       "version: expected 1 to 4, got 5"},
      {"no nodes", [](TensorFile&, json& g) { g.erase("nodes"); }, "the description has no 'nodes'"},
      {"an unknown key", [](TensorFile&, json& g) { g["more"] = 1; }, "unknown key 'more'"},
      {"an unknown key of a node", [](TensorFile&, json& g) { node_of(g, "conv2")["dtype"] = "s4"; },
       "conv2: unknown key 'dtype'"},
      {"an unknown op", [](TensorFile&, json& g) { node_of(g, "max")["op"] = "sort"; }, "max: "},
      {"a missing field", [](TensorFile&, json& g) { node_of(g, "conv2").erase("relu"); }, "conv2 has no 'relu'"},
      {"a name twice", [](TensorFile&, json& g) { node_of(g, "max")["name"] = "conv2"; }, "'conv2'"},
      {"a name that is none", [](TensorFile&, json& g) { node_of(g, "max")["name"] = "a/\n"; },
       "a name is letters, digits, '_', '-' and '.', got \"a/\\n\""},
      {"an input that comes later", [](TensorFile&, json& g) { node_of(g, "conv1")["inputs"] = {"fc2"}; },
       "conv1: no node named \"fc2\" before it"},
      {"no inputs", [](TensorFile&, json& g) { node_of(g, "conv2")["inputs"] = json::array(); }, "conv2: "},
      {"another stride",
       [](TensorFile&, json& g) {
         node_of(g, "conv2")["geometry"]["stride"] = {1, 1};
       },
       "conv2: "},
      {"a huge stride",
       [](TensorFile&, json& g) {
         node_of(g, "conv2")["geometry"]["stride"] = {1, 1ULL << 63U};
       },
       "stride: expected an integer from 1 to 2147483647"},
      {"a negative padding",
       [](TensorFile&, json& g) {
         node_of(g, "conv2")["geometry"]["padding"] = {-1, 0, -1, 0};
       },
       "padding: expected an integer from 0"},
      {"many outputs",
       [](TensorFile&, json& g) {
         node_of(g, "conv2")["geometry"]["outputs"] = 2000000000;
         node_of(g, "conv2")["geometry"]["kernel"] = {2000000, 2000000};
       },
       "conv2: expected at most 2147483647 elements"},
      {"a huge image",
       [](TensorFile&, json& g) {
         node_of(g, "conv2")["geometry"]["image"] = {2000000000, 2000000000, 2000000000};
       },
       "conv2: expected at most 2147483647 elements"},
      {"a huge type",
       [](TensorFile&, json& g) {
         node_of(g, "max")["type"]["shape"] = {2000000000, 2000000000};
       },
       "max: expected at most 2147483647 elements"},
      {"bits", [](TensorFile&, json& g) { node_of(g, "conv2")["type"]["bits"] = 9; }, "conv2: bits: expected 1 to 8"},
      {"weight bits", [](TensorFile&, json& g) { node_of(g, "conv2")["weight_bits"] = 33; }, "conv2: weight_bits"},
      {"weights out of range", [](TensorFile&, json& g) { node_of(g, "conv2")["weight_bits"] = 5; }, "conv2: weight"},
      {"a missing tensor", [](TensorFile& f, json&) { f.tensors.erase("parameters/conv2/weight"); },
       "conv2: no tensor 'parameters/conv2/weight'"},
      {"a surplus tensor",
       [](TensorFile& f, json&) { f.tensors["parameters/conv2/more"] = Tensor::zeros({1}, DType::F32); },
       "'parameters/conv2/more' belongs to no node of the graph"},
      {"weights of another shape",
       [](TensorFile& f, json&) {
         f.tensors["parameters/conv2/weight"] = Tensor::zeros({2, 2}, DType::S8);
       },
       "conv2: weight"},
      {"weights of another type",
       [](TensorFile& f, json&) {
         f.tensors["parameters/conv2/weight"] = Tensor::zeros({16, 3, 3, 8}, DType::F32);
       },
       "parameters/conv2/weight: expected s8"},
      {"a scale of 0",
       [](TensorFile& f, json&) { f.tensors["parameters/conv2/output_scale"] = Tensor::zeros({1}, DType::F32); },
       "conv2: qparams: expected a finite scale > 0"},
      {"a zero point that is no code",
       [](TensorFile& f, json&) { f.tensors["parameters/max/output_zero_point"] = Tensor::full({1}, DType::S32, 300); },
       "max: qparams: expected a zero point in [0, 255]"},
      {"a zero point of weights",
       [](TensorFile& f, json&) {
         f.tensors["parameters/conv2/weight_zero_point"] = Tensor::full({16}, DType::S32, 1);
       },
       "conv2: weight_zero_point: expected 0, got 1"},
      {"another input's scale",
       [](TensorFile& f, json&) { f.tensors["parameters/conv2/input_scale"] = Tensor::full({1}, DType::F32, 3.0); },
       "conv2: the input's scale and zero point are not those"},
      {"a max-pool on a map of its own",
       [](TensorFile& f, json&) { f.tensors["parameters/max/output_scale"] = Tensor::full({1}, DType::F32, 3.0); },
       "max: expected the output on the map of the input"},
      {"no output", [](TensorFile&, json& g) { g["output"] = "nobody"; }, "output: no node named \"nobody\""},
  };
  return all;
}

TEST(ShippedFile, DamageIsRefusedByName) {
  for (const Damage& damage : damages()) {
    TensorFile file = runtime::to_file({.model = everything().model});
    json graph = graph_of(file);
    damage.change(file, graph);
    file.attributes["graph"] = graph.dump();
    const std::string error = error_of([&] { runtime::from_file(file); });
    EXPECT_THAT(error, HasSubstr(damage.message)) << damage.what;
    EXPECT_EQ(std::ranges::count(error, '\n'), 0) << damage.what;
  }
}

/// A linear layer of 3 x 5 weights of this grid, with these codes.
runtime::Model few_bits(const std::string& weights, const std::function<int(int)>& code) {
  nn::Graph net;
  net.output(net.linear(net.input({5}), {.out_features = 3, .name = "fc"}));
  net.initialize(1);
  const quant::QConfig qconfig{.weight = quant::parse_weight_quantizer(weights)};
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping(qconfig));
  test::infer(prepared, test::random_images({5}, 8, 1, -1.0F, 1.0F));
  quant::freeze_observers(prepared);
  runtime::Model model = quant::convert(prepared).model;
  for (runtime::Node& node : model.nodes) {
    if (auto* const product = std::get_if<runtime::Product>(&node.op)) {
      for (std::size_t i = 0; i < 15; ++i) {
        product->weight.data<std::int8_t>()[i] = static_cast<std::int8_t>(code(static_cast<int>(i)));
      }
    }
  }
  return model;
}

std::vector<int> weight_codes_of(const runtime::ModelFile& read) {
  const auto node = std::ranges::find(read.model.nodes, "fc", &runtime::Node::name);
  const auto codes = std::get<runtime::Product>(node->op).weight.data<std::int8_t>();
  return {codes.begin(), codes.end()};
}

TEST(ShippedFile, WeightsOf2BitsTakeAQuarterOfAByte) {
  const std::string path = "parameters/fc/weight";
  const auto code = [](int i) { return i % 3 - 1; };
  const TensorFile file = runtime::to_file({.model = few_bits("ternary", code)});
  EXPECT_EQ(file.integer("version"), 4);
  // -1, 0, 1, -1 | 0, 1, -1, 0 | 1, -1, 0, 1 | -1, 0, 1
  EXPECT_THAT(file.tensor(path).data<std::uint8_t>(), ::testing::ElementsAre(0xD3, 0x34, 0x4D, 0x13));
  const runtime::ModelFile read = runtime::from_file(file);
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(weight_codes_of(read)[static_cast<std::size_t>(i)], code(i)) << i;
  }
  TensorFile older = file;  // version 3 has 4 bits for each
  older.attributes["version"] = std::int64_t{3};
  EXPECT_THAT(error_of([&] { runtime::from_file(older); }), HasSubstr("expected u8 [8]"));
  older.tensors[path] = Tensor::from<std::uint8_t>({0x0F, 0xF1, 0x10, 0x0F, 0xF1, 0x10, 0x0F, 0x01}, {8});
  EXPECT_EQ(weight_codes_of(runtime::from_file(older)), weight_codes_of(read));

  const auto error_with = [&](const Tensor& bytes) {
    TensorFile damaged = file;
    damaged.tensors[path] = bytes;
    return error_of([&] { runtime::from_file(damaged); });
  };
  EXPECT_THAT(error_with(Tensor::zeros({3}, DType::U8)), HasSubstr("expected u8 [4]"));
  EXPECT_THAT(error_with(Tensor::zeros({5}, DType::U8)), HasSubstr("expected u8 [4]"));
  EXPECT_THAT(error_with(Tensor::zeros({3, 5}, DType::S8)), HasSubstr("fc: parameters/fc/weight: expected u8"));
  EXPECT_THAT(error_with(Tensor::full({4}, DType::U8, 0x55)), HasSubstr("expected 0 after the last code"));
  EXPECT_THAT(error_with(Tensor::full({4}, DType::U8, 0x02)), HasSubstr("fc: weight")) << "-2 is no code";
}

TEST(ShippedFile, WeightsOf1BitTakeABit) {
  const std::string path = "parameters/fc/weight";
  const auto code = [](int i) { return i % 3 == 0 ? 1 : -1; };
  const TensorFile file = runtime::to_file({.model = few_bits("int1", code)});
  EXPECT_EQ(file.integer("version"), 4);
  EXPECT_THAT(file.tensor(path).data<std::uint8_t>(), ::testing::ElementsAre(0x49, 0x12));
  json graph = graph_of(file);
  EXPECT_EQ(node_of(graph, "fc")["weight_bits"], 1);
  const runtime::ModelFile read = runtime::from_file(file);
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(weight_codes_of(read)[static_cast<std::size_t>(i)], code(i)) << i;
  }
  EXPECT_EQ(runtime::to_file(read).tensor(path).data<std::uint8_t>()[0], 0x49);

  const auto error_with = [&](const Tensor& bytes) {
    TensorFile damaged = file;
    damaged.tensors[path] = bytes;
    return error_of([&] { runtime::from_file(damaged); });
  };
  EXPECT_THAT(error_with(Tensor::zeros({1}, DType::U8)), HasSubstr("expected u8 [2], [3, 1, 1, 5] codes of 1 bit"));
  EXPECT_THAT(error_with(Tensor::zeros({3}, DType::U8)), HasSubstr("expected u8 [2]"));
  EXPECT_THAT(error_with(Tensor::full({2}, DType::U8, 0x80)), HasSubstr("expected 0 after the last code"));
}

TEST(ShippedFile, HasVersion4OnlyWhereWeightsNeedIt) {
  EXPECT_EQ(runtime::to_file({.model = everything().model}).integer("version"), 3);
  EXPECT_EQ(runtime::to_file({.model = few_bits("int3", [](int i) { return i % 7 - 3; })}).integer("version"), 3);
  EXPECT_EQ(runtime::to_file({.model = few_bits("int2", [](int i) { return i % 2; })}).integer("version"), 4);
}

TEST(ShippedFile, WeightsOf4BitsTakeHalfAByte) {
  const std::string path = "parameters/fc/weight";
  const TensorFile file = runtime::to_file({.model = few_bits("int4", [](int i) { return i - 7; })});
  // -7, -6 | -5, -4 | -3, -2 | -1, 0 | 1, 2 | 3, 4 | 5, 6 | 7
  EXPECT_THAT(file.tensor(path).data<std::uint8_t>(),
              ::testing::ElementsAre(0xA9, 0xCB, 0xED, 0x0F, 0x21, 0x43, 0x65, 0x07));
  const auto weight_of = [](const runtime::ModelFile& read) {
    const auto node = std::ranges::find(read.model.nodes, "fc", &runtime::Node::name);
    return std::get<runtime::Product>(node->op).weight;
  };
  const Tensor weight = weight_of(runtime::from_file(file));
  ASSERT_EQ(weight.elements(), 15);
  Tensor wide = Tensor::empty({3, 5}, DType::S8);
  for (std::size_t i = 0; i < 15; ++i) {
    EXPECT_EQ(weight.data<std::int8_t>()[i], static_cast<int>(i) - 7) << i;
    wide.data<std::int8_t>()[i] = weight.data<std::int8_t>()[i];
  }
  TensorFile older = file;  // version 2 has a byte for each
  older.attributes["version"] = std::int64_t{2};
  EXPECT_THAT(error_of([&] { runtime::from_file(older); }), HasSubstr("expected s8"));
  older.tensors[path] = wide;
  EXPECT_EQ(weight_of(runtime::from_file(older)).data<std::int8_t>()[14], 7);

  const auto error_with = [&](const Tensor& bytes) {
    TensorFile damaged = file;
    damaged.tensors[path] = bytes;
    return error_of([&] { runtime::from_file(damaged); });
  };
  EXPECT_THAT(error_with(wide), HasSubstr("fc: parameters/fc/weight: expected u8"));
  EXPECT_THAT(error_with(Tensor::zeros({7}, DType::U8)), HasSubstr("expected u8 [8]"));
  EXPECT_THAT(error_with(Tensor::zeros({9}, DType::U8)), HasSubstr("expected u8 [8]"));
  EXPECT_THAT(error_with(Tensor::full({8}, DType::U8, 0x11)), HasSubstr("expected 0 after the last code"));
  EXPECT_THAT(error_with(Tensor::full({8}, DType::U8, 0x08)), HasSubstr("fc: weight")) << "-8 is no code";
}

TEST(ShippedFile, DescriptionsThatAreNoJsonAreRefused) {
  TensorFile file = runtime::to_file({.model = everything().model});
  file.attributes["graph"] = std::string("{");
  EXPECT_THAT(error_of([&] { runtime::from_file(file); }), HasSubstr("graph: the description is not JSON"));
  file.attributes["graph"] = std::string(100000, '[');
  EXPECT_THAT(error_of([&] { runtime::from_file(file); }), HasSubstr("nested deeper than 100 brackets"));
}

/// Any one key taken away or made another type: an Error, never anything else.
void break_everywhere(json& value, const std::function<void()>& try_it) {
  if (value.is_object()) {
    for (const std::string& key : [&] {
           std::vector<std::string> keys;
           for (const auto& [name, member] : value.items()) {
             keys.push_back(name);
           }
           return keys;
         }()) {
      const json before = value[key];
      for (const json& other : {json(), json("text"), json(-1), json(1e300), json::array({1, 2, 3, 4, 5, 6, 7})}) {
        value[key] = other;
        try_it();
      }
      value.erase(key);
      try_it();
      value[key] = before;
      break_everywhere(value[key], try_it);
    }
  } else if (value.is_array()) {
    for (json& element : value) {
      break_everywhere(element, try_it);
    }
  }
}

TEST(ShippedFile, NothingButErrorsComesOfBrokenDescriptions) {
  const TensorFile old = TensorFile::read(source_path("tests/golden/version1-int8.h5"));
  for (const TensorFile& good : {runtime::to_file({.model = everything().model}), old}) {
    json graph = graph_of(good);
    std::int64_t refused = 0, taken = 0;
    break_everywhere(graph, [&] {
      TensorFile file = good;
      file.attributes["graph"] = graph.dump();
      try {
        runtime::from_file(std::move(file));
        ++taken;
      } catch (const Error&) {
        ++refused;
      }
    });
    EXPECT_GT(refused, 500);
    EXPECT_LT(taken, refused / 4) << "notes, defaults and what nobody computes with";
  }
}

}  // namespace
}  // namespace detent::model_file_test
