#include "detent/train/batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/quant/passes/prepare.h"
#include "detent/recipes/model_builder.h"
#include "tests/train/tiny_run.h"

namespace detent::train::batches_test {
namespace {

using namespace evaluation;
using namespace recipes;
using namespace report;

using testing::HasSubstr;

const std::vector<std::string> kVectors{"flatten", "linear 8", "batchnorm", "relu", "linear 10"};
const std::vector<std::string> kImages{"conv 4 3x3", "batchnorm", "relu", "flatten", "linear 10"};
const std::vector<std::string> kPlain{"flatten", "linear 10"};

nn::Graph graph_of(const std::vector<std::string>& layers) {
  ModelSection model;
  for (const std::string& text : layers) {
    model.layers.push_back({.text = text});
  }
  nn::Graph graph = build_model(model, {28, 28, 1}, 10);
  graph.initialize(1);
  return graph;
}

struct Cut {
  std::vector<std::string> layers;
  std::int64_t examples;
  std::int64_t batch;
  std::optional<bool> drop_last;
  std::int64_t per_epoch;
  std::int64_t seen;
};

// A prepared graph, whose batch norm is fused, is cut as the float one.
TEST(Batches, LeftoversTooFewForABatchNormAreLeftOut) {
  const std::vector<Cut> cuts{
      {kVectors, 1025, 64, {}, 16, 1024},
      {kImages, 1025, 64, {}, 16, 1024},
      {kImages, 1039, 64, {}, 16, 1024},
      {kImages, 1040, 64, {}, 17, 1040},
      {kImages, 1024, 64, {}, 16, 1024},
      {kPlain, 1025, 64, {}, 17, 1025},
      {kPlain, 1025, 64, true, 16, 1024},
      {kImages, 1025, 64, false, 17, 1025},
      {kVectors, 1026, 64, false, 17, 1026},
      {kVectors, 7, 3, {}, 2, 6},
      {kImages, 7, 3, {}, 3, 7},
      {kVectors, 3, 64, {}, 1, 3},
      {kImages, 1, 64, {}, 1, 1},
      {kImages, 5, 1, {}, 5, 5},
  };
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    SCOPED_TRACE("cut " + std::to_string(i));
    const Cut& cut = cuts[i];
    const TrainSettings train{.batch = cut.batch, .drop_last = cut.drop_last};
    const nn::Graph graph = graph_of(cut.layers);
    for (const nn::Graph& given : {graph, quant::prepare_qat(graph, quant::QConfigMapping())}) {
      const Batches batches = cut_batches(given, train, cut.examples);
      EXPECT_EQ(batches.per_epoch, cut.per_epoch);
      EXPECT_EQ(batches.examples, cut.seen);
      EXPECT_EQ(batches.message.empty(), cut.drop_last.has_value() || cut.seen == cut.examples) << batches.message;
    }
  }
  EXPECT_EQ(cut_batches(graph_of(kVectors), {.batch = 64}, 1025).message,
            "the last 1 of 1,025 examples of each epoch is left out: too few for the batch norm 'bn1'");
  EXPECT_THAT(cut_batches(graph_of(kVectors), {.batch = 64}, 1027).message, HasSubstr("the last 3 of 1,027 examples of "
                                                                                      "each epoch are left out"));
}

TEST(Batches, ASingleValueAChannelIsRefused) {
  const nn::Graph graph = graph_of(kVectors);
  const nn::Graph prepared = quant::prepare_qat(graph, quant::QConfigMapping());
  const auto refusal = [](const nn::Graph& given, const TrainSettings& train, std::int64_t examples) {
    return error_of([&] { cut_batches(given, train, examples); });
  };
  EXPECT_EQ(refusal(graph, {.batch = 64, .drop_last = false}, 1025),
            "training: the batch norm 'bn1' would get a single value a channel from a batch of 1, which has no "
            "variance; set [train] drop_last = true");
  EXPECT_THAT(refusal(prepared, {.batch = 64, .drop_last = false}, 1025), HasSubstr("the batch norm of 'fc1' would"));
  EXPECT_THAT(refusal(graph, {.batch = 1}, 1025), HasSubstr("set [train] batch to at least 2"));
  EXPECT_THAT(refusal(graph, {.batch = 64}, 1), HasSubstr("train on at least 2 examples"));
  EXPECT_THAT(refusal(graph, {.batch = 64, .drop_last = true}, 63), HasSubstr("set [train] batch to at most 63"));
  EXPECT_THAT(error_of([&] { count_steps({.per_epoch = 1 << 20}, 1000000); }), HasSubstr("more than 2147483647 steps"));
}

// Whoever trains by hand gets the name of the module, in float and in quantization-aware training.
TEST(Batches, BatchNormsRefuseASingleValueAChannel) {
  const nn::Graph graph = graph_of(kVectors);
  const auto refusal = [](nn::Graph given, std::int64_t count) {
    nn::Tape tape;
    nn::Context context{.tape = tape, .training = true};
    return error_of([&] { given.forward(context, tape.constant(Tensor::zeros({count, 28, 28, 1}, DType::F32))); });
  };
  EXPECT_THAT(refusal(graph, 1), HasSubstr("bn1: a single value a channel has no variance to train with"));
  EXPECT_EQ(refusal(graph, 2), "no error");
  const nn::Graph prepared = quant::prepare_qat(graph, quant::QConfigMapping());
  EXPECT_THAT(refusal(prepared, 1), HasSubstr("fc1: its batch norm gets a single value a channel"));
  EXPECT_EQ(refusal(prepared, 2), "no error");
}

// 300 examples in batches of 64 leave 44; 257 leave 1, which neither training may see.
TEST(Batches, FloatAndQuantizationAwareTrainingSeeTheSame) {
  class Count : public Reporter {
   public:
    void message(const std::string& text) override { messages += text + "\n"; }
    void progress(const Progress& progress) override {
      if (progress.loss) {
        batches[progress.phase] = progress.batches;
      }
    }
    std::string messages;
    std::map<std::string, std::int64_t> batches;
  };
  const TempFolder folder;
  data::write_idx_folder(folder / "digits", data::make_digits({.train = 300, .test = 50, .seed = 3}));
  Count count;
  run(parse_recipe(kTiny, "tiny.toml", {"data.train_examples=257", "quantize.compare_static=[]"}),
      {.data = folder / "digits", .out = folder / "out"}, count);
  EXPECT_THAT(count.messages, HasSubstr("the last 1 of 257 examples of each epoch is left out: too few for the batch "
                                        "norm 'bn1'\n"));
  EXPECT_EQ(count.batches, (std::map<std::string, std::int64_t>{{"float", 4}, {"qat", 4}}));
}

}  // namespace
}  // namespace detent::train::batches_test
