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
  const bars = bins(days).map((bin) => ({
    name: spanName(bin),
    values: [bin.value],
    told: `${number(bin.value)} ${bin.value === 1 ? noun : `${noun}s`}`,
  }));
  return barChart(bars, { label, kinds: [{ name: "Number", look: "plain" }], ends: [day(days[0].date), day(days.at(-1).date)] });
}

/**
 * A figure of bars, each of one or more parts. `bars`: [{name, values, told}]; `kinds`: [{name, look}], one for each
 * value, `look` being the colour's; `ends`: what stands under the first bar and the last.
 */
export function barChart(bars, { label, kinds, ends }) {
  const sums = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const most = Math.max(1, ...sums);
  const drawn = bars.map(({ name, values, told }, index) => {
    let top = HEIGHT;
    const parts = values.map((value, kind) => {
      // One among thousands is still seen.
      const height = value ? Math.max(2, (value / most) * HEIGHT) : 0;
      top -= height;
      const place = { x: index + 0.12, y: top, width: 0.76, height };
      return svg("rect", { ...place, class: `chart-bar ${kinds[kind].look}` });
    });
    const hit = { x: index, y: 0, width: 1, height: HEIGHT, class: "chart-hit" };
    return svg("g", {}, svg("title", {}, `${name}: ${told}`), svg("rect", hit), ...parts);
  });
  const total = sums.reduce((sum, value) => sum + value, 0);
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
      ...ends.map((text) => el("span", { text })),
    ),
    kinds.length > 1 && legend(kinds),
    figureTable(bars, { label, kinds }),
  );
}

function legend(kinds) {
  const entry = ({ name, look }) => el("li", {}, el("span", { class: `chart-key ${look}` }), name);
  return el("ul", { class: "chart-legend" }, ...kinds.map(entry));
}

const day = (iso) => DAY.format(new Date(`${iso}T00:00:00Z`));

function spanName({ first, last }) {
  const [from, to] = [first, last].map((iso) => new Date(`${iso}T00:00:00Z`));
  return first === last ? DATE.format(from) : DATE.formatRange(from, to);
}

/** The same figures for those who can't see the bars; bars of nothing are left out. */
function figureTable(bars, { label, kinds }) {
  const cell = (value) => el("td", { text: number(value) });
  const rows = bars
    .filter(({ values }) => values.some((value) => value > 0))
    .map(({ name, values }) => el("tr", {}, el("th", { scope: "row", text: name }), ...values.map(cell)));
  const heads = ["When", ...kinds.map(({ name }) => name)].map((text) => el("th", { scope: "col", text }));
  return el(
    "table",
    { class: "visually-hidden" },
    el("caption", { text: label }),
    el("thead", {}, el("tr", {}, ...heads)),
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
