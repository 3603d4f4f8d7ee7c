#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <new>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/recipes/shipped.h"

namespace detent::cli {

std::vector<Command> commands() {
  return {run_command(),     quantize_command(),    ls_command(),       eval_command(),      predict_command(),
          monitor_command(), convert_command(),     export_command(),   import_command(),    verify_command(),
          compare_command(), sensitivity_command(), allocate_command(), inspect_command(),   data_command(),
          bench_command(),   reproduce_command(),   repeat_command(),   report_command(),    same_command(),
          weights_command(), dump_command(),        version_command(),  completion_command()};
}

namespace {

std::string overview() {
  std::string text =
      "Detent trains networks whose numbers click into fixed positions: quantization-aware training, and an\n"
      "int8 model at the end that computes exactly what was trained.\n\nUsage:\n  detent COMMAND "
      "[names] [options]\n\nCommands:\n";
  for (const Command& command : commands()) {
    text += "  " + command.spec.name + std::string(13 - command.spec.name.size(), ' ') + command.spec.summary + "\n";
  }
  return text +
         "\nOptions:\n  -h, --help     Show this help; of a command: detent help COMMAND\n"
         "      --version  As the command version\n\nExample:\n"
         "  detent run mnist-cnn                   # train, quantize, convert, verify, report: runs/mnist-cnn/\n"
         "  detent predict runs/mnist-cnn/int8.h5 t10k-images-idx3-ubyte.gz\n";
}

bool is_recipe(const std::string& word) {
  return word.ends_with(".toml") ||
         std::ranges::count(recipes::shipped_recipes(), word, &recipes::ShippedRecipe::name) > 0;
}

int dispatch(std::vector<std::string> words) {
  if (words.size() == 2 && (words[0] == "help" || words[0] == "--help" || words[0] == "-h")) {
    words = {words[1], "--help"};
  }
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    print(overview());
    return words.empty() ? 2 : 0;
  }
  if (words[0] == "--version") {
    words[0] = "version";
  }
  std::vector<std::string> names{"--help", "--version"};
  for (const Command& command : commands()) {
    if (command.spec.name == words[0]) {
      const Arguments arguments(command.spec, {words.begin() + 1, words.end()});
      if (arguments.has("help")) {
        print(help_text(command.spec));
        return 0;
      }
      return command.run(arguments);
    }
    names.push_back(command.spec.name);
  }
  check(!is_recipe(words[0]), "unknown command '", words[0], "': it is a recipe; write detent run ",
        shell_quoted(words[0]));
  fail("unknown ", words[0].starts_with('-') ? "option" : "command", " '", words[0], "'", hint(words[0], names),
       " `detent --help` lists the commands");
}

// Names may hold anything, and the message is one line. Of what is longer than any path the end is left out.
std::string one_line(const std::string& text) {
  constexpr std::size_t kLongestWord = 4096;
  std::string line;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    std::size_t shown = std::min(end, begin + kLongestWord);
    for (int i = 0; i < 3 && shown < end && (static_cast<unsigned char>(text[shown]) & 0xC0U) == 0x80U; ++i) {
      --shown;  // within a letter of UTF-8
    }
    line += begin == 0 ? "" : " ";
    for (const char letter : text.substr(begin, shown - begin)) {
      const auto code = static_cast<unsigned char>(letter);
      line += code < 0x20 || code == 0x7f ? fmt::format("\\x{:02x}", code) : std::string(1, letter);
    }
    line += shown == end ? "" : fmt::format("... ({} more bytes)", end - shown);
    begin = end + 1;
  }
  return line;
}

int guarded(const std::vector<std::string>& words) {
  try {
    open_standard_streams();
    return dispatch(words);
  } catch (const Interrupted&) {
    print_error("detent: interrupted; no file was left half-written");
    return 130;
  } catch (const std::bad_alloc&) {
    print_error("detent: out of memory; use a smaller batch or model");
  } catch (const std::exception& error) {
    print_error(one_line(std::string("detent: ") + error.what()));
  }
  return 2;
}

}  // namespace
}  // namespace detent::cli

int main(int argc, char** argv) {
  detent::cli::watch_signals();
  return detent::cli::guarded({argv + 1, argv + argc});
}
