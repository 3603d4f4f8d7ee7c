#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace detent::cli {

struct OptionSpec {
  std::string name;   ///< "out", or with a letter "o,out"
  std::string value;  ///< what help calls its value: "DIR", or all that it may be: "torch|onnx"; empty: a flag
  std::string help;
};

/// What a subcommand takes.
struct CommandSpec {
  std::string name;         ///< "run"
  std::string positionals;  ///< as help shows them: "RECIPE"
  std::size_t min_positionals = 0;
  std::size_t max_positionals = 0;
  std::string summary;  ///< one line
  std::string example;  ///< one or more command lines
  std::vector<OptionSpec> options;
  bool takes_empty = false;  ///< positionals may be empty texts
  std::vector<std::pair<std::string, std::string>> names =
      {};  ///< what help says of labels of its own: {"FILE", "..."}
};

/// A command line, taken apart.
class Arguments {
 public:
  /// Throws Error in one line, with the nearest word, for an unknown option, a value that is missing, empty or none of
  /// those that there are, too few or many positionals.
  Arguments(const CommandSpec& spec, const std::vector<std::string>& words);

  const std::vector<std::string>& positionals() const { return positionals_; }
  /// The command line, as a shell takes it: "detent run mnist-cnn --seed 2".
  const std::string& command() const { return command_; }
  bool has(const std::string& option) const { return values_.contains(option); }
  /// The last value given.
  std::optional<std::string> text(const std::string& option) const;
  /// All values given, in order.
  std::vector<std::string> texts(const std::string& option) const;
  /// Throws Error unless it is a whole number in [min, max].
  std::int64_t whole(const std::string& option, std::int64_t value, std::int64_t min, std::int64_t max) const;
  /// Throws Error unless it is a number in [min, max].
  std::optional<double> number(const std::string& option, double min, double max) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> positionals_;
  std::string command_;
};

/// The word as a shell takes it: in quotes where it needs them.
std::string shell_quoted(const std::string& word);

/// What to say behind a word that is none of `known`: "; did you mean '--seed'?", or ";" where none is like it.
std::string hint(const std::string& word, const std::vector<std::string>& known);

/// "output" of "o,output".
std::string long_name(const std::string& option);
/// All that a value may be: "torch", "onnx" of "torch|onnx"; of other labels, such as "DIR", nothing.
std::vector<std::string> choices_of(const std::string& label);
/// "torch, onnx or tflite".
std::string listed(const std::vector<std::string>& choices);

/// What `detent CMD --help` prints.
std::string help_text(const CommandSpec& spec);

/// Of the library that parses: "3.1.1".
std::string cxxopts_version();

}  // namespace detent::cli
