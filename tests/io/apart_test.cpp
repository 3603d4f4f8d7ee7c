// Reading in a process of its own: what comes back, and what does not.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "detent/core/threads/parallel.h"
#include "detent/io/tensor_file/apart.h"
#include "detent/io/tensor_file/wire.h"
#include "tests/data/temp_folder.h"

namespace detent::hdf5::apart_test {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr Limits kAmple{.memory = std::uint64_t{1} << 28, .cpu_seconds = 20, .wait = std::chrono::seconds(60)};

TensorFile sample() {
  TensorFile file;
  file.attributes = {{"text", std::string("a\0b", 3)}, {"empty", std::string()}, {"n", std::int64_t{-5}}, {"r", 0.25}};
  file.tensors = {{"s8", Tensor::from<std::int8_t>({1, -2, 3, 4}, {2, 2})},
                  {"none", Tensor::empty({0, 4}, DType::F32)},
                  {"scalar", Tensor::scalar(1.5)},
                  {"large", Tensor::full({1'000'000}, DType::S32, 7)}};
  file.enumerations = {"s8"};
  file.texts = {{"names", {"", "x\n"}}, {"nobody", {}}};
  return file;
}

void expect_sample(const TensorFile& file) {
  const TensorFile expected = sample();
  EXPECT_EQ(file.attributes, expected.attributes);
  EXPECT_EQ(file.enumerations, expected.enumerations);
  EXPECT_EQ(file.texts, expected.texts);
  ASSERT_EQ(file.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) {
    SCOPED_TRACE(name);
    const Tensor& got = file.tensor(name);
    EXPECT_EQ(got.shape(), tensor.shape());
    ASSERT_EQ(got.dtype(), tensor.dtype());
    EXPECT_EQ(std::memcmp(got.raw(), tensor.raw(), tensor.bytes()), 0);
  }
}

std::string error_apart(const Limits& limits, const std::function<TensorFile()>& read) {
  return error_of([&] { read_apart("data.h5", limits, read); });
}

TEST(Apart, ContentComesBackWhole) {
  const TensorFile file = read_apart("data.h5", kAmple, sample);
  expect_sample(file);
  EXPECT_EQ(file.source, "data.h5");
  EXPECT_LT(::waitpid(-1, nullptr, WNOHANG), 0) << "a child is left";
}

TEST(Apart, ErrorsComeBackAsTheyAre) {
  EXPECT_EQ(error_apart(kAmple, []() -> TensorFile { fail("read 'data.h5': nothing in it"); }),
            "read 'data.h5': nothing in it");
}

TEST(Apart, ACrashIsAnErrorThatSaysSo) {
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS}) {
    EXPECT_THAT(error_apart(kAmple, [&]() -> TensorFile { return ::raise(signal), sample(); }),
                AllOf(HasSubstr("read 'data.h5': the HDF5 library crashes at it ("), HasSubstr(::strsignal(signal)),
                      HasSubstr("it is damaged")));
  }
  EXPECT_THAT(error_apart(kAmple, []() -> TensorFile { ::_exit(0); }), HasSubstr("the HDF5 library ends at it"));
  EXPECT_LT(::waitpid(-1, nullptr, WNOHANG), 0) << "a child is left";
}

TEST(Apart, WhatComesToNoEndIsEnded) {
  Limits brief = kAmple;
  brief.wait = std::chrono::milliseconds(300);
  EXPECT_THAT(error_apart(brief, []() -> TensorFile { return ::sleep(1000), sample(); }),
              HasSubstr("the HDF5 library comes to no end with it"));
  Limits little = kAmple;
  little.cpu_seconds = 1;
  EXPECT_THAT(error_apart(little,
                          []() -> TensorFile {
                            for (volatile bool goes_on = true; goes_on;) {
                            }
                            return {};
                          }),
              HasSubstr("the HDF5 library comes to no end with it"));
}

TEST(Apart, MemoryHasAnEnd) {
  EXPECT_THAT(error_apart(kAmple,
                          []() -> TensorFile {
                            for (std::vector<std::vector<char>> all;;) {
                              all.emplace_back(std::size_t{1} << 24, 'x');
                            }
                          }),
              AnyOf(HasSubstr("read 'data.h5': it claims more memory than a file of its size can fill"),
                    HasSubstr("the HDF5 library ends at it")))  // so address sanitizers do it
      << "memory without end";
  EXPECT_LT(Limits::of_file(17 * 1024).memory, std::uint64_t{300} << 20);
  EXPECT_GT(Limits::of_file(std::uint64_t{100} << 20).memory, std::uint64_t{100} << 20);
}

TEST(Apart, NothingIsPrintedAndNoFileWritten) {
  const TempFolder folder;
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  const int kept = ::open((folder / "kept").c_str(), O_WRONLY | O_CREAT, 0600);
  const TensorFile file = read_apart("data.h5", kAmple, [&] {
    std::fputs("noise", stderr);
    std::puts("noise");
    std::fflush(nullptr);
    TensorFile seen;
    seen.attributes["kept"] = std::int64_t{::write(kept, "x", 1)};
    std::signal(SIGXFSZ, SIG_IGN);
    const int out = ::open((folder / "written").c_str(), O_WRONLY | O_CREAT, 0600);
    seen.attributes["written"] = std::int64_t{::write(out, "x", 1)};
    return seen;
  });
  ::close(kept);
  EXPECT_EQ(testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(file.integer("kept"), -1);
  EXPECT_EQ(file.integer("written"), -1);
}

TEST(Apart, ManyThreadsReadAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int time = 0; time < 5; ++time) {
        expect_sample(read_apart("data.h5", kAmple, sample));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(Apart, WorkThatIsToEndEnds) {
  ThreadPool pool(1, [] { return true; });
  EXPECT_THROW(pool.run([] { read_apart("data.h5", kAmple, []() -> TensorFile { return ::sleep(1000), sample(); }); }),
               Interrupted);
  EXPECT_LT(::waitpid(-1, nullptr, WNOHANG), 0) << "a child is left";
}

// What a process whose memory was overwritten may send.
TEST(Wire, WhatIsMalformedIsRefused) {
  const auto received = [](std::string bytes) {
    std::string_view left = bytes;
    return error_of([&] {
      receive_content("W: ", [&](std::span<std::byte> all) {
        check(all.size() <= left.size(), "no more");
        std::memcpy(all.data(), left.data(), all.size());
        left.remove_prefix(all.size());
      });
    });
  };
  const auto number = [](std::uint64_t value) { return std::string(reinterpret_cast<const char*>(&value), 8); };
  const std::string name = number(1) + "n", tensor = "t" + name + '\0';
  const auto type = [](DType dtype) { return std::string(1, static_cast<char>(dtype)); };
  EXPECT_EQ(received("."), "no error");
  EXPECT_EQ(received(tensor + type(DType::U8) + number(1) + number(2) + "ab."), "no error");
  EXPECT_EQ(received("a" + number(1) + "nr" + number(0) + "."), "no error");
  EXPECT_EQ(received("e" + number(4) + "oops"), "oops");
  EXPECT_EQ(received(""), "no more");
  for (const std::string& bad :
       {std::string("?"), "a" + name + "?", "t" + number(~std::uint64_t{0}), tensor + '\x7f' + number(1) + number(2),
        tensor + type(DType::U8) + number(33), tensor + type(DType::F32) + number(1) + number(~std::uint64_t{0}),
        tensor + type(DType::F32) + number(2) + number(1 << 30) + number(1 << 30), "x" + name + number(1ULL << 60)}) {
    EXPECT_THAT(received(bad), HasSubstr("W: what the process that reads it sends is not understood"))
        << testing::PrintToString(bad);
  }
}

}  // namespace
}  // namespace detent::hdf5::apart_test
