#include "detent/train/events/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/report/events/event_file.h"
#include "tests/data/temp_folder.h"

namespace detent::train::event_log_test {
namespace {

using evaluation::EpochResult;
using testing::HasSubstr;

EpochResult epoch(const std::string& phase, std::int64_t number) {
  return {.phase = phase,
          .epoch = number,
          .loss = 0.5,
          .accuracy = 0.75,
          .validation_loss = 0.625,
          .validation_accuracy = 0.7,
          .learning_rate = 0.25};
}

class EventLogs : public testing::Test {
 protected:
  std::string bytes() const { return read_text(folder_ / kEventsFile); }
  std::size_t records() const { return report::whole_records(bytes(), 1000).count; }
  // A run that was cut off when so many epochs of "qat" were done, behind two in float and one of "qat in float".
  static CutOffRun cut_off_at(std::int64_t qat_epochs) {
    CutOffRun run;
    run.results.epochs = {epoch("float", 1), epoch("float", 2)};
    run.results.in_float_epochs = {epoch("qat in float", 1)};
    for (std::int64_t i = 2; i < 2 + qat_epochs; ++i) {
      run.checkpoint.position.progress.epochs.push_back(epoch("qat", i));
    }
    return run;
  }
  // The file of a run that was not cut off, with so many epochs of "qat".
  void write_whole(std::int64_t qat_epochs) {
    EventLog log(folder_.path(), "accuracy", std::nullopt, silent_);
    const EpochWatcher watch = log.watcher();
    watch(epoch("float", 1), std::nullopt);
    watch(epoch("float", 2), std::nullopt);
    watch(epoch("qat in float", 1), std::nullopt);
    for (std::int64_t i = 2; i < 2 + qat_epochs; ++i) {
      watch(epoch("qat", i), std::nullopt);
    }
  }
  TempFolder folder_;
  evaluation::Reporter silent_;
};

TEST_F(EventLogs, HaveARecordAnEpoch) {
  EventLog log(folder_.path(), "R2", std::nullopt, silent_);
  EXPECT_EQ(records(), 1U) << "the version";
  log.watcher()(epoch("qat in float", 7), optim::GradScaler::State{.scale = 1024.0F});
  ASSERT_EQ(records(), 2U);
  // But for the time, which is 8 bytes behind the length, its CRC and the field's key.
  const std::size_t begin = report::whole_records(bytes(), 1).bytes;
  const std::string expected = report::scalars_record(0.0, 7,
                                                      {{"qat_in_float/loss", 0.5},
                                                       {"qat_in_float/R2", 0.75},
                                                       {"qat_in_float/validation_loss", 0.625},
                                                       {"qat_in_float/validation_R2", 0.7},
                                                       {"qat_in_float/learning_rate", 0.25},
                                                       {"qat_in_float/loss_scale", 1024.0}});
  const std::string written = bytes().substr(begin);
  ASSERT_EQ(written.size(), expected.size());
  EXPECT_EQ(written.substr(21, written.size() - 25), expected.substr(21, expected.size() - 25));
  evaluation::Metrics metrics;
  metrics.fp32 = {.test_accuracy = 0.5, .steps = 3};
  metrics.epochs = {epoch("float", 1)};
  log.finish(metrics);
  EXPECT_EQ(records(), 3U);
  EXPECT_THAT(bytes(), HasSubstr("test/float"));
}

TEST_F(EventLogs, GoOnBehindTheLastEpochThatIsDone) {
  write_whole(3);
  ASSERT_EQ(records(), 7U);
  const std::string whole = bytes();
  // The checkpoint knows one epoch of "qat": two records of later ones go, the others stay as they are.
  EventLog log(folder_.path(), "accuracy", cut_off_at(1), silent_);
  EXPECT_EQ(records(), 5U);
  EXPECT_EQ(bytes(), whole.substr(0, bytes().size()));
  log.watcher()(epoch("qat", 3), std::nullopt);
  log.watcher()(epoch("qat", 4), std::nullopt);
  EXPECT_EQ(records(), 7U);
  EXPECT_EQ(bytes().size(), whole.size());
}

TEST_F(EventLogs, AreMadeAnewWhereTheyAreDamagedOrGone) {
  write_whole(2);
  const std::string whole = bytes();
  for (const std::size_t size : {whole.size() - 3, whole.size() / 2, std::size_t{20}, std::size_t{0}}) {
    write_text(folder_ / kEventsFile, whole.substr(0, size));
    const EventLog log(folder_.path(), "accuracy", cut_off_at(2), silent_);
    EXPECT_EQ(records(), 6U) << "cut at " << size;
    EXPECT_EQ(bytes().size(), whole.size()) << "cut at " << size;
  }
  std::filesystem::remove(folder_ / kEventsFile);
  const EventLog log(folder_.path(), "accuracy", cut_off_at(2), silent_);
  EXPECT_EQ(records(), 6U);
}

TEST_F(EventLogs, BeginAnewWithARunThatDoesNotGoOn) {
  write_whole(2);
  const auto open = [&](bool events, const std::optional<CutOffRun>& earlier) {
    return open_events({.out = folder_.path(), .events = events}, data::TargetKind::kClasses, earlier, silent_);
  };
  EXPECT_EQ(open(false, cut_off_at(1)), nullptr);
  EXPECT_EQ(records(), 6U) << "left for a run that goes on with it";
  EXPECT_NE(open(true, std::nullopt), nullptr);
  EXPECT_EQ(records(), 1U);
  EXPECT_EQ(open(false, std::nullopt), nullptr);
  EXPECT_FALSE(std::filesystem::exists(folder_ / kEventsFile)) << "of another run";
}

class Told : public evaluation::Reporter {
 public:
  void message(const std::string& text) override { texts.push_back(text); }
  std::vector<std::string> texts;
};

TEST_F(EventLogs, ThatCannotBeWrittenAreToldOnce) {
  Told told;
  EventLog log(folder_.path(), "accuracy", std::nullopt, told);
  std::filesystem::remove(folder_ / kEventsFile);
  std::filesystem::create_directory(folder_ / kEventsFile);
  log.watcher()(epoch("float", 1), std::nullopt);
  log.watcher()(epoch("float", 2), std::nullopt);
  ASSERT_EQ(told.texts.size(), 1U);
  EXPECT_THAT(told.texts[0], HasSubstr("NO EVENTS for TensorBoard from here on"));
}

}  // namespace
}  // namespace detent::train::event_log_test
