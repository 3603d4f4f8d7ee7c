#include "detent/data/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "detent/core/utf8.h"
#include "detent/data/digits.h"
#include "detent/data/fetch.h"
#include "detent/data/files.h"
#include "detent/data/hdf5_dataset.h"
#include "detent/data/idx.h"
#include "detent/io/sha256.h"
#include "detent/io/tensor_file.h"
#include "tests/data/temp_folder.h"
#include "tests/places.h"

namespace detent::data::source_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

DataSource few_digits() { return make_digits({.train = 30, .test = 20}); }

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

class OpenData : public ::testing::Test {
 protected:
  TempFolder folder;
  ScopedVariable data{"DETENT_DATA", nullptr};
  ScopedVariable cache{"XDG_CACHE_HOME", folder.path().c_str()};
};

TEST_F(OpenData, SaysLoudlyWhenItFallsBackToDigitsAndDoesNotWhenTheyWereAskedFor) {
  const DataSource source = open_data({});
  EXPECT_TRUE(source.is_builtin);
  EXPECT_THAT(source.description, AllOf(StartsWith("NO mnist FOUND"), HasSubstr("built-in digits")));
  EXPECT_EQ(source.train.size(), DigitsOptions{}.train);

  const DataSource asked = open_data({.name = "digits", .seed = 2});
  EXPECT_TRUE(asked.is_builtin);
  EXPECT_THAT(asked.description, StartsWith("built-in digits"));
  EXPECT_FALSE(equal(source.test.examples, asked.test.examples)) << "the seed has no effect";
}

TEST_F(OpenData, OnlyTheDefaultNameIsReplacedByDigits) {
  EXPECT_THAT(error_of([&] { open_data({.name = "fashion"}); }),
              AllOf(HasSubstr("no data set \"fashion\""), HasSubstr("$DETENT_DATA is not set"),
                    HasSubstr("nothing in " + (folder / "detent/fashion").string()), HasSubstr("--data")));
  EXPECT_THAT(error_of([&] { open_data({.name = "mnist"}); }),
              AllOf(HasSubstr("no data set \"mnist\""), HasSubstr("detent data fetch mnist")))
      << "who names it means it";
  EXPECT_THAT(error_of([&] { open_data({.name = std::string("mnist\0", 6)}); }), HasSubstr("zero byte"));

  // Where DETENT_DATA names a place, that is a wish too.
  std::filesystem::create_directories(folder / "place");
  const ScopedVariable variable("DETENT_DATA", (folder / "place").c_str());
  EXPECT_THAT(error_of([&] { open_data({}); }), HasSubstr((folder / "place").string() + ", does not hold it"));
  EXPECT_THAT(error_of([&] { open_data({.name = "fashion"}); }), HasSubstr("does not hold it"));
}

TEST_F(OpenData, FindsTheNamedOneInTheVariableAndTheCache) {
  write_idx_folder(folder / "place/fashion", make_digits({.train = 10, .test = 10}));
  write_idx_folder(folder / "place/mnist", make_digits({.train = 20, .test = 10}));
  write_hdf5_dataset(folder / "place/letters.h5", make_digits({.train = 30, .test = 10}));
  write_idx_folder(folder / "detent/kept", make_digits({.train = 40, .test = 10}));
  const auto found = [](const std::string& name) {
    const DataSource source = open_data({.name = name});
    return source.name + " " + std::to_string(source.train.size());
  };
  {
    const ScopedVariable variable("DETENT_DATA", (folder / "place").c_str());
    EXPECT_EQ(found("fashion"), "fashion 10");
    EXPECT_EQ(found("mnist"), "mnist 20");
    EXPECT_EQ(found("letters"), "letters 30") << "called as it was looked for, so that it is found again";
    EXPECT_EQ(found("kept"), "kept 40");
  }
  const ScopedVariable variable("DETENT_DATA", (folder / "place/fashion").c_str());
  EXPECT_EQ(found("fashion"), "fashion 10");
  EXPECT_EQ(open_data({}).name, "fashion") << "who names no data set takes what DETENT_DATA holds";
  EXPECT_THAT(error_of([&] { found("mnist"); }), HasSubstr("fashion, is \"fashion\""));
  EXPECT_EQ(found("kept"), "kept 40");
  EXPECT_THAT(error_of([&] { found("letters"); }), HasSubstr("fashion, is \"fashion\""));
}

TEST_F(OpenData, IsCalledWhatTheFolderIs) {
  const std::filesystem::path made = folder / "a.b";
  write_idx_folder(made, few_digits());
  std::filesystem::create_directories(made / "inner");
  std::filesystem::create_symlink(made, folder / "link");
  write_hdf5_dataset(folder / "few.part.h5", few_digits());
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(made);
  const std::vector<std::pair<std::string, std::string>> names{{made.string(), "a.b"},
                                                               {made.string() + "/", "a.b"},
                                                               {made.string() + "//", "a.b"},
                                                               {made.string() + "/inner/..", "a.b"},
                                                               {".", "a.b"},
                                                               {"./", "a.b"},
                                                               {"inner/../", "a.b"},
                                                               {"../a.b", "a.b"},
                                                               {"../link/", "link"},
                                                               {"../few.part.h5", "digits"}};
  for (const auto& [path, expected] : names) {
    EXPECT_EQ(open_data({.name = path == "." ? "./." : path}).name, expected) << path;
    EXPECT_EQ(open_data({.folder = path}).name, expected) << path;
    EXPECT_EQ(open_data({.folder = path}).test.name, expected + " test") << path;
  }
  std::filesystem::current_path(made / "inner");
  EXPECT_EQ(open_data({.name = ".."}).name, "a.b");
  std::filesystem::current_path(before);
  EXPECT_EQ(name_of_path("/"), "data");
  EXPECT_EQ(name_of_path("/.."), "data");
  EXPECT_EQ(name_of_path("/tmp/sets/few.part.h5"), "few.part");
}

TEST_F(OpenData, TextsAreUtf8WhateverThePathAndTheFileSay) {
  DataSource source = few_digits();
  write_idx_folder(folder / "d\xFF", source);
  const DataSource idx = open_data({.folder = folder / "d\xFF"});
  EXPECT_EQ(idx.name, "d\xEF\xBF\xBD");
  EXPECT_EQ(find_invalid_utf8(idx.description), std::string::npos) << idx.description;
  source.name = "caf\xE9";
  write_hdf5_dataset(folder / "few.h5", source);
  const DataSource hdf5 = open_data({.folder = folder / "few.h5"});
  EXPECT_EQ(hdf5.name, "caf\xEF\xBF\xBD");
  EXPECT_EQ(find_invalid_utf8(hdf5.description), std::string::npos) << hdf5.description;
}

TEST_F(OpenData, TakesTheFirstOfFolderVariableAndCache) {
  write_idx_folder(folder / "detent/mnist", make_digits({.train = 10, .test = 10}));
  EXPECT_EQ(open_data({}).train.size(), 10);
  write_idx_folder(folder / "variable", make_digits({.train = 20, .test = 10}));
  const ScopedVariable variable("DETENT_DATA", (folder / "variable").c_str());
  EXPECT_EQ(open_data({}).train.size(), 20);
  write_idx_folder(folder / "named", make_digits({.train = 30, .test = 10}));
  EXPECT_EQ(open_data({.folder = folder / "named"}).train.size(), 30);
  EXPECT_EQ(open_data({.name = (folder / "named").string()}).train.size(), 30);
}

TEST_F(OpenData, NeverPassesOverWhatWasNamed) {
  EXPECT_THAT(error_of([&] { open_data({.folder = folder / "nowhere"}); }), HasSubstr("no such data folder"));
  EXPECT_THAT(error_of([&] { open_data({.folder = folder.path()}); }),
              AllOf(HasSubstr("holds no data that are known"), HasSubstr("train-images")));
  EXPECT_THAT(error_of([&] { open_data({.name = "digits", .folder = folder / "nowhere"}); }), HasSubstr("nowhere"));
  EXPECT_THAT(error_of([&] { open_data({.name = "./nowhere.h5"}); }), HasSubstr("./nowhere.h5"));
  write_text(folder / "train-labels-idx1-ubyte", "");
  EXPECT_THAT(error_of([&] { open_data({.folder = folder / "train-labels-idx1-ubyte"}); }),
              HasSubstr("name their folder"));
  std::filesystem::remove(folder / "train-labels-idx1-ubyte");
  const ScopedVariable variable("DETENT_DATA", (folder / "gone").c_str());
  EXPECT_THAT(error_of([&] { open_data({}); }), AllOf(HasSubstr("gone"), HasSubstr("DETENT_DATA")));
}

TEST_F(OpenData, ADamagedCacheIsAnError) {
  write_idx_folder(folder / "detent/mnist", few_digits());
  std::filesystem::remove(folder / "detent/mnist/t10k-labels-idx1-ubyte.gz");
  EXPECT_THAT(error_of([&] { open_data({}); }), HasSubstr("has no t10k-labels"));
}

TEST_F(OpenData, ReadsHdf5) {
  const DataSource source = few_digits();
  write_hdf5_dataset(folder / "few.h5", source);
  for (const DataSource& read : {read_hdf5_dataset(folder / "few.h5"), open_data({.folder = folder / "few.h5"}),
                                 open_data({.name = (folder / "few.h5").string()})}) {
    EXPECT_TRUE(equal(read.train.examples, source.train.examples));
    EXPECT_TRUE(equal(read.train.labels, source.train.labels));
    EXPECT_TRUE(equal(read.test.examples, source.test.examples));
    EXPECT_EQ(read.train.classes, 10);
    EXPECT_EQ(read.test.name, "digits test");
  }
  write_hdf5_dataset(folder / "again.h5", source);
  EXPECT_EQ(read_text(folder / "few.h5"), read_text(folder / "again.h5"));
}

TEST_F(OpenData, ReadsAFolderOfHdf5Files) {
  const DataSource source = few_digits();
  for (const auto& [name, part] : {std::pair{"train.h5", &source.train}, std::pair{"test.h5", &source.test}}) {
    TensorFile file;
    // As other programs write them: without channels, labels as bytes.
    file.tensors = {{"images", part->examples.reshape({part->size(), 28, 28})}, {"labels", part->labels.to(DType::U8)}};
    file.write(folder / name);
  }
  const DataSource read = open_data({.folder = folder.path()});
  EXPECT_TRUE(equal(read.train.examples, source.train.examples));
  EXPECT_TRUE(equal(read.test.labels, source.test.labels));
  EXPECT_EQ(read.train.classes, 10);
}

TEST_F(OpenData, RefusesHdf5ThatIsNoDataSet) {
  const auto error_for = [&](const std::map<std::string, Tensor>& tensors) {
    TensorFile file;
    file.tensors = tensors;
    file.write(folder / "bad.h5");
    return error_of([&] { read_hdf5_dataset(folder / "bad.h5"); });
  };
  const Dataset part = few_digits().test;
  std::map<std::string, Tensor> good = {{"train/images", part.examples},
                                        {"train/labels", part.labels},
                                        {"test/images", part.examples},
                                        {"test/labels", part.labels}};
  EXPECT_EQ(error_for(good), "no error");
  auto bad = good;
  bad.erase("test/labels");
  EXPECT_THAT(error_for(bad), AllOf(HasSubstr("bad.h5"), HasSubstr("has no data set /test/labels")));
  bad = good;
  bad["train/images"] = part.examples.to(DType::F32);
  EXPECT_THAT(error_for(bad), HasSubstr("expected u8 [N, H, W, C]"));
  bad = good;
  bad["test/labels"] = part.labels.rows(0, 5);
  EXPECT_THAT(error_for(bad), HasSubstr("20 images but 5 labels"));
  bad = good;
  bad["test/labels"] = part.labels.clone();
  bad["test/labels"].data<std::int32_t>()[7] = 10;
  EXPECT_THAT(error_for(bad), HasSubstr("(test): label 10 of example 7 is out of range: expected 0 to 9"));
  write_text(folder / "text.h5", "no HDF5");
  EXPECT_THAT(error_of([&] { read_hdf5_dataset(folder / "text.h5"); }), HasSubstr("text.h5"));
}

TEST_F(OpenData, AFormatOfOnesOwnIsReadLikeTheOthers) {
  write_file(folder / "few.own", std::vector<std::byte>(1));
  Readers readers = standard_readers();
  readers.insert(readers.begin(), {.format = "own",
                                   .recognizes = [](const auto& path) { return path.extension() == ".own"; },
                                   .read =
                                       [](const auto& path, const ReadOptions& options) {
                                         DataSource source = few_digits();
                                         source.describe(options.name.empty() ? "own data" : options.name, path);
                                         return source;
                                       }});
  EXPECT_THROW(open_data({.folder = folder / "few.own"}), Error) << "the standard formats do not know it";
  EXPECT_EQ(open_data({.folder = folder / "few.own", .readers = readers}).name, "own data");
}

/// The folder of the real MNIST files, or nothing, said loudly.
std::optional<std::filesystem::path> mnist_folder() {
  const char* const named = std::getenv("DETENT_DATA");
  const std::filesystem::path folder = named != nullptr ? std::string(named) : source_path("../shared/data/mnist");
  if (has_idx_files(folder)) {
    return folder;
  }
  std::cout << "*** NOT TESTED: no MNIST files in " << folder << "; set DETENT_DATA to their folder ***\n";
  return std::nullopt;
}

TEST(Mnist, ReadsTheRealFiles) {
  const auto folder = mnist_folder();
  if (!folder) {
    GTEST_SKIP() << "no MNIST files";
  }
  const DataSource mnist = read_idx_folder(*folder);
  EXPECT_EQ(mnist.train.examples.shape(), Shape({60000, 28, 28, 1}));
  EXPECT_EQ(mnist.test.examples.shape(), Shape({10000, 28, 28, 1}));
  EXPECT_EQ(std::as_const(mnist.train.labels).data<std::int32_t>()[0], 5);
  EXPECT_EQ(std::as_const(mnist.test.labels).data<std::int32_t>()[0], 7);
  EXPECT_EQ(mnist.name, "mnist") << "in a folder of any name";
  for (const RemoteFile& file : mnist_remote().files) {
    const auto path = find_idx(*folder, file.name.substr(0, file.name.find("-idx")));
    EXPECT_EQ(sha256_hex(read_file(path.value())), file.sha256) << file.name;
  }
}

}  // namespace
}  // namespace detent::data::source_test
