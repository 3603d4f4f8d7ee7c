#include "detent/evaluation/allocate.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "detent/core/error.h"

namespace detent::evaluation {
namespace {

using Things = std::span<const std::vector<Choice>>;

bool is_lighter(const Choice& a, const Choice& b) { return a.weight < b.weight; }

void choose(Things things, Selection& selection, std::size_t thing, std::size_t form) {
  selection.weight += things[thing][form].weight - things[thing][selection.chosen[thing]].weight;
  selection.chosen[thing] = form;
}

void sum_values(Things things, Selection& selection) {
  selection.value = 0.0;
  for (std::size_t i = 0; i < things.size(); ++i) {
    selection.value += things[i][selection.chosen[i]].value;
  }
}

/// Forms of the first so many things.
struct Partial {
  std::int64_t weight = 0;
  double value = 0.0;
  std::size_t before = 0;  ///< the partial selection of one thing less
  std::size_t form = 0;
};

/// The partial selections that no other beats, by rising weight and falling value.
std::vector<Partial> without_beaten(std::vector<Partial> all) {
  std::ranges::sort(all, {}, [](const Partial& p) { return std::tuple(p.weight, p.value, p.before, p.form); });
  std::vector<Partial> best;
  for (const Partial& partial : all) {
    if (best.empty() || partial.value < best.back().value) {
      best.push_back(partial);
    }
  }
  return best;
}

/// REQUIRES: the lightest selection is within the limit. nullopt: there are more than `most` partial selections.
std::optional<Selection> select_exactly(Things things, std::int64_t limit, std::int64_t lightest, std::size_t most) {
  std::vector<std::vector<Partial>> fronts{{Partial{}}};
  for (const std::vector<Choice>& forms : things) {
    lightest -= std::ranges::min_element(forms, is_lighter)->weight;  // now of the things behind this one
    std::vector<Partial> next;
    for (std::size_t before = 0; before < fronts.back().size(); ++before) {
      const Partial& partial = fronts.back()[before];
      for (std::size_t form = 0; form < forms.size(); ++form) {
        const std::int64_t weight = partial.weight + forms[form].weight;
        if (weight <= limit - lightest) {
          next.push_back({weight, partial.value + forms[form].value, before, form});
        }
      }
    }
    fronts.push_back(without_beaten(std::move(next)));
    if (fronts.back().size() > most) {
      return std::nullopt;
    }
  }
  const Partial* partial = &fronts.back().back();
  Selection selection{
      .chosen = std::vector<std::size_t>(things.size()), .weight = partial->weight, .value = partial->value};
  for (std::size_t thing = things.size(); thing-- > 0;) {
    selection.chosen[thing] = partial->form;
    partial = &fronts[thing][partial->before];
  }
  selection.is_exact = true;
  return selection;
}

/// Calls use(thing, form, weight, value) for every change of one thing, with what the sums change by.
template <typename Use>
void for_each_change(Things things, const Selection& selection, Use use) {
  for (std::size_t thing = 0; thing < things.size(); ++thing) {
    const Choice& now = things[thing][selection.chosen[thing]];
    for (std::size_t form = 0; form < things[thing].size(); ++form) {
      const Choice& other = things[thing][form];
      use(thing, form, other.weight - now.weight, other.value - now.value);
    }
  }
}

/// REQUIRES: the lightest selection is within the limit.
Selection select_greedily(Things things, std::int64_t limit) {
  Selection selection{.chosen = std::vector<std::size_t>(things.size(), 0)};
  for (std::size_t i = 0; i < things.size(); ++i) {
    const auto best =
        std::ranges::min_element(things[i], {}, [](const Choice& c) { return std::tuple(c.value, c.weight); });
    selection.chosen[i] = static_cast<std::size_t>(best - things[i].begin());
    selection.weight += best->weight;
  }
  struct Change {
    double cost = std::numeric_limits<double>::infinity();
    std::size_t thing = 0, form = 0;
  };
  while (selection.weight > limit) {
    Change least;
    for_each_change(things, selection, [&](std::size_t thing, std::size_t form, std::int64_t weight, double value) {
      if (weight < 0 && value / static_cast<double>(-weight) < least.cost) {
        least = {value / static_cast<double>(-weight), thing, form};
      }
    });
    choose(things, selection, least.thing, least.form);
  }
  for (Change best{.cost = -1.0}; best.cost < 0.0;) {
    best = {.cost = 0.0};
    for_each_change(things, selection, [&](std::size_t thing, std::size_t form, std::int64_t weight, double value) {
      if (value < best.cost && weight <= limit - selection.weight) {
        best = {value, thing, form};
      }
    });
    if (best.cost < 0.0) {
      choose(things, selection, best.thing, best.form);
    }
  }
  sum_values(things, selection);
  return selection;
}

/// The points that each layer can have, as indices.
std::vector<std::vector<std::size_t>> points_of(const Sensitivity& sensitivity, Ends ends) {
  std::vector<std::vector<std::size_t>> points(sensitivity.layers.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    const LayerSensitivity& layer = sensitivity.layers[i];
    const bool is_end = i == 0 || i + 1 == points.size();
    for (std::size_t point = 0; point < layer.points.size(); ++point) {
      if (ends == Ends::AsOthers || !is_end || layer.points[point].bits == 8) {
        points[i].push_back(point);
      }
    }
    check(!points[i].empty(), "allocate: ", layer.names.front(), " is to have 8 bits, which were not measured");
  }
  return points;
}

std::int64_t bytes_of(const LayerSensitivity& layer, std::size_t point) {
  return layer.size.bytes(layer.points[point].bits);
}

std::int64_t drop_of(const Sensitivity& sensitivity, std::size_t layer, std::size_t point) {
  return std::max<std::int64_t>(0, sensitivity.drop(sensitivity.layers[layer].points[point].score));
}

/// The choice of `choice_of(layer, point)`; nullopt: there is none within the limit.
template <typename ChoiceOf>
std::optional<Allocation> allocate(const Sensitivity& sensitivity, std::int64_t limit, Ends ends, ChoiceOf choice_of) {
  const std::vector<std::vector<std::size_t>> points = points_of(sensitivity, ends);
  std::vector<std::vector<Choice>> things(points.size());
  for (std::size_t layer = 0; layer < points.size(); ++layer) {
    for (const std::size_t point : points[layer]) {
      things[layer].push_back(choice_of(layer, point));
    }
  }
  const std::optional<Selection> selection = select(things, limit);
  if (!selection) {
    return std::nullopt;
  }
  Allocation result{.points = {}, .is_exact = selection->is_exact};
  for (std::size_t layer = 0; layer < points.size(); ++layer) {
    const std::size_t point = points[layer][selection->chosen[layer]];
    const LayerSensitivity& measured = sensitivity.layers[layer];
    result.points.push_back(point);
    result.bytes += bytes_of(measured, point);
    result.float_bytes += measured.size.float_bytes();
    result.loss_increase += sensitivity.loss_increase(measured.points[point].score);
    result.drop += drop_of(sensitivity, layer, point);
  }
  return result;
}

}  // namespace

std::optional<Selection> select(Things things, std::int64_t limit, std::size_t most) {
  std::int64_t lightest = 0;
  for (const std::vector<Choice>& forms : things) {
    check(!forms.empty(), "select: a thing has no form to choose");
    lightest += std::ranges::min_element(forms, is_lighter)->weight;
  }
  if (lightest > limit) {
    return std::nullopt;
  }
  const std::optional<Selection> exact = select_exactly(things, limit, lightest, most);
  return exact ? *exact : select_greedily(things, limit);
}

Allocation allocate_by_size(const Sensitivity& sensitivity, std::int64_t budget, Ends ends) {
  const std::optional<Allocation> found =
      allocate(sensitivity, budget, ends, [&](std::size_t layer, std::size_t point) -> Choice {
        const LayerSensitivity& measured = sensitivity.layers[layer];
        return {bytes_of(measured, point), sensitivity.loss_increase(measured.points[point].score)};
      });
  if (!found) {
    const Allocation least = allocate_by_drop(sensitivity, std::numeric_limits<std::int64_t>::max(), ends);
    fail("allocate: the layers take at least ", least.bytes, " bytes of ", least.float_bytes, " in float, more than ",
         budget, "; allow that much, or fewer bits");
  }
  return *found;
}

Allocation allocate_by_drop(const Sensitivity& sensitivity, std::int64_t max_drop, Ends ends) {
  const std::optional<Allocation> found =
      allocate(sensitivity, max_drop, ends, [&](std::size_t layer, std::size_t point) -> Choice {
        return {drop_of(sensitivity, layer, point), static_cast<double>(bytes_of(sensitivity.layers[layer], point))};
      });
  if (!found) {
    std::int64_t least = 0;
    const std::vector<std::vector<std::size_t>> points = points_of(sensitivity, ends);
    for (std::size_t layer = 0; layer < points.size(); ++layer) {
      const auto drop = [&](std::size_t point) { return drop_of(sensitivity, layer, point); };
      least += drop(*std::ranges::min_element(points[layer], {}, drop));
    }
    const char* const what = sensitivity.targets() == data::TargetKind::kValues ? " millionths of R2" : " examples";
    fail("allocate: the layers drop at least ", least, " of ", sensitivity.whole(), what, ", more than ", max_drop,
         "; allow that much, or more bits");
  }
  return *found;
}

}  // namespace detent::evaluation
