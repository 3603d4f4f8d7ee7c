// The readers without libFuzzer: seeds, files that once were faults, and a few thousand changed seeds.
//
//   fuzz READER [--runs N] [--first N] [--corpus FOLDER] [FILE...]
//
// Input i depends on i alone. Where one is a fault, the program says which and ends as it came: a crash by its signal,
// a hang by SIGALRM, another exception than Error, and memory without end, with exit status 1.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "detent/core/error.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/readers.h"

namespace detent::fuzz {
namespace {

constexpr unsigned kMostSeconds = 240;
constexpr rlim_t kMostMemory = rlim_t{4} << 30;

struct Options {
  std::string reader;
  std::uint64_t runs = 2000;
  std::uint64_t first = 0;
  std::string corpus = {};
  std::vector<std::string> files = {};
};

Options options_of(const std::vector<std::string>& words) {
  check(!words.empty(), "fuzz: expected READER [--runs N] [--first N] [--corpus FOLDER] [FILE...]");
  Options options{.reader = words[0]};
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (!words[i].starts_with("--")) {
      options.files.push_back(words[i]);
      continue;
    }
    check(i + 1 < words.size(), "fuzz: ", words[i], ": expected a value");
    const std::string& value = words[i + 1];
    if (words[i] == "--corpus") {
      options.corpus = value;
    } else {
      check(words[i] == "--runs" || words[i] == "--first", "fuzz: unknown option '", words[i], "'");
      (words[i] == "--runs" ? options.runs : options.first) = std::strtoull(value.c_str(), nullptr, 10);
    }
    ++i;
  }
  return options;
}

/// What is read now, for the words of a process that dies.
std::array<char, 4096> current{};

void set_current(const std::string& what) {
  std::snprintf(current.data(), current.size(), "fuzz: fault at %s\n", what.c_str());
}

extern "C" void say_and_die(int signal) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, current.data(), std::strlen(current.data()));
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

/// Sanitizers reserve address space without measure, and report crashes themselves.
void set_limits() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const rlimit memory{.rlim_cur = kMostMemory, .rlim_max = RLIM_INFINITY};
  ::setrlimit(RLIMIT_AS, &memory);
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) {
    std::signal(signal, say_and_die);
  }
#endif
  std::signal(SIGALRM, say_and_die);
}

bool is_read(const Reader& reader, const Bytes& input, const std::string& what) {
  set_current(what);
  ::alarm(kMostSeconds);
  try {
    read_any(reader, input);
  } catch (const std::exception& error) {
    std::cerr << current.data() << "fuzz: expected detent::Error, got: " << error.what() << '\n';
    return false;
  }
  ::alarm(0);
  return true;
}

Bytes bytes_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), path, ": cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> files;
  if (!folder.empty() && std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      files.push_back(entry.path().string());
    }
  }
  std::ranges::sort(files);
  return files;
}

int run(const Options& options) {
  const Reader& reader = reader_called(options.reader);
  for (const std::string& file : options.files) {
    if (!is_read(reader, bytes_of_file(file), file)) {
      return 1;
    }
  }
  if (!options.files.empty()) {
    return 0;
  }
  std::vector<Bytes> seeds = reader.seeds();
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    set_current("seed " + std::to_string(i));
    reader.read(seeds[i]);  // a seed is a whole file: an Error is a fault, too
    Bytes repaired = seeds[i];
    if (reader.repair) {
      reader.repair(repaired);
    }
    check(repaired == seeds[i], "fuzz: ", reader.name, ": the checksums of seed ", i, " are not those of its format");
  }
  for (const std::string& file : files_in(options.corpus)) {
    seeds.push_back(bytes_of_file(file));
    if (!is_read(reader, seeds.back(), file)) {
      return 1;
    }
  }
  for (std::uint64_t i = options.first; i < options.first + options.runs; ++i) {
    std::mt19937_64 random(i);
    Bytes input = mutated(seeds, random);
    if (reader.repair && random() % 8 != 0) {
      reader.repair(input);
    }
    if (!is_read(reader, input, "input " + std::to_string(i) + " (--first " + std::to_string(i) + " --runs 1)")) {
      return 1;
    }
  }
  std::cout << "fuzz " << reader.name << ": " << seeds.size() << " files and " << options.runs
            << " changed ones were read or refused\n";
  return 0;
}

}  // namespace
}  // namespace detent::fuzz

int main(int argc, char** argv) {
  try {
    detent::fuzz::set_limits();
    return detent::fuzz::run(detent::fuzz::options_of({argv + 1, argv + argc}));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
}
