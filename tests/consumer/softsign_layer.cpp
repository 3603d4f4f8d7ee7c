// An operation of one's own in recipes: layers = ["linear 16", "softsign", "linear 3"].
#include "parts.h"
#include "softsign.h"

namespace consumer {

using namespace detent;

void add_softsign_layer(recipes::Layers& layers) {
  layers["softsign"] = {.stem = "softsign",
                        .make = [](recipes::LayerText&, const recipes::LayerContext&) -> std::shared_ptr<nn::Module> {
                          return std::make_shared<Softsign>();
                        }};
}

}  // namespace consumer
