#include "detent/data/fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "detent/data/files.h"
#include "detent/io/sha256.h"
#include "tests/data/temp_folder.h"

namespace detent::data::fetch_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Mirrors are folders, reached by file:// URLs: no test needs a network.
class FetchTest : public ::testing::Test {
 protected:
  FetchTest() {
    std::filesystem::create_directories(folder / "first");
    std::filesystem::create_directories(folder / "second");
    remote.name = "small";
    remote.mirrors = {url("first"), url("second")};
    remote.files = {{"a.gz", sha256_hex(bytes("content of a"))}, {"b.gz", sha256_hex(bytes("content of b"))}};
  }

  std::string url(const std::string& name) const { return "file://" + (folder / name).string() + "/"; }
  static std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
  void put(const std::string& where, std::string_view text) const { write_file(folder / where, gzip(bytes(text))); }
  std::string fetched(const std::string& name) const {
    const auto content = read_file(folder / "out" / name);
    return {reinterpret_cast<const char*>(content.data()), content.size()};
  }
  RemoteDataset remote_of_a() const { return {remote.name, remote.mirrors, {remote.files[0]}}; }
  std::vector<std::string> fetch_all() const { return fetch(remote, folder / "out"); }
  std::size_t files_in_out() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder / "out"), std::filesystem::directory_iterator()));
  }

  TempFolder folder;
  RemoteDataset remote;
};

TEST_F(FetchTest, DownloadsOnceAndReportsProgress) {
  put("first/a.gz", "content of a");
  put("first/b.gz", "content of b");
  std::string last;
  fetch(remote, folder / "out", [&](const FetchProgress& progress) { last = progress.file; });
  EXPECT_EQ(last, "b.gz");
  EXPECT_EQ(fetched("a.gz"), "content of a");
  EXPECT_EQ(fetched("b.gz"), "content of b");
  EXPECT_EQ(files_in_out(), 2U);
  std::filesystem::remove_all(folder / "first");
  EXPECT_THAT(fetch_all(), IsEmpty());
}

TEST_F(FetchTest, GoesOnToTheNextMirror) {
  put("first/a.gz", "content of a");
  put("second/b.gz", "content of b");
  EXPECT_THAT(fetch_all(), ElementsAre("a.gz", "b.gz"));
  EXPECT_EQ(fetched("b.gz"), "content of b");
}

TEST_F(FetchTest, RefusesOtherContentFromOneMirrorAndTakesTheNext) {
  put("first/a.gz", "something else");
  put("second/a.gz", "content of a");
  put("second/b.gz", "content of b");
  fetch_all();
  EXPECT_EQ(fetched("a.gz"), "content of a");
}

TEST_F(FetchTest, ReplacesADamagedFile) {
  put("first/a.gz", "content of a");
  put("first/b.gz", "content of b");
  fetch_all();
  write_text(folder / "out/a.gz", read_text(folder / "out/a.gz").substr(0, 20));
  EXPECT_THAT(fetch_all(), ElementsAre("a.gz"));
  EXPECT_EQ(fetched("a.gz"), "content of a");
}

TEST_F(FetchTest, TellsWhatEveryMirrorDidAndWritesNothing) {
  put("first/a.gz", "something else");
  const std::string wrong = error_of([&] { fetch_all(); });
  EXPECT_THAT(wrong, AllOf(HasSubstr("no mirror gives a.gz"), HasSubstr(url("first") + "a.gz: the content's SHA-256"),
                           HasSubstr(url("second") + "a.gz: Couldn't open file")));
  EXPECT_EQ(wrong.find('\n'), std::string::npos);
  EXPECT_EQ(files_in_out(), 0U);

  write_text(folder / "first/a.gz", read_text(folder / "first/a.gz").substr(0, 25));
  EXPECT_THAT(error_of([&] { fetch_all(); }), HasSubstr("cut short"));
  EXPECT_EQ(files_in_out(), 0U);
}

TEST_F(FetchTest, AnExceptionOfTheCallbackArrivesAndLibcurlLetsGoOfEverything) {
  struct Stop {};
  put("first/a.gz", "content of a");
  put("second/a.gz", "content of a");
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  fetch(remote_of_a(), folder / "warm-up");
  const auto before = open_files();
  for (int i = 0; i < 5; ++i) {
    int calls = 0;
    const FetchCallback stop = [&](const FetchProgress&) {
      ++calls;
      throw Stop();
    };
    EXPECT_THROW(fetch(remote_of_a(), folder / "out", stop), Stop);
    EXPECT_EQ(calls, 1) << "the transfer, or the next mirror, went on";
    EXPECT_EQ(open_files(), before) << "the transfer was not closed";
    EXPECT_EQ(files_in_out(), 0U);
  }
}

TEST_F(FetchTest, RefusesAFolderThatCannotBeMade) {
  write_text(folder / "out", "a file");
  EXPECT_THAT(error_of([&] { fetch_all(); }), HasSubstr("cannot be made"));
}

TEST(Fetch, MnistHasFourFilesOnTwoMirrors) {
  const RemoteDataset mnist = mnist_remote();
  EXPECT_EQ(mnist.mirrors.size(), 2U);
  ASSERT_EQ(mnist.files.size(), 4U);
  for (const RemoteFile& file : mnist.files) {
    EXPECT_EQ(file.sha256.size(), 64U) << file.name;
  }
}

}  // namespace
}  // namespace detent::data::fetch_test
