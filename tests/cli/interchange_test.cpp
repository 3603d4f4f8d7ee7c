// Models and other people's files, as a user types it: same, weights, dump.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/data/formats/numpy/array_store.h"
#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"

namespace detent::cli::interchange_test {
namespace {

using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;

class Interchange : public testing::Test {
 protected:
  Interchange() {
    write_text(folder_ / "tiny.toml",
               "[model]\nlayers = [\"conv 4 3x3 stride 2\", \"relu\", \"flatten\", \"linear 10\"]\n"
               "[train]\nepochs = 1\nbatch = 32\n[quantize]\nmethod = \"static\"\ncalibration = 100\n");
    write_digits(folder_ / "digits");
    const Outcome trained = run({"run", "tiny.toml", "--data", "digits"});
    EXPECT_EQ(trained.status, 0) << trained.err;
  }
  Outcome run(const std::vector<std::string>& words) { return detent(folder_, words); }
  void expect_refused(const std::vector<std::string>& words, const std::string& text) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(text));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  TempFolder folder_;
};

TEST_F(Interchange, SameSaysWhetherAndWhere) {
  std::filesystem::copy(folder_ / "runs/tiny/int8.h5", folder_ / "copy.h5");
  const Outcome same = run({"same", "runs/tiny/int8.h5", "copy.h5"});
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_THAT(same.out, ContainsRegex("^the same model: [0-9]+ nodes, [0-9]+ tensors, [0-9,]+ numbers\n"
                                      "model_sha256 [0-9a-f]{64}\n$"));
  ASSERT_EQ(run({"run", "tiny.toml", "--data", "digits", "--seed", "2", "--out", "two"}).status, 0);
  const Outcome other = run({"same", "runs/tiny/int8.h5", "two/int8.h5"});
  EXPECT_EQ(other.status, 1) << other.err;
  EXPECT_THAT(other.out, ContainsRegex("^not the same model: [a-z0-9_]+: .* in runs/tiny/int8.h5, .* in two/int8.h5"));
  const Outcome as_json = run({"same", "runs/tiny/fp32.h5", "two/fp32.h5", "--json"});
  EXPECT_EQ(as_json.status, 1);
  const json difference = json::parse(as_json.out);
  EXPECT_EQ(difference["same"], false);
  EXPECT_EQ(difference["difference"]["node"], "conv1");
  EXPECT_EQ(difference["difference"]["field"], "bias");
  EXPECT_EQ(difference["attributes"], json({"distributions", "seed"}));
  EXPECT_EQ(run({"same", "runs/tiny/fp32.h5", "runs/tiny/int8.h5"}).out,
            "not the same model: kind: fp32 in runs/tiny/fp32.h5, int8 in runs/tiny/int8.h5\n");
  expect_refused({"same", "runs/tiny/fp32.h5", "missing.h5"}, "missing.h5");
}

TEST_F(Interchange, SameReadsWhatWasExported) {
  const std::string model = "runs/tiny/int8.h5";
  const Outcome as_onnx = run({"export", model, "--format", "onnx", "-o", "m.onnx"});
  const Outcome as_c = run({"export", model, "--format", "c", "-o", "c"});
  ASSERT_EQ(as_onnx.status + as_c.status, 0) << as_onnx.err << as_c.err;
  const std::string sha256 = json::parse(run({"inspect", model, "--json"}).out)["model_sha256"];
  EXPECT_THAT(read_text(folder_ / "c/tiny.h"), HasSubstr("#define TINY_MODEL_SHA256 \"" + sha256 + "\"\n"));
  for (const Outcome& outcome : {as_onnx, as_c, run({"inspect", model}), run({"same", model, "m.onnx"}),
                                 run({"same", "c/tiny.h", model}), run({"same", model, "c/tiny.c"})}) {
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("model_sha256")) << outcome.out;
    EXPECT_THAT(outcome.out, HasSubstr(sha256)) << outcome.out;
  }
  EXPECT_THAT(run({"same", "m.onnx", model}).out, ContainsRegex("^the same model: [0-9]+ nodes, [0-9]+ tensors, "));

  // A bit of a weight, which no digest in the file tells.
  std::string bytes = read_text(folder_ / "m.onnx");
  const std::size_t at = bytes.find("conv1/weightJ$") + 14;  // a name, then the tag and size of its 36 bytes
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  write_text(folder_ / "changed.onnx", bytes);
  const Outcome changed = run({"same", model, "changed.onnx", "--json"});
  EXPECT_EQ(changed.status, 1) << changed.err;
  const json said = json::parse(changed.out);
  EXPECT_EQ(said["a"]["model_sha256"], said["b"]["stated_sha256"]);
  EXPECT_EQ(said["difference"]["differing"], 1);
  EXPECT_THAT(run({"same", model, "changed.onnx"}).out,
              ContainsRegex("^not the same model: [a-z0-9_]+: weight \\[.*\nboth have "
                            "model_sha256 " +
                            sha256));
  std::string source = read_text(folder_ / "c/tiny.c");
  const std::size_t digit = source.find_first_of("123456789", source.find("= {", source.find("static const int8_t")));
  source[digit] = source[digit] == '1' ? '2' : '1';
  write_text(folder_ / "c/tiny.c", source);
  const Outcome other = run({"same", model, "c/tiny.c"});
  EXPECT_EQ(other.status, 1) << other.err;
  EXPECT_THAT(
      other.out,
      ContainsRegex("^not the same model: layer_conv1_weight \\[[0-9]+\\]: .* \\(1 of 36 elements differ\\)\n"));
  EXPECT_EQ(run({"same", model, "m.onnx", "--ignore-names"}).status, 2);
  expect_refused({"same", "m.onnx", "c/tiny.c"}, "same: m.onnx and c/tiny.c: one is ONNX and the other C");
}

TEST_F(Interchange, WeightsGoOutAndComeBack) {
  for (const std::string file : {"w.safetensors", "w.npz"}) {
    const Outcome out = run(
        {"weights", "export", "runs/tiny/fp32.h5", "-o", file, "--layout", "pytorch", "--name", "conv1=features.0"});
    ASSERT_EQ(out.status, 0) << out.err;
    EXPECT_THAT(out.out, ContainsRegex("wrote " + file + ": 4 tensors, [0-9,]+ bytes"));
    const Outcome in = run({"weights", "import", file, "--recipe", "tiny.toml", "--data", "digits", "--name",
                            "conv1=features.0", "-o", "back.h5"});
    ASSERT_EQ(in.status, 0) << in.err;
    EXPECT_THAT(in.out, HasSubstr("wrote back.h5: 4 tensors"));
    const Outcome same = run({"same", "runs/tiny/fp32.h5", "back.h5"});
    EXPECT_EQ(same.status, 0) << same.out;
    EXPECT_EQ(run({"eval", "back.h5", "--data", "digits"}).status, 0);
  }
  const Outcome model = run({"weights", "import", "w.npz", "--model", "runs/tiny/fp32.h5", "--name", "conv1=features.0",
                             "-o", "again.h5", "--json"});
  ASSERT_EQ(model.status, 0) << model.err;
  EXPECT_EQ(json::parse(model.out)["tensors"], 4);
  EXPECT_EQ(run({"same", "runs/tiny/fp32.h5", "again.h5"}).status, 0);
  const Outcome quantized =
      run({"quantize", "back.h5", "--data", "digits", "--set", "quantize.calibration=100", "--out", "q"});
  EXPECT_EQ(quantized.status, 0) << quantized.err;
  EXPECT_EQ(run({"same", "runs/tiny/int8.h5", "q/int8.h5"}).status, 0);
}

TEST_F(Interchange, WeightsOfOneTensorAndOfInt8Models) {
  ASSERT_EQ(run({"weights", "export", "runs/tiny/int8.h5", "-o", "w.npz", "--tensor", "fc1.weight", "--tensor",
                 "fc1.weight_scale"})
                .status,
            0);
  data::ArrayStore store(folder_ / "w.npz");
  EXPECT_THAT(store.names(), testing::ElementsAre("fc1.weight", "fc1.weight_scale", "layout"));
  EXPECT_EQ(store.read("fc1.weight").dtype(), "|i1");
  EXPECT_EQ(store.read("fc1.weight").shape()[0], 10);
  expect_refused({"weights", "export", "runs/tiny/int8.h5", "-o", "w.npz", "--tensor", "fc1.wieght"},
                 "no tensor 'fc1.wieght'; did you mean 'fc1.weight'?");
}

TEST_F(Interchange, WrongCallsAreOneClearLine) {
  expect_refused({"weights", "exprot", "runs/tiny/fp32.h5"}, "unknown action 'exprot'; did you mean 'export'?");
  expect_refused({"weights", "export", "runs/tiny/fp32.h5"}, "expected a file to write; write -o weights.safetensors");
  expect_refused({"weights", "export", "runs/tiny/fp32.h5", "-o", "w.pt"}, "write w.safetensors");
  expect_refused({"weights", "export", "runs/tiny/fp32.h5", "-o", "w.npz", "--recipe", "tiny.toml"},
                 "--recipe is an option of detent weights import");
  expect_refused({"weights", "import", "w.npz", "-o", "x.h5"}, "expected one of --model and --recipe");
  expect_refused({"weights", "import", "w.npz", "-o", "x.h5", "--model", "runs/tiny/fp32.h5", "--data", "digits"},
                 "--set and --data are for the model of a recipe");
  expect_refused({"weights", "import", "w.npz", "-o", "x.npz", "--model", "runs/tiny/fp32.h5"}, "ends in .h5");
  expect_refused({"weights", "import", "w.npz", "-o", "x.h5", "--model", "runs/tiny/int8.h5"}, "of kind int8");
  expect_refused({"weights", "import", "w.npz", "-o", "x.h5", "--model", "runs/tiny/fp32.h5"}, "w.npz: no such file");
  expect_refused({"weights", "export", "runs/tiny/fp32.h5", "-o", "w.npz", "--layout", "keras"},
                 "layout: expected detent or pytorch, got \"keras\"");
  expect_refused({"dump", "runs/tiny/fp32.h5"}, "write detent dump runs/tiny/fp32.h5 -o values.npz");
  expect_refused({"dump", "runs/tiny/fp32.h5", "--data", "digits", "--layer", "conv2", "-o", "x.npz"},
                 "the model has no layer 'conv2'; did you mean 'conv1'?");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x.h5"));
}

TEST_F(Interchange, DumpWritesCodesAndReals) {
  const Outcome outcome = run({"dump", "runs/tiny/int8.h5", "--data", "digits", "-o", "x.npz", "--examples", "60"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, ContainsRegex("conv1 \\[60, 13, 13, 4\\], with .codes, .scale, .zero_point\n"));
  data::ArrayStore store(folder_ / "x.npz");
  const data::NpyArray codes = store.read("conv1.codes");
  EXPECT_EQ(codes.dtype(), "|u1");
  EXPECT_EQ(codes.shape(), Shape({60, 13, 13, 4}));
  const std::vector<double> reals = store.read("conv1").numbers();
  const std::vector<double> numbers = codes.numbers();
  const auto scale = static_cast<float>(store.read("conv1.scale").numbers()[0]);
  const auto zero_point = static_cast<float>(store.read("conv1.zero_point").numbers()[0]);
  for (std::size_t i = 0; i < reals.size(); ++i) {
    ASSERT_EQ(reals[i], scale * (static_cast<float>(numbers[i]) - zero_point)) << i;
  }
  // The first images are the same however many there are, and the float model sees the same input.
  const Outcome two = run({"dump", "runs/tiny/fp32.h5", "--data", "digits", "-o", "two.npz", "--examples", "2",
                           "--layer", "input", "--layer", "relu1", "--json"});
  ASSERT_EQ(two.status, 0) << two.err;
  EXPECT_EQ(json::parse(two.out)["arrays"].size(), 2U);
  data::ArrayStore floats(folder_ / "two.npz");
  EXPECT_THAT(floats.names(), testing::ElementsAre("input", "relu1"));
  EXPECT_EQ(floats.read("relu1").shape(), Shape({2, 13, 13, 4}));
  std::vector<double> input = store.read("input").numbers();
  input.resize(2 * 28 * 28);
  EXPECT_EQ(floats.read("input").numbers(), input);
}

}  // namespace
}  // namespace detent::cli::interchange_test
