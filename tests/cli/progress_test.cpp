#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "tests/cli/digits_folder.h"
#include "tests/cli/started.h"

namespace detent::cli::progress_test {
namespace {

// A terminal of `columns` columns, without the program that shows it.
class Terminal {
 public:
  explicit Terminal(int columns) {
    if (::openpty(&outer_, &inner_, nullptr, nullptr, nullptr) == 0) {
      resize(columns);
    }
  }
  ~Terminal() {
    ::close(outer_);
    ::close(inner_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  int inner() const { return inner_; }
  void resize(int columns) const {
    const winsize size{.ws_row = 24, .ws_col = static_cast<unsigned short>(columns), .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(outer_, TIOCSWINSZ, &size);
  }
  /// Reads what is there.
  void read() {
    char bytes[4096];
    for (pollfd ready{outer_, POLLIN, 0}; ::poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0;) {
      text_.append(bytes, static_cast<std::size_t>(std::max<ssize_t>(::read(outer_, bytes, sizeof bytes), 0)));
    }
  }
  const std::string& text() const { return text_; }
  /// What was written so far, cut where the cursor went back to the first column.
  std::vector<std::string> lines() const {
    std::vector<std::string> lines{""};
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == '\r' || text_[i] == '\n') {
        lines.emplace_back();
      } else if (text_.compare(i, 3, "\033[K") == 0) {
        i += 2;
      } else {
        lines.back() += text_[i];
      }
    }
    std::erase(lines, "");
    return lines;
  }

 private:
  int outer_ = -1;
  int inner_ = -1;
  std::string text_;
};

// A float run of two epochs in fp16, whose lines are the longest, on a terminal of `columns` columns.
class ProgressLines : public testing::TestWithParam<int> {
 protected:
  ProgressLines() {
    write_text(folder_ / "tiny.toml", R"([model]
layers = ["conv 4 3x3 stride 2", "relu", "flatten", "linear 10"]
[train]
epochs = 12
batch = 10
precision = "fp16"
[quantize]
method = "none"
)");
    write_digits(folder_ / "digits");
  }
  std::vector<std::string> lines_on(Terminal& terminal) {
    Started program(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out"}, terminal.inner());
    EXPECT_TRUE(program.comes([&] {
      terminal.read();
      return program.has_ended();
    }));
    EXPECT_EQ(program.result(), 0);
    terminal.read();
    return terminal.lines();
  }
  TempFolder folder_;
};

TEST_P(ProgressLines, FitTheTerminal) {
  const int columns = GetParam();
  Terminal terminal(columns);
  const std::vector<std::string> lines = lines_on(terminal);
  int bars = 0;
  int epochs = 0;
  for (const std::string& line : lines) {
    EXPECT_LT(line.size(), static_cast<std::size_t>(columns)) << line;
    EXPECT_THAT(line, testing::AnyOf(testing::HasSubstr("float epoch "), testing::HasSubstr("evaluate")));
    bars += line.find('[') != std::string::npos ? 1 : 0;
    epochs += line.find('[') == std::string::npos && line.find("loss") != std::string::npos ? 1 : 0;
  }
  EXPECT_GE(bars, 1) << testing::PrintToString(lines);
  EXPECT_GE(epochs, 12);
  // The speed goes first. Lines of epochs are of one length, whenever they are drawn.
  for (const std::string& line : lines) {
    if (line.find("loss") != std::string::npos && line.find('[') == std::string::npos) {
      EXPECT_EQ(line.find("examples/s") != std::string::npos, columns >= 100) << line;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Columns, ProgressLines, testing::Values(40, 60, 80, 100, 120, 200));

// With all that a line may hold: loss, accuracy, those of the part held out, the loss scale; and in QAT.
TEST_F(ProgressLines, FitAnyTerminalWhateverTheyTell) {
  for (const int columns : {1, 2, 10, 20, 60, 90, 120, 160, 200}) {
    Terminal terminal(columns);
    Started program(folder_,
                    {"run", "tiny.toml", "--data", "digits", "--out", "out" + std::to_string(columns), "--set",
                     "data.validation=0.25", "--set", "quantize.method=qat", "--set", "train.epochs=2"},
                    terminal.inner());
    EXPECT_TRUE(program.comes([&] {
      terminal.read();
      return program.has_ended();
    }));
    terminal.read();
    for (const std::string& line : terminal.lines()) {
      EXPECT_LT(line.size(), static_cast<std::size_t>(columns)) << line;
      EXPECT_TRUE(columns < 60 || line.find("epoch ") == std::string::npos || line.find("loss ") != std::string::npos)
          << line;
    }
  }
}

// A terminal that cannot go back in a line gets lines of epochs alone; none gets a colour.
TEST_F(ProgressLines, DumbTerminalsGetNoBars) {
  for (const char* const kind : {"dumb", "xterm-256color"}) {
    ::setenv("TERM", kind, 1);
    Terminal terminal(80);
    const std::vector<std::string> lines = lines_on(terminal);
    const bool is_dumb = kind == std::string("dumb");
    EXPECT_EQ(terminal.text().find('[') == std::string::npos, is_dumb) << terminal.text();
    EXPECT_EQ(terminal.text().find("\033[K") == std::string::npos, is_dumb);
    EXPECT_THAT(terminal.text(), testing::Not(testing::ContainsRegex("\033\\[[0-9;]*m"))) << "a colour";
    EXPECT_GE(lines.size(), 12U);
    std::filesystem::remove_all(folder_ / "out");
  }
  ::unsetenv("TERM");
}

TEST_F(ProgressLines, WithoutAWidthFitColumnsOrEighty) {
  for (const std::size_t columns : {50, 80}) {
    ::setenv("COLUMNS", std::to_string(columns).c_str(), 1);
    if (columns == 80) {
      ::unsetenv("COLUMNS");
    }
    Terminal terminal(0);
    for (const std::string& line : lines_on(terminal)) {
      EXPECT_LT(line.size(), columns) << line;
    }
  }
}

TEST_F(ProgressLines, GoWholeIntoAFile) {
  ::setenv("COLUMNS", "20", 1);
  const Outcome outcome = detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out"});
  ::unsetenv("COLUMNS");
  EXPECT_EQ(outcome.status, 0);
  for (const char* part : {"float epoch 12/12  loss ", "accuracy ", "scale ", " skipped", "examples/s"}) {
    EXPECT_THAT(outcome.err, testing::HasSubstr(part));
  }
  EXPECT_THAT(outcome.err, testing::Not(testing::HasSubstr("\r"))) << "a bar in a file";
}

TEST_F(ProgressLines, TellOfValidationEachEpoch) {
  const Outcome outcome =
      detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out", "--set", "data.validation=0.25"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err,
              testing::ContainsRegex("float epoch 12/12  loss [0-9.]+  accuracy [0-9.]+ %  validation loss "
                                     "[0-9.]+  accuracy [0-9.]+ %"));
}

}  // namespace
}  // namespace detent::cli::progress_test
