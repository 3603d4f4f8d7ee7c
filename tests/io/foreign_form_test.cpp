// Files of forms that Detent does not write: as models they are refused before the library walks them; as data they are
// read apart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "detent/io/foreign_tensor_file.h"
#include "detent/io/tensor_file.h"
#include "tests/data/h5py.h"
#include "tests/data/temp_folder.h"
#include "tests/fuzz/lookup3.h"

namespace detent::foreign_form_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TensorFile sample() {
  TensorFile file;
  file.attributes["name"] = std::string("sample");
  file.tensors["a/b"] = Tensor::from<float>({1, 2, 3}, {3});
  return file;
}

constexpr const char* kExamples =
    "f['images'] = np.arange(600, dtype='u1').reshape(20, 6, 5)\nf['labels'] = np.arange(20) % 3\n"
    "f['more/names'] = np.array([b'a', b'bc'])\n"
    "f.create_dataset('packed', data=np.arange(3000) % 7, compression='gzip', chunks=(100,))\n"
    "f.attrs['name'] = 'twenty'; f.attrs['n'] = 7";

TEST(ForeignForm, TheOldestIsRefusedByItsFirstBytes) {
  const TempFolder folder;
  sample().write(folder / "a.h5");
  const std::string whole = read_text(folder / "a.h5");
  for (const char version : {'\0', '\1'}) {
    std::string old = whole;
    old[8] = version;
    write_text(folder / "old.h5", old);
    EXPECT_THAT(error_of([&] { TensorFile::read(folder / "old.h5"); }),
                AllOf(HasSubstr("old.h5"), HasSubstr("superblock version " + std::to_string(version)),
                      HasSubstr("take the file as Detent wrote it"), HasSubstr("libver='v110'")));
  }
  std::string next = whole;
  next[8] = '\4';
  write_text(folder / "next.h5", next);
  EXPECT_THAT(error_of([&] { TensorFile::read(folder / "next.h5"); }), HasSubstr("superblock"));
}

TEST(ForeignForm, BytesBehindTheEndAreNoticed) {
  const TempFolder folder;
  sample().write(folder / "a.h5");
  const std::string whole = read_text(folder / "a.h5");
  write_text(folder / "a.h5", whole + "x");
  EXPECT_THAT(error_of([&] { TensorFile::read(folder / "a.h5"); }), HasSubstr("damaged: 1 bytes follow its end"));
  write_text(folder / "a.h5", whole.substr(0, whole.size() - 1));
  EXPECT_THAT(error_of([&] { TensorFile::read(folder / "a.h5"); }), HasSubstr("cut short"));
  write_text(folder / "a.h5", std::string(512, '\0') + whole);
  EXPECT_THAT(error_of([&] { TensorFile::read(folder / "a.h5"); }), HasSubstr("not an HDF5 file"));
}

TEST(ForeignForm, WhatH5pyWritesIsDataInEveryForm) {
  const TempFolder folder;
  const std::string open = "f = h5py.File('" + folder.path().string();
  if (!run_h5py(open + "/old.h5', 'w')\n" + kExamples + "\nf.close()\n" + open + "/new.h5', 'w', libver='v110')\n" +
                kExamples + "\nf.close()\n")) {
    GTEST_SKIP() << "no h5py";
  }
  for (const char* const name : {"old.h5", "new.h5"}) {
    SCOPED_TRACE(name);
    const TensorFile file =
        read_foreign_file(folder / name, {"images", "labels", "packed", "more/names"}, {"more/names"});
    EXPECT_EQ(file.source, folder / name);
    EXPECT_EQ(file.text("name"), "twenty");
    EXPECT_EQ(file.integer("n"), 7);
    EXPECT_EQ(file.tensor("images").shape(), Shape({20, 6, 5}));
    EXPECT_EQ(file.tensor("images").data<std::uint8_t>()[599], 599 % 256);
    EXPECT_EQ(file.tensor("packed").data<std::int32_t>()[2999], 2999 % 7);
    EXPECT_THAT(file.texts.at("more/names"), ElementsAre("a", "bc"));
  }
  EXPECT_THAT(error_of([&] { TensorFile::read(folder / "old.h5"); }), HasSubstr("oldest form"));
  EXPECT_THAT(error_of([&] { TensorFile::read(folder / "new.h5"); }), HasSubstr("text of variable length"));
  run_h5py(open + "/new.h5', 'a', libver='v110')\ndel f.attrs['name']\nf.close()\n");
  EXPECT_THAT(error_of([&] { TensorFile::read(folder / "new.h5"); }), HasSubstr("'packed' is compressed"));
  run_h5py(open + "/new.h5', 'a', libver='v110')\ndel f['packed']\nf.close()\n");
  EXPECT_EQ(TensorFile::read(folder / "new.h5").tensors.size(), 2U);
}

// A file of the oldest form under a superblock of the newest.
std::string disguised(const std::string& old) {
  constexpr std::size_t kOldEnd = 40, kOldRoot = 64, kAddress = 8, kSum = 44;
  std::string file = old;
  const std::string none(kAddress, '\xff');
  const std::string superblock = old.substr(0, 8) + "\3\x08\x08" + std::string(1 + kAddress, '\0') + none +
                                 old.substr(kOldEnd, kAddress) + old.substr(kOldRoot, kAddress);
  file.replace(0, superblock.size(), superblock);
  const std::uint32_t sum = fuzz::lookup3(std::span(reinterpret_cast<const std::uint8_t*>(file.data()), kSum));
  return file.replace(kSum, sizeof sum, reinterpret_cast<const char*>(&sum), sizeof sum);
}

TEST(ForeignForm, OldPartsInANewFileAreRefusedInModels) {
  const TempFolder folder;
  if (!run_h5py(on_file(folder / "old.h5", "f['more'] = np.arange(3, dtype='f4')"))) {
    GTEST_SKIP() << "no h5py";
  }
  write_text(folder / "new.h5", disguised(read_text(folder / "old.h5")));
  EXPECT_THAT(error_of([&] { TensorFile::read(folder / "new.h5"); }),
              AllOf(HasSubstr("the root group has an older form"), HasSubstr("its header is of version 1")));
  EXPECT_EQ(read_foreign_file(folder / "new.h5").tensors.size(), 1U);
}

TEST(ForeignForm, WhatH5pyAddsToAModelIsRead) {
  const TempFolder folder;
  sample().write(folder / "a.h5");
  if (!run_h5py(
          on_file(folder / "a.h5", "f['more'] = np.arange(3, dtype='f4')\nf.attrs['note'] = np.bytes_('mine')"))) {
    GTEST_SKIP() << "no h5py";
  }
  const TensorFile file = TensorFile::read(folder / "a.h5");
  EXPECT_EQ(file.tensors.size(), 2U);
  EXPECT_EQ(file.text("note"), "mine");
}

TEST(ForeignForm, ElementsInOtherFilesAreNotTaken) {
  const TempFolder folder;
  write_text(folder / "secret", std::string(12, 's'));
  if (!run_h5py(on_file(folder / "a.h5", "f.create_dataset('images', (12,), 'u1', external=[('" +
                                             (folder / "secret").string() + "', 0, 12)])"))) {
    GTEST_SKIP() << "no h5py";
  }
  EXPECT_THAT(error_of([&] { read_foreign_file(folder / "a.h5"); }), HasSubstr("lie in other files"));
}

TEST(ForeignForm, ClaimsAreMeasuredByTheFile) {
  const TempFolder folder;
  // Three GiB of one element, of a chunk, and of a text, in files of some KB; and a million classes of nobody.
  if (!run_h5py(on_file(folder / "chunk.h5",
                        "d = f.create_dataset('images', (4,), 'u1', chunks=(3 << 30,), maxshape=(None,)"
                        ", compression='gzip')\nd.id.write_direct_chunk((0,), b'x' * 1000)") +
                on_file(folder / "text.h5", "f.create_dataset('images', (1,), 'S' + str((1 << 31) - 1))"))) {
    GTEST_SKIP() << "no h5py";
  }
  EXPECT_THAT(error_of([&] { read_foreign_file(folder / "chunk.h5"); }), HasSubstr("claims 3.22123e+09 bytes"));
  EXPECT_THAT(error_of([&] { read_foreign_file(folder / "text.h5", {"images"}, {"images"}); }),
              HasSubstr("claims 2.14748e+09 bytes"));
}

// Damage to the oldest form reaches the library: whatever becomes of it, this process goes on, and says one line.
TEST(ForeignForm, DamagedDataOfTheOldestFormAreSurvived) {
  constexpr unsigned kSeed = 20261127;
  constexpr int kTimes = 150;
  const TempFolder folder;
  if (!run_h5py(on_file(folder / "whole.h5", kExamples))) {
    GTEST_SKIP() << "no h5py";
  }
  const std::string whole = read_text(folder / "whole.h5");
  std::mt19937 random(kSeed);
  int refused = 0;
  for (int time = 0; time < kTimes; ++time) {
    SCOPED_TRACE("seed " + std::to_string(kSeed) + ", time " + std::to_string(time));
    std::string damaged = whole;
    for (unsigned bytes = 1 + random() % 8; bytes > 0; --bytes) {
      damaged[random() % std::min<std::size_t>(damaged.size(), 4096)] = static_cast<char>(random());
    }
    write_text(folder / "damaged.h5", damaged);
    const std::string error = error_of([&] {
      read_foreign_file(folder / "damaged.h5", {"images", "labels", "packed", "more/names"}, {"more/names"});
    });
    refused += error == "no error" ? 0 : 1;
    EXPECT_THAT(error, testing::AnyOf("no error", AllOf(HasSubstr("damaged.h5"), Not(HasSubstr("\n")))));
  }
  EXPECT_GT(refused, kTimes / 10);
}

}  // namespace
}  // namespace detent::foreign_form_test
