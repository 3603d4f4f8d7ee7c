#include "detent/data/digits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <sstream>
#include <vector>

#include "detent/core/threads/parallel.h"
#include "detent/data/digit_strokes.h"

namespace detent::data {
namespace {

constexpr std::size_t kSize = static_cast<std::size_t>(kDigitSize);
constexpr float kBox = 20.0F;  // the ink is fitted into a square of this many pixels
constexpr std::int64_t kImagesPerSlice = 64;

/// A piece of a stroke after all distortions, in pixels, with the radius of the pen at both ends.
struct Segment {
  float x0, y0, x1, y1;
  float r0, r1;
};

/// About standard normal, by exactly rounded operations alone: the sum of four uniform numbers.
float bell(RandomStream& random) {
  float sum = 0.0F;
  for (int i = 0; i < 4; ++i) {
    sum += random.uniform();
  }
  return (sum - 2.0F) * 1.7320508F;
}

const DigitStyle& choose_style(int digit, RandomStream& random) {
  const std::span<const DigitStyle> styles = digit_styles(digit);
  float total = 0.0F;
  for (const DigitStyle& style : styles) {
    total += style.weight;
  }
  float left = random.uniform(0.0F, total);
  for (const DigitStyle& style : styles) {
    left -= style.weight;
    if (left < 0.0F) {
      return style;
    }
  }
  return styles.back();
}

/// Moves every point of a style by itself; equal points stay equal.
std::vector<Stroke> jittered(const DigitStyle& style, float size, RandomStream& random) {
  std::vector<Stroke> strokes = style.strokes;
  std::vector<std::pair<StrokePoint, StrokePoint>> moved;
  for (Stroke& stroke : strokes) {
    for (StrokePoint& point : stroke) {
      const auto known = std::ranges::find(moved, point, [](const auto& pair) { return pair.first; });
      if (known != moved.end()) {
        point = known->second;
        continue;
      }
      const StrokePoint to{point.x + size * bell(random), point.y + size * bell(random)};
      moved.emplace_back(point, to);
      point = to;
    }
  }
  return strokes;
}

StrokePoint catmull_rom(const StrokePoint& a, const StrokePoint& b, const StrokePoint& c, const StrokePoint& d,
                        float t) {
  const auto along = [t](float p0, float p1, float p2, float p3) {
    return 0.5F * (2.0F * p1 +
                   t * (p2 - p0 + t * (2.0F * p0 - 5.0F * p1 + 4.0F * p2 - p3 + t * (3.0F * (p1 - p2) + p3 - p0))));
  };
  return {along(a.x, b.x, c.x, d.x), along(a.y, b.y, c.y, d.y)};
}

/// Appends the smooth curve through `points` (at least two) to `line`.
void append_curve(std::span<const StrokePoint> points, std::vector<StrokePoint>& line) {
  constexpr int kSteps = 8;
  const std::size_t last = points.size() - 1;
  const bool is_closed = points.size() > 3 && points[0] == points[last];
  line.push_back(points[0]);
  for (std::size_t i = 0; i < last; ++i) {
    const StrokePoint& before = i > 0 ? points[i - 1] : is_closed ? points[last - 1] : points[0];
    const StrokePoint& after = i + 2 <= last ? points[i + 2] : is_closed ? points[1] : points[last];
    for (int step = 1; step <= kSteps; ++step) {
      line.push_back(catmull_rom(before, points[i], points[i + 1], after, static_cast<float>(step) / kSteps));
    }
  }
}

std::vector<StrokePoint> flattened(const Stroke& stroke) {
  std::vector<StrokePoint> line;
  std::size_t begin = 0;
  for (std::size_t i = 1; i <= stroke.size(); ++i) {
    if (i == stroke.size() || stroke[i] == stroke[i - 1]) {
      append_curve(std::span(stroke).subspan(begin, i - begin), line);
      begin = i;
    }
  }
  return line;
}

/// The pen comes down or leaves early or late: cuts a little off an end, or lets it run on straight. What is missing
/// makes another digit sooner than what is added, so the cuts are the smaller.
void vary_ends(std::vector<StrokePoint>& line, RandomStream& random) {
  for (int end = 0; end < 2; ++end) {
    const float share = 0.08F * bell(random);
    if (share > 0.0F) {
      const float points = 0.35F * share * static_cast<float>(line.size());
      const std::size_t cut = std::min(static_cast<std::size_t>(points), line.size() / 4);
      line.erase(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(cut));
    } else if (line.size() > 2) {
      const StrokePoint& a = line[0];
      const StrokePoint& b = line[2];
      const float dx = a.x - b.x;
      const float dy = a.y - b.y;
      const float length = std::sqrt(dx * dx + dy * dy) + 1.0F;
      const float on = -120.0F * share / length;
      line.insert(line.begin(), StrokePoint{a.x + on * dx, a.y + on * dy});
    }
    std::ranges::reverse(line);
  }
}

/// Distortions that act on the whole digit, drawn once an image. Points come with the origin at the digit's centre and
/// about 1 high.
class Bend {
 public:
  Bend(int digit, RandomStream& random) {
    // Handwriting leans to the right more often than to the left; lines that stand alone lean most.
    shear_ = digit == 1 ? 0.25F + 0.30F * bell(random) : std::clamp(0.2F + 0.2F * bell(random), -0.3F, 0.7F);
    turn_ = 0.05F * bell(random);
    width_ = std::clamp((digit == 0 ? 1.25F : 1.1F) + 0.18F * bell(random), 0.75F, 1.7F);
    taper_ = 0.18F * bell(random);
    middle_ = 0.22F * bell(random);
    bow_ = 0.10F * bell(random);
    tilt_ = 0.08F * bell(random);
    for (auto& wave : waves_) {
      wave = {random.uniform(-1.0F, 1.0F), random.uniform(-1.0F, 1.0F), 0.055F * bell(random), 0.055F * bell(random)};
    }
  }

  StrokePoint operator()(StrokePoint p) const {
    // The middle goes up or down; the top is wider than the bottom or narrower; the axis is bent.
    p.y += middle_ * (0.25F - p.y * p.y);
    p.x = p.x * width_ * (1.0F + taper_ * p.y) + bow_ * (p.y * p.y - 0.1F);
    for (const Wave& wave : waves_) {
      const float s = hump(wave.u * 4.0F * p.x + wave.v * 4.0F * p.y + wave.u);
      p.x += wave.dx * s;
      p.y += wave.dy * s;
    }
    p.x -= shear_ * p.y;
    p.y += tilt_ * p.x;
    // A rotation by the half-angle form: no trigonometry, exact lengths.
    const float scale = 1.0F / (1.0F + turn_ * turn_);
    const float cosine = (1.0F - turn_ * turn_) * scale;
    const float sine = 2.0F * turn_ * scale;
    return {cosine * p.x - sine * p.y, sine * p.x + cosine * p.y};
  }

 private:
  struct Wave {
    float u, v, dx, dy;
  };
  /// A smooth wave between -1 and 1, by exactly rounded operations.
  static float hump(float t) { return 2.0F * t / (1.0F + t * t); }

  float shear_, turn_, width_, taper_, middle_, bow_, tilt_;
  std::array<Wave, 4> waves_;
};

/// The digit's strokes in pixels: the ink, pen included, fills the box as far as its proportions let it.
std::vector<Segment> sketch(int digit, RandomStream& random) {
  const DigitStyle& style = choose_style(digit, random);
  const Bend bend(digit, random);
  // Single lines are inked more heavily, as there is nothing to fill up.
  const float radius = digit == 1 ? std::clamp(1.5F + 0.5F * bell(random), 0.7F, 3.0F)
                                  : std::clamp(1.28F + 0.4F * bell(random), 0.7F, 2.3F);
  const float pressure = 0.15F * bell(random);
  const float jitter = random.uniform(0.5F, 4.0F);

  std::vector<std::vector<StrokePoint>> lines;
  StrokePoint low{1e9F, 1e9F};
  StrokePoint high{-1e9F, -1e9F};
  for (const Stroke& stroke : jittered(style, jitter, random)) {
    std::vector<StrokePoint> line = flattened(stroke);
    vary_ends(line, random);
    for (StrokePoint& point : line) {
      point = bend({(point.x - 30.0F) / 100.0F, (point.y - 50.0F) / 100.0F});
      low = {std::min(low.x, point.x), std::min(low.y, point.y)};
      high = {std::max(high.x, point.x), std::max(high.y, point.y)};
    }
    lines.push_back(std::move(line));
  }

  const float scale = (kBox - 2.0F * radius) / std::max({high.x - low.x, high.y - low.y, 0.1F});
  const float middle_x = 0.5F * (low.x + high.x);
  const float middle_y = 0.5F * (low.y + high.y);
  const auto place = [&](const StrokePoint& p) {
    return StrokePoint{(p.x - middle_x) * scale + 0.5F * kSize, (p.y - middle_y) * scale + 0.5F * kSize};
  };
  std::vector<Segment> segments;
  for (const auto& line : lines) {
    for (std::size_t i = 1; i < line.size(); ++i) {
      const StrokePoint a = place(line[i - 1]);
      const StrokePoint b = place(line[i]);
      const auto pen = [&](std::size_t at) {
        return radius * (1.0F + pressure * (2.0F * static_cast<float>(at) / static_cast<float>(line.size()) - 1.0F));
      };
      segments.push_back({a.x, a.y, b.x, b.y, pen(i - 1), pen(i)});
    }
  }
  return segments;
}

/// Inks a segment: each pixel takes the share that the pen covers of it, estimated from the distance of its centre;
/// `grain` moves the edge of the ink a little at every pixel.
void ink(const Segment& s, float softness, const std::array<float, kSize * kSize>& grain,
         std::array<float, kSize * kSize>& coverage) {
  const float reach = std::max(s.r0, s.r1) + softness + 0.5F;
  const auto first = [&](float v) {
    return static_cast<std::size_t>(std::clamp(v - reach - 0.5F, 0.0F, kSize - 1.0F));
  };
  const auto last = [&](float v) { return static_cast<std::size_t>(std::clamp(v + reach + 0.5F, 0.0F, kSize - 1.0F)); };
  const float dx = s.x1 - s.x0;
  const float dy = s.y1 - s.y0;
  const float inverse = 1.0F / std::max(dx * dx + dy * dy, 1e-12F);
  for (std::size_t row = first(std::min(s.y0, s.y1)); row <= last(std::max(s.y0, s.y1)); ++row) {
    for (std::size_t column = first(std::min(s.x0, s.x1)); column <= last(std::max(s.x0, s.x1)); ++column) {
      const float px = static_cast<float>(column) + 0.5F - s.x0;
      const float py = static_cast<float>(row) + 0.5F - s.y0;
      const float t = std::clamp((px * dx + py * dy) * inverse, 0.0F, 1.0F);
      const float ox = px - t * dx;
      const float oy = py - t * dy;
      const float distance = std::sqrt(ox * ox + oy * oy);
      const float covered =
          (s.r0 + t * (s.r1 - s.r0) - distance + grain[row * kSize + column]) / (2.0F * softness) + 0.5F;
      float& pixel = coverage[row * kSize + column];
      pixel = std::max(pixel, std::min(covered, 1.0F));
    }
  }
}

/// How far to move an image so that its centre of mass lies in the middle, in whole pixels.
std::ptrdiff_t offset_to_middle(float mass, float moment) {
  return static_cast<std::ptrdiff_t>(std::floor(0.5F * kSize - moment / std::max(mass, 1e-6F) + 0.5F));
}

Dataset make_part(const char* part, std::int64_t count, std::uint64_t seed) {
  check(count >= 10, "digits: ", part, ": expected at least 10 images, got ", count);
  Dataset dataset{std::string("digits ") + part, Tensor::empty({count, kDigitSize, kDigitSize, 1}, DType::U8),
                  Tensor::empty({count}, DType::S32), 10};
  const std::span<std::int32_t> labels = dataset.labels.data<std::int32_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<std::int32_t>(i % 10);
  }
  RandomStream order(seed, std::string("digits/order/") + part);
  for (std::size_t left = labels.size(); left > 1; --left) {
    std::swap(labels[left - 1], labels[order.index(static_cast<std::uint32_t>(left))]);
  }
  const std::string purpose = std::string("digits/") + part;
  const Slices slices = slice_rows(count, kImagesPerSlice);
  const std::span<std::uint8_t> images = dataset.examples.data<std::uint8_t>();
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t i = slices[slice].begin; i < slices[slice].end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      RandomStream random(seed, purpose, at);
      draw_digit(labels[at], random, images.subspan(at * kSize * kSize, kSize * kSize));
    }
  });
  return dataset;
}

}  // namespace

void draw_digit(int digit, RandomStream& random, std::span<std::uint8_t> image) {
  check(digit >= 0 && digit <= 9, "digits: expected a digit of 0 to 9, got ", digit);
  check(image.size() == kSize * kSize, "digits: expected room for ", kSize * kSize, " pixels, got ", image.size());
  const std::vector<Segment> segments = sketch(digit, random);
  const float softness = random.uniform(0.45F, 0.7F);
  std::array<float, kSize * kSize> grain{};
  const float roughness = random.uniform(0.0F, 0.25F);
  std::ranges::generate(grain, [&] { return random.uniform(-roughness, roughness); });
  std::array<float, kSize * kSize> coverage{};
  for (const Segment& segment : segments) {
    ink(segment, softness, grain, coverage);
  }
  float mass = 0.0F;
  float moment_x = 0.0F;
  float moment_y = 0.0F;
  for (std::size_t i = 0; i < coverage.size(); ++i) {
    mass += coverage[i];
    moment_x += coverage[i] * (static_cast<float>(i % kSize) + 0.5F);
    moment_y += coverage[i] * (static_cast<float>(i / kSize) + 0.5F);
  }
  const std::ptrdiff_t right = offset_to_middle(mass, moment_x);
  const std::ptrdiff_t down = offset_to_middle(mass, moment_y);
  const auto size = static_cast<std::ptrdiff_t>(kSize);
  for (std::ptrdiff_t y = 0; y < size; ++y) {
    for (std::ptrdiff_t x = 0; x < size; ++x) {
      const std::ptrdiff_t from_x = x - right;
      const std::ptrdiff_t from_y = y - down;
      const bool is_inside = from_x >= 0 && from_x < size && from_y >= 0 && from_y < size;
      const float covered = is_inside ? coverage[static_cast<std::size_t>(from_y * size + from_x)] : 0.0F;
      image[static_cast<std::size_t>(y * size + x)] = static_cast<std::uint8_t>(255.0F * covered + 0.5F);
    }
  }
}

DataSource make_digits(const DigitsOptions& options) {
  DataSource source;
  source.train = make_part("train", options.train, options.seed);
  source.test = make_part("test", options.test, options.seed);
  source.is_builtin = true;
  std::ostringstream text;
  text << "built-in digits, drawn by the program (seed " << options.seed << "): " << options.train << " training and "
       << options.test << " test images";
  source.name = "digits";
  source.description = text.str();
  return source;
}

}  // namespace detent::data
