#pragma once

#include <cstddef>
#include <string>

#include "detent/evaluation/progress.h"

namespace detent::cli {

/// How many characters a line on standard error may have: those of the terminal's width now, or else of $COLUMNS, or
/// else of 80, but for the last, where terminals go on to the next line.
std::size_t terminal_room();

/// "float epoch 1/2  loss 0.1234  accuracy 98.76 %  12345 examples/s  1:02 min" in at most `room` characters: what
/// matters least is left out first.
std::string epoch_line(const evaluation::Progress& progress, std::size_t room);

/// "float epoch 1/2  [######......]  loss 0.1234  accuracy 98.76 %  12345 examples/s  7 s left", likewise. The bar
/// takes what room there is.
std::string bar_line(const evaluation::Progress& progress, std::size_t room);

}  // namespace detent::cli
