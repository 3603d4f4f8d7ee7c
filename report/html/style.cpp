#include "detent/report/html/style.h"

namespace detent::report::html {

const char* const kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --ink: #17191e; --soft: #59606c; --line: #e1e2e0; --faint: #eeeeeb;
  --accent: #0f5fb8; --accent-wash: #e8f0fa; --warn: #b4460f; --warn-wash: #fbeee6; --on-strong: #ffffff;
  --s1: #c2570c; --s2: #4d7c0f; --s3: #7c3fb0; --s4: #8a6d00; --s5: #0b7a83;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121417; --card: #1a1d22; --ink: #e9ebee; --soft: #a0a8b5; --line: #2d323a; --faint: #23272e;
    --accent: #74b3ff; --accent-wash: #1a2a40; --warn: #ff9b66; --warn-wash: #3a2418; --on-strong: #101216;
    --s1: #ff9b66; --s2: #a8d05a; --s3: #cfa4ff; --s4: #e6c34d; --s5: #5fd0d8;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
.wrap { max-width: 1180px; margin: 0 auto; padding: 0 24px; }
header { padding: 26px 0 18px; }
header p { margin: 0; }
.eyebrow { color: var(--soft); font-size: 13px; font-weight: 600; }
h1 { margin: 2px 0 4px; font-size: 32px; line-height: 1.15; letter-spacing: -0.02em; font-weight: 700; overflow-wrap: anywhere; }
h1 small { font-size: inherit; font-weight: 400; color: var(--soft); }
.meta { color: var(--soft); font-size: 14px; overflow-wrap: anywhere; }
h2 { margin: 0 0 8px; font-size: 22px; line-height: 1.25; letter-spacing: -0.01em; }
h3 { margin: 0 0 2px; font-size: 15px; line-height: 1.35; font-weight: 600; overflow-wrap: anywhere; }
section { margin: 44px 0 0; }
section > p { margin: -4px 0 14px; max-width: 74ch; color: var(--soft); }
.note { color: var(--soft); font-size: 13.5px; margin: 6px 0 0; max-width: 80ch; overflow-wrap: anywhere; }
a { color: var(--accent); }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.86em; }

.verdict {
  display: flex; gap: 18px; align-items: flex-start; margin: 0; padding: 20px 24px; border-radius: 14px;
  background: var(--accent-wash); border: 1px solid var(--accent);
}
.verdict.bad, .verdict.open { background: var(--warn-wash); border-color: var(--warn); }
.verdict.plain { background: var(--card); border-color: var(--line); }
.verdict svg { flex: none; width: 46px; height: 46px; }
.verdict h2 { font-size: 30px; letter-spacing: -0.02em; margin: 0; line-height: 1.2; }
.verdict p { margin: 4px 0 0; overflow-wrap: anywhere; }
.badge-disc { fill: var(--accent); } .bad .badge-disc, .open .badge-disc { fill: var(--warn); }
.plain .badge-disc { fill: var(--soft); }
.badge-sign { fill: none; stroke: var(--on-strong); stroke-width: 4.5; stroke-linecap: round; stroke-linejoin: round; }

.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 14px; margin-top: 14px; }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px; min-width: 0; }
.tile h3 { color: var(--soft); font-size: 14px; }
.tile p { margin: 0; font-size: 14px; color: var(--soft); overflow-wrap: anywhere; }
.tile .big { font-size: 34px; line-height: 1.2; font-weight: 700; letter-spacing: -0.025em; color: var(--ink); }
.tile .big.quiet { color: var(--soft); font-weight: 500; font-size: 22px; letter-spacing: 0; padding: 7px 0; }
.pair { display: grid; grid-template-columns: auto 1fr auto; gap: 3px 10px; align-items: center; margin-top: 10px; font-size: 13px; }
.pair span:nth-child(3n + 1) { color: var(--soft); }
.pair .bar { width: 100%; }

.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 14px; }
.cards.wide { grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr)); }
.card + .card, .cards + .cards, .scroll + .scroll, .cards + .scroll, .scroll + .cards, .note + .scroll { margin-top: 14px; }
.cards > .card, .duo > .card { margin-top: 0; }
.duo { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; margin-top: 14px; }
h3.inner { margin: 26px 0 8px; font-size: 17px; }
figure { margin: 0; }
figcaption { margin-bottom: 8px; }
figcaption p { margin: 0; color: var(--soft); font-size: 13.5px; }
.card svg { display: block; width: 100%; height: auto; }

.lists { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); gap: 6px 32px; margin-top: 16px; font-size: 14.5px; }
.lists ul { margin: 4px 0 0; padding: 0; list-style: none; }
.lists li { display: flex; gap: 9px; padding: 2px 0; overflow-wrap: anywhere; }
.lists li > span:last-child { min-width: 0; }
.sign { flex: none; font-weight: 700; color: var(--accent); } .sign.warn { color: var(--warn); }
nav { margin-top: 22px; padding-top: 12px; border-top: 1px solid var(--line); font-size: 14.5px; }
nav a { display: inline-block; margin-right: 20px; padding: 3px 0; text-decoration: none; }
nav a:hover { text-decoration: underline; }

.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.scroll:focus-visible, a:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 14.5px; }
caption { text-align: left; padding: 12px 16px 4px; font-weight: 600; font-size: 15px; }
th, td { padding: 9px 16px; text-align: right; vertical-align: middle; border-top: 1px solid var(--line); white-space: nowrap; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; font-size: 13px; vertical-align: bottom; }
caption span { display: inline-block; position: sticky; left: 16px; max-width: min(100%, calc(100vw - 62px)); }
th:first-child, td.text, th.text { text-align: left; }
tbody th { font-weight: 600; }
td.text, tbody th { white-space: normal; min-width: 13ch; max-width: 34ch; overflow-wrap: break-word; }
tr.main { background: var(--accent-wash); }
td small { color: var(--soft); }
td.wide { min-width: 110px; }
.bar { display: inline-block; vertical-align: middle; width: 110px; height: 9px; border-radius: 3px; background: var(--faint); overflow: hidden; }
.bar i { display: block; height: 100%; border-radius: 3px; background: var(--accent); }
.bar.warn i { background: var(--warn); } .bar.grey i { background: var(--soft); }
.warn-text { color: var(--warn); font-weight: 600; }
.whisker { width: 160px; height: 16px; vertical-align: middle; }

svg text { font-size: 11.5px; fill: var(--soft); }
svg text.name { font-size: 12.5px; font-weight: 600; fill: var(--ink); }
svg text.type { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 11.5px; fill: var(--ink); }
svg text.number { fill: var(--ink); } svg text.number.strong { fill: var(--on-strong); }
.axis { stroke: var(--soft); stroke-width: 1; } .gridline { stroke: var(--line); stroke-width: 1; }
.mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.thin { stroke-width: 1.5; } .thick { stroke-width: 3; stroke-linecap: round; }
line.s0, polyline.s0 { stroke: var(--accent); } circle.s0 { fill: var(--accent); }
line.s1, polyline.s1 { stroke: var(--s1); } circle.s1 { fill: var(--s1); }
line.s2, polyline.s2 { stroke: var(--s2); } circle.s2 { fill: var(--s2); }
line.s3, polyline.s3 { stroke: var(--s3); } circle.s3 { fill: var(--s3); }
line.s4, polyline.s4 { stroke: var(--s4); } circle.s4 { fill: var(--s4); }
line.s5, polyline.s5 { stroke: var(--s5); } circle.s5 { fill: var(--s5); }
.line.s1 { stroke-dasharray: 7 4; } .line.s2 { stroke-dasharray: 2 4; } .line.s3 { stroke-dasharray: 9 3 2 3; }
.line.s4 { stroke-dasharray: 12 4; } .line.s5 { stroke-dasharray: 4 2; }
.column { fill: var(--soft); } .reach { fill: var(--accent-wash); } .level { stroke: var(--accent); stroke-width: 0.9; fill: none; }
.then { fill: var(--soft); opacity: 0.45; } .now { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; } .beyond { fill: var(--warn); }
.cell { fill: var(--faint); } .right { fill: var(--accent); } .wrong { fill: var(--warn); }
.zero { stroke: var(--line); stroke-width: 2; } .span { stroke: var(--soft); stroke-width: 2; stroke-linecap: round; }
.dot { fill: var(--accent); } .dot.warn { fill: var(--warn); }
.box { fill: var(--card); stroke: var(--line); } .box.codes { fill: var(--accent-wash); stroke: var(--accent); }
.edge { fill: none; stroke: var(--soft); stroke-width: 1.3; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 6px; padding: 0; list-style: none; font-size: 13.5px; }
.legend li { display: flex; align-items: center; gap: 7px; overflow-wrap: anywhere; } .legend svg { flex: none; width: 24px; }

.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 12px; margin: 0; padding: 0; list-style: none; }
.gallery li { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px; font-size: 13.5px; line-height: 1.4; overflow-wrap: anywhere; }
.gallery img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 5px; background: #000; image-rendering: pixelated; margin-bottom: 8px; }
.gallery .sub { color: var(--soft); }
details { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
details > summary { padding: 12px 18px; cursor: pointer; font-weight: 600; }
details > :not(summary) { margin: 0 18px 16px; }
details + details, pre + details, .scroll + details, .cards + details { margin-top: 14px; }
pre { margin: 0; padding: 14px 18px; overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 12px; line-height: 1.5; tab-size: 2; }
details pre { border: 0; padding: 0; white-space: pre; }
.network { max-width: 440px; }
footer { margin: 56px 0 0; padding: 18px 0 40px; border-top: 1px solid var(--line); color: var(--soft); font-size: 13.5px; overflow-wrap: anywhere; }

@media (min-width: 760px) { .duo svg text, .cards.wide svg text { font-size: 9px; } .cards.wide svg text.name { font-size: 10px; } }
@media (max-width: 900px) { .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@media (max-width: 700px) { .duo { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 520px) {
  .wrap { padding: 0 14px; }
  header { padding: 18px 0 14px; }
  h1 { font-size: 26px; } .verdict h2 { font-size: 24px; } .tile .big { font-size: 26px; }
  .verdict { padding: 16px; gap: 14px; } .verdict svg { width: 36px; height: 36px; }
  .tiles { gap: 10px; } .tile { padding: 12px 14px; } .pair { gap: 3px 8px; }
  .pair .bar { display: none; } .pair { grid-template-columns: auto 1fr; } .pair span:last-child, .pair span:nth-child(3n) { text-align: right; }
  th, td { padding: 8px 10px; font-size: 13.5px; }
  svg text, svg text.type { font-size: 13px; } svg text.name { font-size: 13.5px; }
  .gallery { grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); }
}
@media print {
  :root {
    --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --faint: #eee; --accent: #0f5fb8;
    --accent-wash: #e8f0fa; --warn: #b4460f; --warn-wash: #fbeee6; --on-strong: #fff;
    --s1: #c2570c; --s2: #4d7c0f; --s3: #7c3fb0; --s4: #8a6d00; --s5: #0b7a83;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 12px; }
  nav { display: none; }
  .wrap { max-width: none; padding: 0; }
  .card, .tile, .gallery li, tr, .verdict { break-inside: avoid; }
  h2, caption { break-after: avoid; }
  .scroll, pre { overflow: visible; } pre, details pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  th, td { padding: 4px 8px; white-space: normal; }
  section { margin-top: 26px; }
}
)css";

}  // namespace detent::report::html
