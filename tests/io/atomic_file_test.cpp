#include "detent/io/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tests/data/temp_folder.h"
#include "tests/names_in.h"

namespace detent::atomic_file_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Begins a file in a process that ends without having cleaned up.
void begin_and_die(const std::filesystem::path& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    const AtomicFile file(path);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
}

TEST(AtomicFile, TheNextRemovesWhatKilledProcessesLeft) {
  const TempFolder folder;
  begin_and_die(folder / "model.h5");
  begin_and_die(folder / "other name");
  EXPECT_EQ(names_in(folder.path()).size(), 1U) << "one was left, and removed by the second, which left its own";
  const AtomicFile next(folder / "third");
  EXPECT_THAT(names_in(folder.path()), ElementsAre(HasSubstr(".third.detent-")));
}

TEST(AtomicFile, FilesInUseAndFilesOfOthersStay) {
  const TempFolder folder;
  const std::vector<std::string> users{".model.h5.1234-0.tmp",    ".model.h5.detent-1-0",   ".detent-1-0.tmp",
                                       ".model.h5.detent-x.tmp",  ".model.detent-1-.tmp",   ".tmp",
                                       "model.h5.detent-1-0.tmp", ".model.detent-1-0a.tmp", ".detent-.tmp"};
  for (const std::string& name : users) {
    write_text(folder / name, "mine");
  }
  std::filesystem::create_directory(folder / ".folder.detent-1-0.tmp");
  std::filesystem::create_symlink(folder / users[0], folder / ".link.detent-1-0.tmp");
  AtomicFile first(folder / "model.h5");
  first.write(std::as_bytes(std::span("abc", 3)));
  {
    AtomicFile second(folder / "model.h5");
    second.commit();
  }
  first.commit();
  EXPECT_EQ(read_text(folder / "model.h5"), "abc");
  EXPECT_EQ(names_in(folder.path()).size(), users.size() + 3);
  for (const std::string& name : users) {
    EXPECT_EQ(read_text(folder / name), "mine") << name;
  }
}

TEST(AtomicFile, AFullDiskIsToldOfThisFileAlone) {
  const TempFolder folder;
  write_text(folder / "old", "old");
  struct rlimit before {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 100, before.rlim_max };
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto error_at = [&](const char* name) {
    return error_of([&] {
      AtomicFile file(folder / name);
      file.write(std::vector<std::byte>(1000));
    });
  };
  const std::string old_error = error_at("old");
  const std::string new_error = error_at("new");
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(old_error, HasSubstr("; this file still has its old content"));
  EXPECT_THAT(new_error, HasSubstr("; this file was not made"));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("old"));
}

}  // namespace
}  // namespace detent::atomic_file_test
