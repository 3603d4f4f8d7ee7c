// Runs that are cut off and go on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/train/output_folder.h"
#include "detent/train/resume/earlier_run.h"
#include "tests/names_in.h"
#include "tests/train/tiny_run.h"

namespace detent::train::resume_test {
namespace {

using namespace evaluation;
using namespace recipes;

using testing::ElementsAre;
using testing::HasSubstr;

// Asks for the end after so many batches of training.
class CutOff : public Reporter {
 public:
  explicit CutOff(std::int64_t batches) : batches_(batches) {}
  void progress(const Progress& progress) override { batches_ -= progress.loss ? 1 : 0; }
  bool should_stop() override { return batches_ <= 0; }
  void message(const std::string& text) override { messages += text + "\n"; }

  std::string messages;

 private:
  std::int64_t batches_;
};

constexpr std::int64_t kNever = 1'000'000;

struct Case {
  std::string name;
  std::vector<std::string> overrides;
  std::vector<std::int64_t> cuts;  // batches of training, of which an epoch has 5
  friend void PrintTo(const Case& row, std::ostream* out) { *out << row.name; }
};

class Resume : public testing::Test {
 protected:
  Resume() { data::write_idx_folder(folder_ / "digits", data::make_digits({.train = 320, .test = 110, .seed = 3})); }

  RunOptions options(const std::string& out, Existing existing = Existing::Resume) const {
    return {.data = folder_ / "digits", .out = folder_ / out, .existing = existing};
  }
  Metrics run(const RunOptions& options, const std::vector<std::string>& overrides, Reporter& reporter) const {
    return recipes::run(parse_recipe(kTiny, "tiny.toml", overrides), options, reporter);
  }
  std::string error_of_run(const RunOptions& options, const std::vector<std::string>& overrides) {
    return error_of([&] { run(options, overrides, silent_); });
  }
  // A run in `out` that is cut off after so many batches more.
  void cut_off(const std::string& out, const std::vector<std::string>& overrides, std::int64_t batches) {
    CutOff reporter(batches);
    EXPECT_THROW(run(options(out), overrides, reporter), Interrupted);
    EXPECT_TRUE(std::filesystem::exists(folder_ / out / kCheckpointFile)) << "cut off after " << batches;
  }
  void expect_same_models(const std::string& out, const std::string& expected) const {
    std::vector<std::string> names = names_in(folder_ / expected);
    EXPECT_EQ(names_in(folder_ / out), names);
    for (const std::string& name : names) {
      if (is_model_file(name)) {
        EXPECT_TRUE(read_text(folder_ / out / name) == read_text(folder_ / expected / name)) << name << " differs";
      }
    }
  }

  TempFolder folder_;
  Reporter silent_;
};

class ResumeAfter : public Resume, public testing::WithParamInterface<Case> {};

TEST_P(ResumeAfter, ACutAnywhereEndsWithTheSameBytes) {
  const Case& how = GetParam();
  const Metrics whole = run(options("whole"), how.overrides, silent_);
  for (const std::int64_t cut : how.cuts) {
    SCOPED_TRACE("cut off after batch " + std::to_string(cut));
    std::filesystem::remove_all(folder_ / "cut");
    cut_off("cut", how.overrides, cut);
    CutOff reporter(kNever);
    const Metrics resumed = run(options("cut"), how.overrides, reporter);
    EXPECT_THAT(reporter.messages, HasSubstr("cut: the run goes on where it was cut off, in "));
    expect_same_models("cut", "whole");
    EXPECT_EQ(resumed.fp32.test_accuracy, whole.fp32.test_accuracy);
    EXPECT_EQ(resumed.fp32.loss, whole.fp32.loss);
    EXPECT_EQ(resumed.fp32.steps, whole.fp32.steps);
    EXPECT_EQ(resumed.fp32.scaler, whole.fp32.scaler);
    EXPECT_EQ(resumed.qat->steps, whole.qat->steps);
    EXPECT_EQ(resumed.qat->loss, whole.qat->loss);
    EXPECT_EQ(resumed.qat->scaler, whole.qat->scaler);
    EXPECT_EQ(resumed.int8->verify.codes_sha256, whole.int8->verify.codes_sha256);
    EXPECT_EQ(resumed.int8->calibration.has_value(), whole.int8->calibration.has_value());
    ASSERT_EQ(resumed.epochs.size(), whole.epochs.size());
    for (std::size_t i = 0; i < whole.epochs.size(); ++i) {
      EpochResult epoch = whole.epochs[i];
      epoch.seconds = resumed.epochs[i].seconds;
      EXPECT_TRUE(resumed.epochs[i] == epoch) << epoch.phase << " epoch " << epoch.epoch;
    }
  }
}

// An epoch has 5 batches: cuts lie in the middle of epochs, at their ends, at those of phases, before and after what
// freezes.
INSTANTIATE_TEST_SUITE_P(
    Train, ResumeAfter,
    testing::Values(
        Case{"one_epoch_each", {}, {1, 3, 5, 6, 7, 8, 9, 10}},
        Case{"schedules",
             {"train.epochs=2", "train.optimizer=sgd", "train.nesterov=true", "train.schedule=one_cycle",
              "train.clip_norm=1", "train.warmup_steps=3", "qat.epochs=3", "qat.start=1", "qat.calibrate_first=true",
              "qat.freeze_batch_norm_at=\"2 epochs\"", "qat.freeze_observers_at=\"13 steps\"",
              "qat.reestimate_batch_norm=2"},
             {7, 10, 12, 15, 17, 21, 23, 24}},
        Case{"fp16_and_distillation",
             {"train.precision=fp16", "qat.epochs=2", "qat.distill=0.5", "qat.freeze_observers_at=1"},
             {4, 8, 13}},
        Case{"learned_maps",
             {"quantize.weights=\"int4 lsq\"", "quantize.activations=\"uint4 lsq\"", "train.batch=48"},
             {2, 9, 12}},
        Case{"histograms_of_several_batches",
             {"train.batch=14", "quantize.activations=\"uint8 histogram\"", "data.validation=0.2"},
             {10, 20, 27}},
        Case{"best_epochs_and_accumulated_steps",  // 7 reports an epoch: 6 batches, 2 of them a step, and validation
             {"train.epochs=4", "train.keep=best", "train.patience=2", "train.schedule=plateau", "train.accumulate=2",
              "data.validation=0.2", "train.batch=40", "qat.epochs=3"},
             {4, 7, 9, 20, 27, 34, 39}},
        Case{"current_ranges_in_bf16",
             {"train.precision=bf16", "qat.range=current", "quantize.keep_float=[\"fc1\"]", "train.optimizer=adamw",
              "train.weight_decay=1e-2"},
             {3, 8}}),
    [](const auto& test) { return test.param.name; });

TEST_F(Resume, ManyTimesEndsWithTheSameBytes) {
  run(options("whole"), {}, silent_);
  for (int cuts = 0; cuts < 9; ++cuts) {
    cut_off("cut", {}, 1);
  }
  run(options("cut"), {}, silent_);
  expect_same_models("cut", "whole");
}

TEST_F(Resume, WithAnyNumberOfThreads) {
  run(options("whole"), {}, silent_);
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    pool.run([&] { threads == 1 ? cut_off("cut", {}, 7) : (void)run(options("cut"), {}, silent_); });
  }
  expect_same_models("cut", "whole");
}

TEST_F(Resume, WithoutACheckpointBeginsAnew) {
  CutOff reporter(kNever);
  run(options("out"), {}, reporter);
  EXPECT_THAT(reporter.messages, HasSubstr("out: there is no checkpoint to go on from: the run begins\n"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out/metrics.json"));
}

TEST_F(Resume, OfAFinishedRunSaysSo) {
  const std::vector<std::string> failing{"check.fp32_accuracy=1.0"};
  run(options("out"), failing, silent_);
  const std::string before = read_text(folder_ / "out/int8.h5");
  try {
    run(options("out"), failing, silent_);
    FAIL() << "it ran";
  } catch (const AlreadyFinished& finished) {
    EXPECT_EQ(finished.metrics(), folder_ / "out/metrics.json");
    ASSERT_EQ(finished.failures().size(), 1U);
    EXPECT_THAT(finished.failures()[0], HasSubstr("fp32_accuracy"));
  }
  RunOptions other = options("out");
  other.seed = 2;
  EXPECT_EQ(error_of_run(other, failing),
            other.out.string() +
                ": the run to go on with is another one, which is finished: seed 1, not 2; say what it was started "
                "with, start anew with --overwrite, or name another folder with --out");
  std::filesystem::remove(folder_ / "out/qat.h5");
  run(options("out"), failing, silent_);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out/qat.h5")) << "a run without all of its files is not done";
  EXPECT_TRUE(read_text(folder_ / "out/int8.h5") == before);
}

TEST_F(Resume, RefusesAnotherRunAndSaysWhatDiffers) {
  cut_off("out", {"train.epochs=2"}, 3);
  const std::string checkpoint = read_text(folder_ / "out/checkpoint.h5");
  const auto what_differs = [&](const RunOptions& other, const std::string& text,
                                const std::vector<std::string>& overrides) {
    std::string error = error_of([&] { recipes::run(parse_recipe(text, "tiny.toml", overrides), other, silent_); });
    const std::string begin = other.out.string() + ": the run to go on with is another one, which was cut off: ";
    const std::string end =
        "; say what it was started with, start anew with --overwrite, or name another folder with --out";
    EXPECT_TRUE(error.starts_with(begin) && error.ends_with(end)) << error;
    return error.substr(begin.size(), error.size() - begin.size() - end.size());
  };
  const std::vector<std::string> same{"train.epochs=2"};
  RunOptions seed = options("out");
  seed.seed = 7;
  EXPECT_EQ(what_differs(seed, kTiny, same), "seed 1, not 7");
  EXPECT_EQ(what_differs(options("out"), kTiny, {"train.epochs=3"}),
            "overrides --set train.epochs=2, not --set train.epochs=3");
  EXPECT_EQ(what_differs(options("out"), kTiny, {}), "overrides --set train.epochs=2, not none");
  std::string text = kTiny;
  text.replace(text.find("batch = 64"), 10, "batch = 32");
  EXPECT_EQ(what_differs(options("out"), text, same), "line 11 of the recipe \"batch = 64\", not \"batch = 32\"");
  EXPECT_EQ(what_differs(options("out"), std::string(kTiny) + "[convert]\n", same),
            "line 15 of the recipe not there, not \"[convert]\"");
  data::write_idx_folder(folder_ / "others", data::make_digits({.train = 320, .test = 110, .seed = 4}));
  RunOptions data = options("out");
  data.data = folder_ / "others";
  EXPECT_THAT(what_differs(data, kTiny, same), testing::MatchesRegex("other data .SHA-256 [0-9a-f]+..., not .*"));
  EXPECT_TRUE(read_text(folder_ / "out/checkpoint.h5") == checkpoint) << "a refused run changed the checkpoint";
  EXPECT_THAT(names_in(folder_ / "out"), ElementsAre("checkpoint.h5"));
}

TEST_F(Resume, ARunThatWasCutOffIsNotReplacedUnasked) {
  cut_off("out", {}, 3);
  EXPECT_EQ(error_of_run(options("out", Existing::Refuse), {}),
            (folder_ / "out").string() +
                ": holds a run that was cut off; go on with it by --resume, start anew with --overwrite, or name "
                "another folder with --out");
  EXPECT_EQ(error_of_run(options("out", Existing::Replace), {"train.epochs=2"}), "no error");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out/checkpoint.h5"));
}

// The earlier run's files are all there until the new float model is, and then none of them.
TEST_F(Resume, MixesNothingWithAnEarlierRun) {
  run(options("out"), {}, silent_);
  run(options("new"), {"train.epochs=2"}, silent_);
  const auto texts = [&] {
    std::map<std::string, std::string> files;
    for (const std::string& name : names_in(folder_ / "out")) {
      files[name] = name == kCheckpointFile ? "" : read_text(folder_ / "out" / name);
    }
    return files;
  };
  auto before = texts();
  CutOff in_float(7);
  EXPECT_THROW(run(options("out", Existing::Refuse), {"train.epochs=2"}, in_float), Interrupted);
  EXPECT_THAT(in_float.messages,
              HasSubstr("out: the finished run of tiny, seed 1, in this folder is replaced as a whole "
                        "when this run has trained its float model\n"));
  before[kCheckpointFile] = "";
  EXPECT_TRUE(texts() == before) << "the earlier run was touched before there was anything new";
  cut_off("out", {"train.epochs=2"}, 5);
  EXPECT_THAT(names_in(folder_ / "out"), ElementsAre("checkpoint.h5", "fp32.h5"));
  EXPECT_TRUE(read_text(folder_ / "out/fp32.h5") == read_text(folder_ / "new/fp32.h5"));
  run(options("out"), {"train.epochs=2"}, silent_);
  expect_same_models("out", "new");
}

TEST_F(Resume, RefusesAFloatModelThatIsAnother) {
  cut_off("out", {}, 8);
  std::filesystem::remove(folder_ / "out/fp32.h5");
  EXPECT_THAT(error_of_run(options("out"), {}),
              HasSubstr("fp32.h5: is not the float model that the run to go on with wrote; start anew"));
  write_text(folder_ / "out/fp32.h5", "another");
  EXPECT_THAT(error_of_run(options("out"), {}), HasSubstr("fp32.h5: is not the float model"));
}

TEST_F(Resume, RefusesADamagedCheckpoint) {
  cut_off("out", {}, 3);
  const std::string whole = read_text(folder_ / "out/checkpoint.h5");
  write_text(folder_ / "out/checkpoint.h5", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(error_of_run(options("out"), {}), HasSubstr("checkpoint.h5"));
  TensorFile foreign = TensorFile::read([&] {
    write_text(folder_ / "whole.h5", whole);
    return folder_ / "whole.h5";
  }());
  for (const std::string attribute : {"checkpoint", "phase", "step", "progress", "recipe", "record", "results"}) {
    TensorFile without = foreign;
    without.attributes.erase(attribute);
    without.write(folder_ / "out/checkpoint.h5");
    EXPECT_THAT(error_of_run(options("out"), {}),
                testing::AllOf(HasSubstr("checkpoint.h5: "), HasSubstr("'" + attribute + "'")));
    without.attributes[attribute] = std::string("{");
    without.write(folder_ / "out/checkpoint.h5");
    EXPECT_NE(error_of_run(options("out"), {}), "no error") << attribute;
  }
  foreign.write(folder_ / "out/checkpoint.h5");
  EXPECT_EQ(error_of_run(options("out"), {}), "no error");
}

TEST(RunResults, ComeBackFromTheirText) {
  RunResults results{.fp32 = TrainedResult{.test_accuracy = 1.0 / 3.0,
                                           .train_seconds = 0.1,
                                           .model_bytes = 12345,
                                           .precision = DType::F16,
                                           .scaler = optim::GradScaler::State{1024.0F, 7, 2},
                                           .steps = 90,
                                           .was_trained_before = true,
                                           .loss = 1e-300,
                                           .score = {.examples = 9, .correct = 7}},
                     .fp32_sha256 = "abc",
                     .in_float_seconds = 2.5,
                     .in_float_steps = 11,
                     .epochs = {{.phase = "float", .epoch = 1, .loss = 0.1}},
                     .in_float_epochs = {{.phase = "qat in float", .epoch = 1}, {.phase = "qat in float", .epoch = 2}}};
  results.calibration = Calibration{.examples = 64, .last = 16, .growths = {{"conv1", {}, {-0.1F, 3.0F}}}};
  const std::string text = to_json_text(results);
  const RunResults read = run_results_of(text);
  EXPECT_EQ(to_json_text(read), text);
  EXPECT_EQ(read.fp32->test_accuracy, 1.0 / 3.0);
  EXPECT_EQ(read.fp32->scaler, results.fp32->scaler);
  EXPECT_EQ(read.fp32->precision, DType::F16);
  EXPECT_EQ(read.fp32->score, results.fp32->score);
  EXPECT_EQ(read.epochs, results.epochs);
  EXPECT_EQ(read.in_float_epochs, results.in_float_epochs);
  EXPECT_TRUE(read.calibration->growths[0].before.empty());
  EXPECT_EQ(read.calibration->growths[0].after, (MinMax{-0.1F, 3.0F}));
  EXPECT_FALSE(run_results_of(to_json_text(RunResults())).fp32);
  EXPECT_THAT(error_of([] { run_results_of("{}"); }), HasSubstr("results of a run: "));
}

}  // namespace
}  // namespace detent::train::resume_test
