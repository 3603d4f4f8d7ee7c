#pragma once

#include "detent/recipes/section_reader.h"
#include "detent/train/settings.h"

/// How [quantize] and [qat] are read beyond what sections.h says of their keys.
namespace detent::recipes {

void read(SectionReader in, train::QuantizeSettings& quantize);
void read(SectionReader in, train::QatSettings& qat, const train::TrainSettings& train);

}  // namespace detent::recipes
