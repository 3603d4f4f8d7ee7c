#pragma once

#include "detent/recipes/run.h"

/// The parts of this program's own, a file each. docs/extending.md explains them.
namespace consumer {

void add_softsign(detent::quant::Kinds& kinds);            // softsign.cpp: a module kind with an int8 form
void add_softsign_layer(detent::recipes::Layers& layers);  // softsign_layer.cpp: its operation in recipes
void add_two_sigma();                                      // two_sigma.cpp: a range rule
void add_coarse();                                         // coarse.cpp: a quantizer whose scales have few bits
void add_points(detent::data::Readers& readers);           // points.cpp: a data format

}  // namespace consumer
