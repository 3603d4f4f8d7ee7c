#pragma once

#include "detent/interchange/c/program.h"

namespace detent::interchange::c {

/// Places the values of a program, whose model, entries, result and steps are known: addresses, scratch and the arena.
void place_values(Program& program);

}  // namespace detent::interchange::c
