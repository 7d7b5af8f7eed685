/** Bars, drawn as SVG and CSS; what they show is also there as text. */

import { el } from "./dom.js";
import { number } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 120;
/** More bars than this are too thin to hit: days are put together to weeks, then months. */
const MOST_BARS = 92;
const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });
const DATE = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** Put days together to weeks or 30 days where there are too many. `days`: [{date, value}], the oldest first. */
export function bins(days) {
  const size = [1, 7, 30].find((one) => days.length / one <= MOST_BARS) ?? Math.ceil(days.length / MOST_BARS);
  const result = [];
  // From the end, so that the last bin is a whole one.
  for (let end = days.length; end > 0; end -= size) {
    const part = days.slice(Math.max(0, end - size), end);
    const value = part.reduce((sum, one) => sum + one.value, 0);
    result.unshift({ first: part[0].date, last: part.at(-1).date, value });
  }
  return result;
}

/** A figure with a bar a day (or week, or month). `label` says what is counted; `noun` what one of it is called. */
export function dayChart(days, { label, noun }) {
  const bars = bins(days);
  const most = Math.max(1, ...bars.map(({ value }) => value));
  const drawn = bars.map(({ value, ...span }, index) => {
    // A bar of one among thousands is still seen.
    const height = value ? Math.max(2, (value / most) * HEIGHT) : 0;
    const place = { x: index + 0.12, y: HEIGHT - height, width: 0.76, height };
    const hit = { x: index, y: 0, width: 1, height: HEIGHT, class: "chart-hit" };
    const words = `${spanName(span)}: ${number(value)} ${value === 1 ? noun : `${noun}s`}`;
    return svg("g", {}, svg("title", {}, words), svg("rect", hit), svg("rect", { ...place, class: "chart-bar" }));
  });
  const total = bars.reduce((sum, { value }) => sum + value, 0);
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${bars.length} ${HEIGHT}`,
      preserveAspectRatio: "none",
      class: "chart-bars",
      role: "img",
      "aria-label": `${label}: ${number(total)} in all, at most ${number(most)} at a time. The figures are in the table below.`,
    },
    ...drawn,
  );
  return el(
    "figure",
    { class: "chart" },
    el("div", { class: "chart-area" }, el("span", { class: "chart-most", text: number(most) }), picture),
    el(
      "div",
      { class: "chart-axis", "aria-hidden": "true" },
      el("span", { text: day(bars[0].first) }),
      el("span", { text: day(bars.at(-1).last) }),
    ),
    figureTable(bars, label),
  );
}

const day = (iso) => DAY.format(new Date(`${iso}T00:00:00Z`));

function spanName({ first, last }) {
  const [from, to] = [first, last].map((iso) => new Date(`${iso}T00:00:00Z`));
  return first === last ? DATE.format(from) : DATE.formatRange(from, to);
}

/** The same figures for those who can't see the bars; days without anything are left out. */
function figureTable(bars, label) {
  const rows = bars
    .filter(({ value }) => value > 0)
    .map((bar) => el("tr", {}, el("th", { scope: "row", text: spanName(bar) }), el("td", { text: number(bar.value) })));
  const head = el("tr", {}, el("th", { scope: "col", text: "When" }), el("th", { scope: "col", text: "Number" }));
  return el(
    "table",
    { class: "visually-hidden" },
    el("caption", { text: label }),
    el("thead", {}, head),
    el("tbody", {}, ...rows),
  );
}

/** Horizontal bars, the longest first. `entries`: [{name, value, href}]; at most `most`, the rest as one. */
export function shares(entries, { most = 8 } = {}) {
  const ranked = [...entries].sort((a, b) => b.value - a.value);
  const shown = ranked.slice(0, ranked.length > most ? most - 1 : most);
  const rest = ranked.slice(shown.length);
  if (rest.length)
    shown.push({ name: `${number(rest.length)} others`, value: rest.reduce((sum, { value }) => sum + value, 0), rest: true });
  const longest = Math.max(1, ...shown.map(({ value }) => value));
  const line = ({ name, value, href, rest: others = false }) =>
    el(
      "li",
      { class: others ? "share rest" : "share" },
      href ? el("a", { class: "share-name", href, text: name }) : el("span", { class: "share-name", text: name }),
      el("span", { class: "share-bar", style: { "--share": String(Math.min(1, value / longest)) } }),
      el("span", { class: "share-value", text: number(value) }),
    );
  return el("ul", { class: "shares" }, ...shown.map(line));
}
