#include "detent/quant/kinds/observed_output.h"

namespace detent::quant {

using nlohmann::json;

json output_options(const FakeQuant& output, RangeUse range) {
  json options{{"activation", to_json(output.config(), output.state())}};
  options["range"] = range == RangeUse::Current ? "current" : "previous";
  return options;
}

OutputOptions take_output_options(json& options, std::string_view kind) {
  OutputOptions read{activation_options_from_json(object_at(options, "activation", kind)), RangeUse::Previous};
  const json range = options.value("range", json("previous"));
  check(range == "previous" || range == "current", kind, ": range: expected previous or current, got ", range.dump());
  read.range = range == "current" ? RangeUse::Current : RangeUse::Previous;
  options.erase("activation");
  options.erase("range");
  return read;
}

}  // namespace detent::quant
