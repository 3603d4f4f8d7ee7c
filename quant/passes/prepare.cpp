#include "detent/quant/passes/prepare.h"

#include "detent/quant/passes/preparation.h"

namespace detent::quant {

nn::Graph prepare_qat(const nn::Graph& graph, const QConfigMapping& mapping, const Kinds& kinds) {
  return Preparation(graph, mapping, kinds, FakeQuant::State::Observing).run();
}

nn::Graph prepare(const nn::Graph& graph, const QConfigMapping& mapping, const Kinds& kinds) {
  return Preparation(graph, mapping, kinds, FakeQuant::State::Calibrating).run();
}

}  // namespace detent::quant
