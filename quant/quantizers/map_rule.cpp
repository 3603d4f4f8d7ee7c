#include "detent/quant/quantizers/map_rule.h"

#include <cmath>
#include <map>
#include <mutex>

#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/quantizer_spec.h"

namespace detent::quant {
namespace {

ScaleZero power_of_two(const MinMax& range, CodeRange codes, Scheme scheme) {
  int exponent = 0;
  const float mantissa = std::frexp(choose_qparams(range.min, range.max, codes, scheme).scale, &exponent);
  return qparams_of_scale(range.min, std::ldexp(1.0F, mantissa == 0.5F ? exponent - 1 : exponent), codes, scheme);
}

/// Rows are never removed, so that a rule that was found stays.
struct MapRules {
  std::mutex mutex;
  std::map<std::string, MapRule, std::less<>> rows{{"power-of-two", &power_of_two}};
};

MapRules& map_rules() {
  static MapRules rules;
  return rules;
}

const MapRule* find(std::string_view name) {
  MapRules& rules = map_rules();
  const std::lock_guard lock(rules.mutex);
  const auto row = rules.rows.find(name);
  return row == rules.rows.end() ? nullptr : &row->second;
}

}  // namespace

void register_map_rule(std::string name, MapRule rule) {
  check_quantizer_name("map rule", name);
  check(rule != nullptr, "map rule: '", name, "' has no function");
  MapRules& rules = map_rules();
  const std::lock_guard lock(rules.mutex);
  rules.rows.emplace(std::move(name), std::move(rule));
}

std::vector<std::string> map_rule_names() {
  MapRules& rules = map_rules();
  const std::lock_guard lock(rules.mutex);
  std::vector<std::string> names;
  for (const auto& [name, rule] : rules.rows) {
    names.push_back(name);
  }
  return names;
}

bool is_map_rule(std::string_view name) { return find(name) != nullptr; }

ScaleZero map_of_range(std::string_view name, const MinMax& range, CodeRange codes, Scheme scheme) {
  if (name.empty()) {
    return choose_qparams(range.min, range.max, codes, scheme);
  }
  const MapRule* const rule = find(name);
  check(rule != nullptr, "map rule: there is none called '", name, "'; register it first");
  const ScaleZero map = (*rule)(range, codes, scheme);
  check(std::isfinite(map.scale) && map.scale >= 0x1p-60F && codes.qmin <= map.zero_point &&
            map.zero_point <= codes.qmax && (scheme == Scheme::Affine || map.zero_point == 0),
        "map rule: '", name, "' gave the scale ", map.scale, " and the zero point ", map.zero_point,
        ", which are no map of these codes");
  return map;
}

}  // namespace detent::quant
