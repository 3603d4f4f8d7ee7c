#pragma once

#include <map>
#include <optional>
#include <vector>

#include "detent/nn/fusions.h"
#include "detent/quant/passes/copy_module.h"
#include "detent/quant/quantizers/fake_quant.h"

namespace detent::quant {

/// The note of a float module that no rule of the mapping keeps in float.
inline constexpr std::string_view kNoInt8Form = "has no int8 form";

/// The pass in progress: what became of the values of the source graph.
class Preparation {
 public:
  Preparation(const nn::Graph& source, const QConfigMapping& mapping, const Kinds& kinds, FakeQuant::State state);

  /// Throws Error as prepare says.
  nn::Graph run();

  const nn::Graph::Node& node(std::size_t index) const { return source_.nodes()[index]; }
  const nn::Graph::Node& node(nn::Graph::Handle source_value) const { return source_.node(source_value); }
  /// How this node is quantized; nullopt: it stays in float. Static quantization observes with MinMax.
  std::optional<QConfig> config(std::size_t index) const;
  FakeQuant::State state() const { return state_; }
  /// The nodes at which this node's module stands.
  const std::vector<std::size_t>& uses(std::size_t index) const { return uses_.at(node(index).module.get()); }
  /// What stands for this node's module in the result: one module, at however many nodes it stands.
  std::shared_ptr<nn::Module>& stand_in(std::size_t index) { return stand_ins_[node(index).module.get()]; }
  std::shared_ptr<nn::Module> copy(std::size_t index);

  /// The value of an input as codes of this configuration, or as real numbers, with a quantize or dequantize put in
  /// where it must be. Values that are codes already keep those of the module that made them.
  nn::Graph::Handle codes_of(nn::Graph::Handle source_value, const QConfig& config);
  nn::Graph::Handle reals_of(nn::Graph::Handle source_value);
  /// The codes that a value of the result can have: those of the quantizer that made it.
  CodeRange codes_at(nn::Graph::Handle value) const;
  /// Whether a module that changes no scale runs on codes: its input is codes, or an input of the model.
  bool reads_codes(std::size_t index) const {
    const nn::Graph::Handle input = node(index).inputs[0];
    return made_[input.index].is_codes || node(input).module == nullptr;
  }

  /// Adds `module` under the name of the first node of `chain`; it does the work of the whole chain.
  nn::Graph::Handle add(const std::vector<std::size_t>& chain, std::shared_ptr<nn::Module> module,
                        std::vector<nn::Graph::Handle> inputs, bool gives_codes);
  /// What node `index` takes in: of a product the batch norm and the ReLU behind it, of an add the ReLU.
  const nn::Fusion& fusion(std::size_t index) const { return fusions_[index]; }
  /// Keeps node `index` as it is, on real numbers.
  void keep_float(std::size_t index);

 private:
  struct Quantized {
    QuantizerSpec activation;
    RangeUse range;
    nn::Graph::Handle handle;
  };
  struct Made {
    bool is_codes = false;
    nn::Graph::Handle handle{0};
    std::optional<nn::Graph::Handle> reals = {};  ///< of codes
    std::vector<Quantized> quantized = {};        ///< of real numbers: one for each configuration that is asked for
  };
  void check_is_float() const;
  void check_uses(std::size_t index) const;
  std::string reason_of_float(std::size_t index) const;
  std::string free_name(const std::string& name) const;

  const nn::Graph& source_;
  const QConfigMapping& mapping_;
  const Kinds& kinds_;
  FakeQuant::State state_;
  nn::Graph result_;
  std::vector<Made> made_;           // by value of the source graph
  std::vector<bool> is_done_;        // by node of the source graph: it stands in the result, by itself or fused
  std::vector<nn::Fusion> fusions_;  // by node of the source graph
  std::map<const nn::Module*, std::vector<std::size_t>> uses_;
  std::map<const nn::Module*, std::shared_ptr<nn::Module>> stand_ins_;
};

/// Throws Error, beginning with `what`, for a rule that names no module of the graph.
void check_names(std::string_view what, const nn::Graph& graph, const QConfigMapping& mapping);

/// The rule of a module that changes no scale: `module` does its work on codes where its input is codes or the model's
/// input; else it stays in float.
void prepare_on_codes(Preparation& pass, std::size_t index, const QConfig& config, std::shared_ptr<nn::Module> module);
/// The same of one that is no other on codes than on real numbers.
void prepare_unchanged(Preparation& pass, std::size_t index, const QConfig& config);

}  // namespace detent::quant
