#include "detent/train/output_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "tests/data/temp_folder.h"
#include "tests/names_in.h"

namespace detent::train::output_folder_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(OutputFolder, BelongsToOneRunAtATime) {
  const TempFolder folder;
  const auto out = folder / "a/b";
  std::optional<OutputFolder> first;
  first.emplace(out, std::vector<std::string>{"fp32.h5"});
  EXPECT_THAT(names_in(out), ElementsAre(".detent.lock"));
  const std::string error = error_of([&] { OutputFolder(out, {"fp32.h5"}); });
  EXPECT_EQ(error, out.string() + ": another run (process " + std::to_string(::getpid()) +
                       ") writes to this output folder; wait for it, or name another one with --out DIR");
  first.reset();
  EXPECT_THAT(names_in(out), ElementsAre());
  EXPECT_EQ(error_of([&] { OutputFolder(out, {"fp32.h5"}); }), "no error");
}

TEST(OutputFolder, IsFreeAgainWhenItsRunWasKilled) {
  const TempFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    const OutputFolder held(folder.path(), {});
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_THAT(names_in(folder.path()), ElementsAre(".detent.lock"));
  EXPECT_EQ(error_of([&] { OutputFolder(folder.path(), {}); }), "no error");
  EXPECT_THAT(names_in(folder.path()), ElementsAre());
}

TEST(OutputFolder, FilesOfEarlierRunsGoAndNothingElse) {
  const TempFolder folder;
  for (const char* name :
       {"fp32.h5", "prepared.h5", "qat.h5", "int8.h5", "static-int8-per-tensor.h5", "static-int4-per-channel.h5",
        "static-not-improved.h5", "static.h5", "static-mine.h5", "mine.h5", "qat.h5.bak", "notes.txt", ".notes.tmp",
        "metrics.json", "report.html", "flips.csv"}) {
    write_text(folder / name, "old");
  }
  std::filesystem::create_directory(folder / "static-int2-per-tensor.h5");
  const OutputFolder out(folder.path(), {"fp32.h5", "metrics.json", "qat.h5", "static-int8-per-tensor.h5"});
  EXPECT_EQ(read_text(folder / "prepared.h5"), "old") << "removed before there is anything new";
  out.remove_earlier_run("fp32.h5");
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre(".detent.lock", ".notes.tmp", "fp32.h5", "mine.h5", "notes.txt", "qat.h5.bak",
                          "static-int2-per-tensor.h5", "static-mine.h5", "static.h5"));
  EXPECT_EQ(read_text(folder / "fp32.h5"), "old");
}

TEST(OutputFolder, AFileThatCannotBeWrittenIsRefusedAtOnce) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "int8.h5");
  EXPECT_THAT(error_of([&] {
                OutputFolder(folder.path(), {"fp32.h5", "int8.h5"});
              }),
              HasSubstr("int8.h5': expected the name of a file, it is a folder"));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("int8.h5"));
}

}  // namespace
}  // namespace detent::train::output_folder_test
