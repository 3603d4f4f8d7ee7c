// Whether an ONNX file or C sources hold a model: each change of a constant, an operation or the digest is found, and
// what a file says of itself is not believed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "detent/interchange/onnx/model_file.h"
#include "detent/interchange/onnx/out/export.h"
#include "detent/interchange/same/exported.h"
#include "detent/interchange/same/model_file.h"
#include "detent/nn/model_file.h"
#include "tests/data/temp_folder.h"
#include "tests/interchange/onnx_models.h"
#include "tests/runtime/random_model.h"

namespace detent::interchange::same_files_test {
namespace {

using quant::OpenedModel;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

OpenedModel int8(std::uint64_t seed = 1) {
  runtime::test::ModelBuilder b(seed);
  const runtime::ValueId x = b.quantize(b.input({6, 6, 2}));
  const runtime::ValueId conv = b.conv(x, {.o = 3, .kh = 3, .kw = 3, .padding = 1}, true, true, true);
  const runtime::ValueId few = b.conv(conv, {.o = 3, .kh = 1, .kw = 1}, false, true, true, 4);
  b.dequantize(b.linear(b.flatten(b.max_pool(b.sum(conv, few))), 4, false));
  return {.kind = "int8", .content = b.model};
}

/// The file's content that an export of the model has.
onnx::Model as_onnx(const OpenedModel& model, std::int64_t opset = 0, onnx::Form form = onnx::Form::Qdq) {
  const Exported source = exported(model);
  onnx::Model made = onnx::export_model(source.model, {.form = form, .opset = opset, .model_sha256 = source.sha256});
  return onnx::parse_model(onnx::to_bytes(made), {});
}
CSources as_c(const OpenedModel& model, c::Options options = {}) {
  const Exported source = exported(model);
  options.model_sha256 = source.sha256;
  const c::Export made = c::export_c(source.model, options, c::drawn_examples(source.model, 1));
  return {.header_file = options.name + ".h",
          .source_file = options.name + ".c",
          .header = made.header,
          .source = made.source};
}

/// "" where the two are the same.
std::string difference_of(const AnyModel& a, const AnyModel& b, const Pixels& pixels = {}) {
  const auto found = first_difference(a, b, NodeNames::Count, pixels);
  const auto other = first_difference(b, a, NodeNames::Count, pixels);
  EXPECT_EQ(found.has_value(), other.has_value());
  if (found && other && !std::holds_alternative<CSources>(a)) {  // C names lines, and those of the second file
    EXPECT_EQ(found->a, other->b);
    EXPECT_EQ(found->b, other->a);
  }
  return found ? to_text(*found, "A", "B") : "";
}

onnx::Array& array_of(onnx::Model& model, const std::string& name) {
  return *std::ranges::find(model.initializers, name, &onnx::Array::name);
}
/// The name of the first product's value.
std::string product_of(const OpenedModel& model) {
  return std::ranges::find_if(
             model.model()->nodes,
             [](const runtime::Node& node) { return std::holds_alternative<runtime::Product>(node.op); })
      ->name;
}

TEST(SameFiles, AnExportHoldsItsModel) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const OpenedModel model = int8(seed);
    for (const std::int64_t opset : {0, 13, 21}) {  // int8, and int4 where the weights have 4 bits
      EXPECT_EQ(difference_of(model, as_onnx(model, opset)), "");
    }
    for (const onnx::Form form : {onnx::Form::QOperator, onnx::Form::Integer}) {
      EXPECT_EQ(difference_of(model, as_onnx(model, 0, form)), "");
      EXPECT_THAT(error_of([&] { difference_of(as_onnx(model), as_onnx(model, 0, form)); }),
                  HasSubstr("they were written in two ways"));
    }
    EXPECT_EQ(difference_of(as_onnx(model), as_onnx(model)), "");
    EXPECT_EQ(difference_of(model, as_c(model)), "");
    EXPECT_EQ(difference_of(model, as_c(model, {.name = "it", .requantize = c::Requantize::Fixed})), "");
    EXPECT_EQ(difference_of(as_c(model), as_c(model)), "");
    EXPECT_EQ(digest_of(model), digest_of(as_onnx(model)));
    EXPECT_EQ(digest_of(model), digest_of(as_c(model)));
    EXPECT_NE(difference_of(int8(seed + 1), as_onnx(model)), "");
    EXPECT_NE(difference_of(int8(seed + 1), as_c(model)), "");
  }
}

TEST(SameFiles, EveryChangeOfAnOnnxFileIsFound) {
  struct Change {
    const char* what;
    std::function<void(onnx::Model&, const std::string&)> change;
    const char* difference;
  };
  const auto flip = [](const char* array, std::size_t byte) {
    return [=](onnx::Model& model, const std::string& product) {
      array_of(model, product + array).bytes[byte] ^= std::byte{1};
    };
  };
  const auto node_of = [](onnx::Model& model, const std::string& op) -> onnx::Node& {
    return *std::ranges::find(model.nodes, op, &onnx::Node::op);
  };
  const std::vector<Change> changes{
      {"a code", flip("/weight", 7),
       ": weight \\[0, 0, 2, 1\\]: -?[0-9]+ in A, -?[0-9]+ in B \\(1 of 54 elements differ\\)"},
      {"a weight's scale", flip("/weight_scale", 4),
       ": weight_scale \\[1\\]: [0-9.e-]+ in A, .* \\(1 of 3 elements differ\\)"},
      {"a bias", flip("/bias", 8), ": bias \\[2\\]: -?[0-9]+ in A, -?[0-9]+ in B \\(1 of 3 elements differ\\)"},
      {"a scale", flip("/scale", 0), ": scale \\[\\]: .*"},
      {"a zero point", flip("/zero_point", 0),
       ": zero_point \\[\\]: [0-9]+ in A, [0-9]+ in B \\(1 of 1 elements differ\\)"},
      {"a pad",
       [&](onnx::Model& model, const std::string&) {
         std::get<std::vector<std::int64_t>>(
             std::ranges::find(node_of(model, "Conv").attributes, "pads", &onnx::Attribute::name)->value)[2] = 0;
       },
       "/product: pads: \\[1, 1, 1, 1\\] in A, \\[1, 1, 0, 1\\] in B"},
      {"an attribute",
       [&](onnx::Model& model, const std::string&) {
         node_of(model, "Conv").attributes.push_back({.name = "auto_pad", .value = std::string("SAME_UPPER")});
       },
       "/product: auto_pad: none in A, \"SAME_UPPER\" in B"},
      {"an operation", [&](onnx::Model& model, const std::string&) { node_of(model, "Relu").op = "Tanh"; },
       "/relu: op: Relu in A, Tanh in B"},
  };
  const OpenedModel model = int8();
  for (const Change& change : changes) {
    SCOPED_TRACE(change.what);
    onnx::Model file = as_onnx(model);
    change.change(file, product_of(model));
    EXPECT_EQ(digest_of(file), digest_of(model));  // the digest that it states is as it was
    EXPECT_THAT(difference_of(model, file), MatchesRegex(product_of(model) + change.difference));
    EXPECT_THAT(difference_of(as_onnx(model), file), MatchesRegex(product_of(model) + change.difference));
  }
  const auto changed = [&](auto&& change) {
    onnx::Model file = as_onnx(model);
    change(file);
    return difference_of(model, file);
  };
  EXPECT_THAT(changed([](onnx::Model& m) { m.nodes.pop_back(); }),
              MatchesRegex("operations: [0-9]+ operations in A.*"));
  EXPECT_THAT(changed([](onnx::Model& m) { m.inputs[0].dims->back() = 7; }),
              HasSubstr("inputs: input0 float [N, 2, 6, 6] in A, input0 float [N, 2, 6, 7] in B"));
  EXPECT_THAT(changed([](onnx::Model& m) { m.opsets["other"] = 1; }), HasSubstr("opset: "));
  EXPECT_THAT(
      changed([](onnx::Model& m) { m.initializers.push_back(onnx::Array::of("more", {1}, std::vector{1.0F})); }),
      HasSubstr("more: none in A, float [1] in B"));
  EXPECT_EQ(changed([](onnx::Model& m) { std::ranges::reverse(m.initializers); }), "");
  EXPECT_EQ(changed([](onnx::Model& m) { m.nodes[0].name = "other"; }), "");
}

TEST(SameFiles, EveryBitOfAPackedCodeCounts) {
  const OpenedModel model = int8();
  onnx::Model file = as_onnx(model, 21);
  onnx::Array& packed = *std::ranges::find(file.initializers, onnx::ElementType::S4, &onnx::Array::type);
  const std::string name = packed.name;
  packed.bytes[1] ^= std::byte{0x10};  // the fourth code
  EXPECT_THAT(difference_of(model, file), HasSubstr("weight [1, 0, 0, 0]: "));
  packed.bytes[1] ^= std::byte{0x10};
  packed.bytes[4] ^= std::byte{0xF0};  // behind the last of nine
  EXPECT_EQ(difference_of(model, file), "") << name;
}

TEST(SameFiles, ADigestIsCheckedAndNotBelieved) {
  const OpenedModel model = int8(1), other = int8(2);
  onnx::Model file = as_onnx(model);
  file.metadata[onnx::kModelDigest] = digest_of(other);
  EXPECT_EQ(difference_of(model, file),
            "model_sha256: " + digest_of(model) + " in A, " + digest_of(other) + " stated in B");
  EXPECT_NE(difference_of(other, file), "");
  file.metadata.clear();  // says nothing, and is what the model is written as
  EXPECT_EQ(difference_of(model, file), "");
  CSources sources = as_c(model);
  sources.header.replace(sources.header.find(digest_of(model)), 64, digest_of(other));
  EXPECT_EQ(digest_of(sources), digest_of(other));
  EXPECT_EQ(difference_of(model, sources),
            "model_sha256: " + digest_of(model) + " in A, " + digest_of(other) + " stated in B");
}

TEST(SameFiles, EveryChangeOfCSourcesIsFound) {
  const OpenedModel model = int8();
  const CSources sound = as_c(model);
  const auto changed = [&](std::string CSources::*text, const std::string& from, const std::string& to) {
    CSources file = sound;
    const std::size_t at = (file.*text).find(from);
    EXPECT_NE(at, std::string::npos) << from;
    (file.*text).replace(at, from.size(), to);
    return difference_of(model, file);
  };
  // The first weight of the first array of codes.
  const std::size_t array = sound.source.find("static const int8_t "), brace = sound.source.find('{', array);
  const std::size_t first = sound.source.find_first_of("-0123456789", brace), end = sound.source.find(',', first);
  const std::size_t named = array + std::string_view("static const int8_t ").size();
  const std::string name = sound.source.substr(named, sound.source.find('[', array) - named);
  const std::string weight = sound.source.substr(first, end - first);
  CSources file = sound;
  file.source.replace(first, end - first, "101");
  EXPECT_EQ(difference_of(model, file), name + " [0]: " + weight + " in A, 101 in B (1 of 54 elements differ)");
  EXPECT_EQ(digest_of(file), digest_of(model));
  file.source.replace(first, 3, "101, 102");
  EXPECT_THAT(difference_of(model, file), MatchesRegex("model.c line [0-9]+: " + weight + " in A, 101 in B"));

  EXPECT_THAT(changed(&CSources::source, "arena->bytes", "arena->bites"),
              MatchesRegex("model.c line .* bytes in A, bites in B"));
  EXPECT_THAT(changed(&CSources::header, "OUTPUT_ELEMENTS 4", "OUTPUT_ELEMENTS 5"),
              MatchesRegex("model.h line [0-9]+: 4 in A, 5 in B"));
  EXPECT_EQ(changed(&CSources::source, "] = {", "]=/* a, b */\n{"), "");
  EXPECT_EQ(changed(&CSources::source, "/* model", "/* a model of somebody else"), "");
  file = sound;
  file.source += "int more;\n";
  EXPECT_THAT(difference_of(model, file), MatchesRegex("model.c line [0-9]+: its end in A, int in B"));
}

TEST(SameFiles, ThePixelsOfASourceAreTheModels) {
  const OpenedModel model = int8();
  Pixels pixels{std::array<float, 256>{}}, others = pixels;
  for (std::size_t p = 0; p < 256; ++p) {
    (*pixels)[p] = static_cast<float>(p) / 255.0F;
    (*others)[p] = static_cast<float>(p) / 510.0F;
  }
  EXPECT_EQ(difference_of(model, as_c(model, {.pixels = pixels}), pixels), "");
  EXPECT_THAT(difference_of(model, as_c(model, {.pixels = pixels}), others), HasSubstr("model_code_of_pixel ["));
}

TEST(SameFiles, WordsOfCAreFoundInAnyText) {
  const auto words = [](std::string_view text) {
    std::vector<std::string> list;
    for (const CToken& token : c_tokens(text)) {
      list.emplace_back(token.text);
    }
    return list;
  };
  EXPECT_THAT(words("int a[2] = {-1, 0x1.8p-7F};/* b */a-1"),
              ElementsAre("int", "a", "[", "2", "]", "=", "{", "-1", ",", "0x1.8p-7F", "}", ";", "a", "-", "1"));
  EXPECT_THAT(words("#define A \\\n \"b /* c\" // d\nx"), ElementsAre("#", "define", "A", "\"b /* c\"", "\n", "x"));
  EXPECT_THAT(words("\"\\\" ' \" '\\'' \"open\nx"), ElementsAre("\"\\\" ' \"", "'\\''", "\"open\n", "x"));
  EXPECT_THAT(words("/* never closed"), ElementsAre());
  EXPECT_THAT(words("\"\\"), ElementsAre("\"\\"));
  EXPECT_THAT(words(std::string_view("\0\xff", 2)), ElementsAre(std::string("\0", 1), "\xff"));
  const std::vector<CToken> tokens = c_tokens("a\n/*\n*/ b \\\n c");
  EXPECT_EQ(tokens[1].line, 3);
  EXPECT_EQ(tokens[2].line, 4);
}

TEST(SameFiles, OnnxOfOtherProgramsIsImported) {
  onnx::Model theirs{.ir_version = 7, .producer = "pytorch", .opsets = {{"", 13}}};
  theirs.inputs.push_back({.name = "x", .dims = std::vector<std::int64_t>{-1, 3}, .batch = "N"});
  theirs.outputs.push_back({.name = "y"});
  theirs.initializers = {onnx::Array::of("w", {2, 3}, std::vector{1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F})};
  theirs.nodes = {
      {.name = "y", .op = "Gemm", .inputs = {"x", "w"}, .outputs = {"y"}, .attributes = {{"transB", std::int64_t{1}}}}};
  const TempFolder folder;
  onnx::write_model(theirs, folder / "model.onnx");
  const AnyModel file = read_any_model(folder / "model.onnx");
  EXPECT_EQ(digest_of(file), "");
  nn::Graph graph;
  graph.output(graph.linear(graph.input({3}), {.out_features = 2, .bias = false, .name = "y"}));
  graph.initialize(1);
  Tensor& weight = *graph.node("y").module->slots()[0].tensor;
  weight = Tensor::from<float>({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}, {2, 3});
  EXPECT_EQ(difference_of(OpenedModel{.kind = "fp32", .content = graph}, file), "");
  weight.data<float>()[4] = 7.0F;
  EXPECT_EQ(difference_of(OpenedModel{.kind = "fp32", .content = graph}, file),
            "y: weight [1, 1]: 7 in A, 5 in B (1 of 6 elements differ)");
  EXPECT_THAT(difference_of(int8(), file), HasSubstr("kind: int8 in A, fp32 in B"));
}

TEST(SameFiles, WhatCannotBeComparedIsRefused) {
  const TempFolder folder;
  const OpenedModel model = int8();
  EXPECT_THAT(error_of([&] { difference_of(as_onnx(model), as_c(model)); }), HasSubstr("one is ONNX and the other C"));
  EXPECT_THAT(error_of([&] { difference_of(as_c(model), as_c(model, {.requantize = c::Requantize::Fixed})); }),
              HasSubstr("they were written in two ways"));
  EXPECT_THAT(error_of([&] { difference_of(as_onnx(model, 13), as_onnx(model, 21)); }),
              HasSubstr("they were written in two ways"));
  write_text(folder / "m.c", "int x;");
  EXPECT_EQ(error_of([&] { read_any_model(folder / "m.c"); }),
            (folder / "m.h").string() + ": cannot be read: there is no such file");
  write_text(folder / "m.h", "");
  EXPECT_EQ(difference_of(model, read_any_model(folder / "m.h")).substr(0, 5), (folder / "m.c").string().substr(0, 5));
  write_text(folder / "m.onnx", "ONNX");
  EXPECT_THAT(error_of([&] { read_any_model(folder / "m.onnx"); }), HasSubstr("m.onnx: it is no ONNX model"));
}

}  // namespace
}  // namespace detent::interchange::same_files_test
