// Every call by which a file is written fails once, in every way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/io/atomic_file.h"
#include "detent/io/tensor_file.h"
#include "tests/data/temp_folder.h"
#include "tests/names_in.h"

#ifdef DETENT_FAULTY_WRITES
#include "tests/faults/faulty_writes.h"

namespace detent::faults_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A way to write a file.
struct Writer {
  std::string name;
  std::function<void(const std::filesystem::path&)> write;
  friend void PrintTo(const Writer& writer, std::ostream* out) { *out << writer.name; }
};

TensorFile tensors() {
  TensorFile file;
  file.attributes["text"] = std::string(40000, 'x');
  for (const std::string name : {"a", "b/c"}) {
    file.tensors[name] = Tensor::full({200, 300}, DType::F32, 0.5);
  }
  return file;
}

const std::vector<Writer>& writers() {
  static const std::vector<Writer> all{{"atomic_file",
                                        [](const auto& path) {
                                          AtomicFile file(path);
                                          file.write(std::as_bytes(std::span("some bytes", 10)));
                                          file.write(std::as_bytes(std::span("and some more", 13)));
                                          file.commit();
                                        }},
                                       {"text", [](const auto& path) { write_text_file(path, "new"); }},
                                       {"tensors", [](const auto& path) { tensors().write(path); }}};
  return all;
}

class Faults : public testing::TestWithParam<Writer> {
 protected:
  // The error when the fault comes to a file that is there already, or is not.
  std::string error_with(const std::string& fault, bool is_there) {
    if (is_there) {
      write_text(path_, "old");
    } else {
      std::filesystem::remove(path_);
    }
    const ScopedVariable variable("DETENT_FAULT", fault.c_str());
    faulty_restart();
    return error_of([&] { GetParam().write(path_); });
  }

  TempFolder folder_;
  const std::filesystem::path path_ = folder_ / "file";
};

TEST_P(Faults, OfEveryCallLeaveTheOldFileAndSaySo) {
  const std::map<std::string, std::vector<std::string>> faults{{"open", {"ENOSPC", "EACCES", "EMFILE", "EIO"}},
                                                               {"write", {"ENOSPC", "EDQUOT", "EFBIG", "EIO", "NONE"}},
                                                               {"fsync", {"ENOSPC", "EIO"}},
                                                               {"close", {"ENOSPC", "EIO"}},
                                                               {"rename", {"ENOSPC", "EACCES", "EIO"}}};
  for (const auto& [call, kinds] : faults) {
    for (const std::string& kind : kinds) {
      error_with(call + ":1000000:EIO", false);
      const std::size_t calls = faulty_calls();
      ASSERT_GE(calls, 1U) << call << " was never called: is the library in front?";
      for (std::size_t i = 1; i <= calls; ++i) {
        SCOPED_TRACE(call + " " + std::to_string(i) + " of " + std::to_string(calls) + ": " + kind);
        const std::string fault = call + ":" + std::to_string(i) + ":" + kind;
        const std::string replacing = error_with(fault, true);
        EXPECT_THAT(replacing, HasSubstr("write '" + path_.string() + "': "));
        EXPECT_THAT(replacing, HasSubstr("; this file still has its old content"));
        EXPECT_EQ(replacing.find('\n'), std::string::npos);
        EXPECT_EQ(read_text(path_), "old");
        EXPECT_THAT(names_in(folder_.path()), ElementsAre("file"));
        EXPECT_THAT(error_with(fault, false), HasSubstr("; this file was not made"));
        EXPECT_THAT(names_in(folder_.path()), ElementsAre());
      }
    }
  }
}

TEST_P(Faults, ThatAreNoneAreWorkedAround) {
  GetParam().write(folder_ / "whole");
  const std::string expected = read_text(folder_ / "whole");
  std::filesystem::remove(folder_ / "whole");
  for (const std::string fault : {"write:0:HALF", "write:1:ONE", "write:1:EINTR", "fsync:1:EINTR", "close:1:EINTR"}) {
    EXPECT_EQ(error_with(fault, true), "no error") << fault;
    EXPECT_TRUE(read_text(path_) == expected) << fault;
    EXPECT_THAT(names_in(folder_.path()), ElementsAre("file")) << fault;
  }
}

INSTANTIATE_TEST_SUITE_P(Io, Faults, testing::ValuesIn(writers()), [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace detent::faults_test
#endif
