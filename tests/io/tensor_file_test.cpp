#include "detent/io/tensor_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>

#include "detent/io/atomic_file.h"
#include "detent/io/foreign_tensor_file.h"
#include "detent/io/tensor_file/reader.h"

namespace detent::tensor_file_test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A folder of its own for each test, removed at its end.
class TensorFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "detent_tensor_file_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path path(const std::string& name) const { return folder_ / name; }
  std::vector<std::string> names_in_folder() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
  fs::path folder_;
};

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// What `call` throws, or "" if it throws nothing.
template <typename Fn>
std::string error_of(Fn&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TensorFile sample() {
  TensorFile file;
  file.attributes["format"] = std::string("detent-model");
  file.attributes["version"] = std::int64_t{1};
  file.attributes["accuracy"] = 0.9912;
  file.attributes["empty"] = std::string();
  file.attributes["umlaut"] = std::string("Größe");
  file.tensors["parameters/conv1/weight"] = Tensor::from<float>({1.5F, -0.0F, 3e-41F, 1e30F, NAN, INFINITY}, {2, 3});
  file.tensors["parameters/conv1/bias"] = Tensor::from<double>({0.1, -7}, {2});
  file.tensors["parameters/fc/codes"] = Tensor::from<std::int8_t>({-128, -1, 0, 127}, {4, 1});
  file.tensors["parameters/fc/zero_point"] = Tensor::from<std::uint8_t>({0, 255}, {2});
  file.tensors["parameters/fc/bias"] = Tensor::from<std::int32_t>({INT32_MIN, 0, INT32_MAX}, {3});
  file.tensors["half"] = Tensor::from<float16>({float16(1.5F), float16(-3.0F)}, {2});
  file.tensors["brain"] = Tensor::from<bfloat16>({bfloat16(1.5F), bfloat16(-3.0F), bfloat16(1e30F)}, {1, 3});
  file.tensors["scalar"] = Tensor::scalar(0.25F);
  file.tensors["nothing"] = Tensor::empty({0, 4}, DType::F32);
  return file;
}

// The first difference in words; "" if there is none. Tensors are compared bit by bit.
std::string difference(const TensorFile& expected, const TensorFile& actual) {
  if (expected.attributes != actual.attributes) {
    return "the attributes differ";
  }
  if (expected.tensors.size() != actual.tensors.size()) {
    return "there are " + std::to_string(actual.tensors.size()) + " tensors";
  }
  for (const auto& [name, tensor] : expected.tensors) {
    const auto found = actual.tensors.find(name);
    if (found == actual.tensors.end()) {
      return name + " is missing";
    }
    if (found->second.shape() != tensor.shape() || found->second.dtype() != tensor.dtype()) {
      return name + " has another shape or type";
    }
    if (std::memcmp(found->second.raw(), tensor.raw(), tensor.bytes()) != 0) {
      return name + " has other elements";
    }
  }
  return "";
}

TEST_F(TensorFileTest, ReadsWhatWasWritten) {
  const TensorFile file = sample();
  file.write(path("a.h5"));
  const TensorFile back = TensorFile::read(path("a.h5"));
  EXPECT_EQ(difference(file, back), "");
  EXPECT_EQ(back.source, path("a.h5"));
  EXPECT_EQ(back.text("format"), "detent-model");
  EXPECT_EQ(back.integer("version"), 1);
  EXPECT_EQ(back.tensor("scalar").item(), 0.25);
  EXPECT_THAT(names_in_folder(), ::testing::ElementsAre("a.h5"));
}

TEST_F(TensorFileTest, KeepsLongTexts) {
  for (const std::size_t size : {1u, 32767u, 32768u, 32769u, 65535u, 65536u, 300000u}) {
    TensorFile file;
    std::string text(size, '{');
    for (std::size_t i = 0; i < size; ++i) {
      text[i] = static_cast<char>('a' + i % 26);
    }
    file.attributes["graph"] = text;
    file.write(path("long.h5"));
    EXPECT_EQ(TensorFile::read(path("long.h5")).text("graph") == text, true) << "a text of " << size << " bytes";
  }
}

TEST_F(TensorFileTest, KeepsManyChunksOfABigTensor) {
  std::vector<float> values(3 * 1'000'003);
  std::iota(values.begin(), values.end(), 0.0F);
  TensorFile file;
  file.tensors["flat"] = Tensor::from(values, {3 * 1'000'003});
  file.tensors["wide"] = Tensor::from(values, {3, 1'000'003});
  file.tensors["odd"] = Tensor::from(values, {1'000'003, 1, 3});
  file.write(path("big.h5"));
  EXPECT_EQ(difference(file, TensorFile::read(path("big.h5"))), "");
  EXPECT_LT(fs::file_size(path("big.h5")), 1.01 * 3 * 4 * static_cast<double>(values.size()))
      << "the file is padded by more than 1 %";
}

TEST_F(TensorFileTest, SameContentGivesTheSameBytes) {
  sample().write(path("a.h5"));
  const std::string first = bytes_of(path("a.h5"));
  for (int time = 0; time < 20; ++time) {
    std::vector<std::string> noise(50, std::string(static_cast<std::size_t>(1000 * time + 17), '\xAB'));
    noise.clear();  // what the heap holds must not reach the file
    if (time == 10) {
      ::sleep(1);  // nor may the clock
    }
    sample().write(path("b.h5"));
    ASSERT_EQ(bytes_of(path("b.h5")) == first, true) << "write number " << time;
  }
}

TEST_F(TensorFileTest, SmallTensorsCostLittle) {
  TensorFile file;
  for (int i = 0; i < 40; ++i) {
    file.tensors["parameters/m" + std::to_string(i) + "/weight"] = Tensor::zeros({16}, DType::F32);
  }
  file.write(path("a.h5"));
  EXPECT_LT(fs::file_size(path("a.h5")), 40u * 1024u);
}

// Damage that nobody meant is found by checksums: the library lives, and many files are tried soon.
TensorFile read_in_this_process(const fs::path& path) { return hdf5::read_here({.path = path, .is_own = true}); }

TEST_F(TensorFileTest, AnyTruncationIsRefused) {
  sample().write(path("a.h5"));
  const std::string whole = bytes_of(path("a.h5"));
  for (std::size_t size = 0; size < whole.size(); size += 97) {
    write_bytes(path("cut.h5"), whole.substr(0, size));
    const std::string error = error_of([&] { read_in_this_process(path("cut.h5")); });
    EXPECT_THAT(error, HasSubstr("cut.h5")) << "of " << whole.size() << " bytes the first " << size << " were accepted";
    EXPECT_THAT(error, ::testing::Not(HasSubstr("\n")));
  }
}

TEST_F(TensorFileTest, AnyDamagedByteIsRefusedOrHarmless) {
  constexpr unsigned kSeed = 20240607;
  TensorFile file = sample();
  file.attributes["graph"] = std::string(40'000, 'g');
  for (int i = 0; i < 20; ++i) {  // enough to lie together
    file.tensors["small" + std::to_string(i)] = Tensor::full({i, 2}, DType::F32, i);
  }
  file.write(path("a.h5"));
  const std::string whole = bytes_of(path("a.h5"));
  std::mt19937 random(kSeed);
  std::size_t refused = 0, tried = 0;
  for (std::size_t at = 0; at < whole.size(); at += at < 8'000 ? 7 : 601, ++tried) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    write_bytes(path("flip.h5"), damaged);
    try {
      EXPECT_EQ(difference(file, read_in_this_process(path("flip.h5"))), "") << "byte " << at << ", seed " << kSeed;
    } catch (const Error& error) {
      ++refused;
      EXPECT_THAT(error.what(), AllOf(HasSubstr("flip.h5"), ::testing::Not(HasSubstr("\n"))));
    }
  }
  EXPECT_GT(refused, tried / 4) << "of " << tried;
}

TEST_F(TensorFileTest, ForeignAndMissingFilesAreNamed) {
  EXPECT_THAT(error_of([&] { TensorFile::read(path("none.h5")); }), AllOf(HasSubstr("none.h5"), HasSubstr("no such")));
  write_bytes(path("text.h5"), "epoch,loss\n1,0.5\n");
  EXPECT_THAT(error_of([&] { TensorFile::read(path("text.h5")); }),
              AllOf(HasSubstr("text.h5"), HasSubstr("not an HDF5")));
  write_bytes(path("empty.h5"), "");
  EXPECT_THAT(error_of([&] { TensorFile::read(path("empty.h5")); }), HasSubstr("not an HDF5"));
  write_bytes(path("random.h5"), "\x89HDF\r\n\x1a\n" + std::string(500, '\x42'));
  EXPECT_THAT(error_of([&] { TensorFile::read(path("random.h5")); }), HasSubstr("random.h5"));
  EXPECT_THAT(error_of([&] { TensorFile::read(folder_); }), HasSubstr("folder"));
}

TEST_F(TensorFileTest, WhatIsMissingInsideIsNamed) {
  sample().write(path("a.h5"));
  const TensorFile file = TensorFile::read(path("a.h5"));
  EXPECT_THAT(error_of([&] { file.text("kind"); }), AllOf(HasSubstr("a.h5"), HasSubstr("'kind'")));
  EXPECT_THAT(error_of([&] { file.text("version"); }), HasSubstr("expected a text"));
  EXPECT_THAT(error_of([&] { file.integer("format"); }), HasSubstr("expected an integer"));
  EXPECT_THAT(error_of([&] { file.tensor("x/y"); }), HasSubstr("'x/y'"));
}

TEST_F(TensorFileTest, BadNamesAreRefusedAndLeaveNothing) {
  for (const char* const name : {"", "/a", "a/", "a//b", "./a", "a/./b"}) {
    TensorFile file;
    file.tensors[name] = Tensor::scalar(1.0F);
    EXPECT_THAT(error_of([&] { file.write(path("a.h5")); }), HasSubstr("a.h5")) << "'" << name << "'";
  }
  TensorFile clash;
  clash.tensors["a"] = Tensor::scalar(1.0F);
  clash.tensors["a/b"] = Tensor::scalar(1.0F);
  EXPECT_THAT(error_of([&] { clash.write(path("a.h5")); }), HasSubstr("a.h5"));
  TensorFile hole;
  hole.tensors["hole"] = Tensor();
  EXPECT_THAT(error_of([&] { hole.write(path("a.h5")); }), HasSubstr("'hole'"));
  EXPECT_THAT(names_in_folder(), ::testing::IsEmpty());
}

TEST_F(TensorFileTest, FoldersThatCannotBeWrittenAreNamed) {
  EXPECT_THAT(error_of([&] { sample().write(path("none") / "a.h5"); }), AllOf(HasSubstr("none"), HasSubstr("folder")));
  write_bytes(path("file"), "x");
  EXPECT_THAT(error_of([&] { sample().write(path("file") / "a.h5"); }), HasSubstr("file"));
  EXPECT_THAT(error_of([&] { sample().write(folder_); }), HasSubstr("folder"));
  EXPECT_THAT(error_of([&] { sample().write("/proc/detent.h5"); }), HasSubstr("/proc/detent.h5"));
  EXPECT_THAT(names_in_folder(), ::testing::ElementsAre("file"));
}

// Files of this process may not grow beyond `bytes` while this lives: a write then fails as on a full disk.
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_F(TensorFileTest, AFullDiskLeavesTheOldContentAndNothingElse) {
  write_text_file(path("a.h5"), "old");
  std::string error, text_error;
  {
    const SmallDisk disk(1000);
    error = error_of([&] { sample().write(path("a.h5")); });
    text_error = error_of([&] { write_text_file(path("a.h5"), std::string(2000, 'x')); });
  }
  EXPECT_THAT(error, AllOf(HasSubstr("a.h5"), HasSubstr("space")));
  EXPECT_THAT(text_error, AllOf(HasSubstr("a.h5"), HasSubstr("space")));
  EXPECT_EQ(bytes_of(path("a.h5")), "old");
  EXPECT_THAT(names_in_folder(), ::testing::ElementsAre("a.h5"));
}

TEST_F(TensorFileTest, WriteTextFileReplacesTheWholeFile) {
  write_text_file(path("m.json"), "a long first text");
  write_text_file(path("m.json"), "short");
  EXPECT_EQ(bytes_of(path("m.json")), "short");
  write_text_file(path("m.json"), "");
  EXPECT_EQ(bytes_of(path("m.json")), "");
}

TEST_F(TensorFileTest, WithoutCommitNothingAppears) {
  {
    AtomicFile file(path("a"));
    file.write(std::as_bytes(std::span("half", 4)));
    EXPECT_EQ(names_in_folder().size(), 1u) << "the temporary file lies in the same folder";
    EXPECT_FALSE(fs::exists(path("a")));
  }
  EXPECT_THAT(names_in_folder(), ::testing::IsEmpty());
}

// Golden bytes of a foreign program: what h5py writes of {"images": u8 [2, 2, 2], "labels": int64 [2]} by default.
TEST_F(TensorFileTest, ReadsFilesOfH5py) {
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3-h5py is not installed";
  }
  const std::string script =
      "/usr/bin/python3 -c \"import h5py, numpy as np\n"
      "f = h5py.File('" +
      path("data.h5").string() +
      "', 'w')\n"
      "f['images'] = np.arange(8, dtype='u1').reshape(2, 2, 2)\n"
      "f['labels'] = np.array([3, -7])\n"
      "f['swapped'] = np.array([1.5, -2], dtype='>f4')\n"
      "f.create_dataset('packed', data=np.zeros(100000, 'f8'), compression='gzip')\n"
      "f.create_dataset('unwritten', shape=(0,), dtype='f4')\n"
      "f.attrs['title'] = 'numbers'; f.attrs['n'] = 7; f.attrs['array'] = [1, 2]\n"
      "f['again'] = f['/']\n"
      "f.close()\"";
  ASSERT_EQ(std::system(script.c_str()), 0);
  const std::string cycle = error_of([&] { read_foreign_file(path("data.h5")); });
  EXPECT_THAT(cycle, HasSubstr("nested")) << "a group that holds itself";

  ASSERT_EQ(std::system(("/usr/bin/python3 -c \"import h5py\nf = h5py.File('" + path("data.h5").string() +
                         "', 'a'); del f['again']\"")
                            .c_str()),
            0);
  const TensorFile file = read_foreign_file(path("data.h5"));
  EXPECT_EQ(file.text("title"), "numbers");
  EXPECT_EQ(file.integer("n"), 7);
  EXPECT_EQ(file.tensor("images").shape(), (Shape{2, 2, 2}));
  EXPECT_THAT(file.tensor("images").data<std::uint8_t>(), ::testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(file.tensor("labels").data<std::int32_t>(), ::testing::ElementsAre(3, -7));
  EXPECT_THAT(file.tensor("swapped").data<float>(), ::testing::ElementsAre(1.5F, -2.0F));
  EXPECT_EQ(file.tensor("packed").elements(), 100000);
  EXPECT_EQ(file.tensor("unwritten").elements(), 0);

  ASSERT_EQ(std::system(("/usr/bin/python3 -c \"import h5py\nf = h5py.File('" + path("data.h5").string() +
                         "', 'a'); f.create_dataset('lie', shape=(1 << 40,), dtype='f4', chunks=(1024,))\"")
                            .c_str()),
            0);
  EXPECT_THAT(error_of([&] { read_foreign_file(path("data.h5")); }), HasSubstr("'lie'"));
}

// And the other way: h5py sees types, checksums and attributes.
TEST_F(TensorFileTest, H5pyReadsOurFiles) {
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3-h5py is not installed";
  }
  sample().write(path("a.h5"));
  const std::string script =
      "/usr/bin/python3 -c \"import h5py, numpy as np\n"
      "f = h5py.File('" +
      path("a.h5").string() +
      "', 'r')\n"
      "assert f.attrs['format'] == b'detent-model' or f.attrs['format'] == 'detent-model', f.attrs['format']\n"
      "assert f.attrs['version'] == 1\n"
      "codes = f['parameters/fc/codes']\n"
      "assert codes.dtype == np.int8 and codes.fletcher32 and codes[:].tolist() == [[-128], [-1], [0], [127]]\n"
      "assert f['parameters/conv1/weight'][0, 0] == 1.5\n"
      "assert f['brain'].attrs['dtype'] in (b'bf16', 'bf16')\n"
      "assert f['scalar'][()] == 0.25 and f['nothing'].shape == (0, 4)\"";
  EXPECT_EQ(std::system(script.c_str()), 0);
}

}  // namespace
}  // namespace detent::tensor_file_test
