// Data sets and downloads while writes fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/data/digits.h"
#include "detent/data/fetch.h"
#include "detent/data/files.h"
#include "detent/data/idx.h"
#include "detent/io/sha256.h"
#include "tests/data/temp_folder.h"
#include "tests/names_in.h"

#ifdef DETENT_FAULTY_WRITES
#include "tests/faults/faulty_writes.h"

namespace detent::data::faulty_files_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(FaultyFiles, ADownloadLeavesWhatWasThere) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "mirror");
  write_text(folder / "mirror/a", "content");
  const RemoteDataset remote{"small",
                             {"file://" + (folder / "mirror").string() + "/"},
                             {{"a", sha256_hex(std::as_bytes(std::span("content", 7)))}}};
  for (const std::string fault :
       {"open:1:ENOSPC", "write:1:ENOSPC", "write:1:EIO", "fsync:1:EIO", "close:1:EIO", "rename:1:EIO"}) {
    std::filesystem::create_directories(folder / "out");
    write_text(folder / "out/a", "damaged");
    const std::string error = [&] {
      const ScopedVariable variable("DETENT_FAULT", fault.c_str());
      faulty_restart();
      return error_of([&] { fetch(remote, folder / "out"); });
    }();
    EXPECT_THAT(error, HasSubstr("write '" + (folder / "out/a").string() + "': ")) << fault;
    EXPECT_GE(faulty_calls(), 1U) << fault;
    EXPECT_THAT(names_in(folder / "out"), ElementsAre("a")) << fault;
    EXPECT_EQ(read_text(folder / "out/a"), "damaged") << fault;
  }
  fetch(remote, folder / "out");
  EXPECT_EQ(read_text(folder / "out/a"), "content");
}

TEST(FaultyFiles, AnExportedDataSetHasWholeFilesOnly) {
  const TempFolder folder;
  const DataSource digits = make_digits({.train = 20, .test = 10, .seed = 1});
  write_idx_folder(folder / "whole", digits);
  const std::vector<std::string> names = names_in(folder / "whole");
  for (std::size_t i = 1; i <= names.size(); ++i) {
    const std::string out = "out" + std::to_string(i);
    const ScopedVariable variable("DETENT_FAULT", ("write:" + std::to_string(i) + ":ENOSPC").c_str());
    faulty_restart();
    EXPECT_THAT(error_of([&] { write_idx_folder(folder / out, digits); }), HasSubstr("No space left on device"));
    const std::vector<std::string> made = names_in(folder / out);
    EXPECT_EQ(made.size(), i - 1);
    for (const std::string& name : made) {
      EXPECT_TRUE(read_text(folder / out / name) == read_text(folder / "whole" / name)) << name;
    }
  }
}

}  // namespace
}  // namespace detent::data::faulty_files_test
#endif
