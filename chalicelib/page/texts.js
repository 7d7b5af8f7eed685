/** Places in texts. The API counts characters as code points, JavaScript in halves of the rarer ones. */

import { el } from "./dom.js";

const RARE = /[\ud800-\udfff]/;

/** Return `ranges` ([start, end] in code points) in JavaScript's own count. */
export function inOwnUnits(text, ranges) {
  if (!RARE.test(text)) return ranges;
  const wanted = [...new Set(ranges.flat())].sort((a, b) => a - b);
  const places = new Map();
  let points = 0;
  let units = 0;
  for (const place of wanted) {
    while (points < place && units < text.length) {
      units += text.codePointAt(units) > 0xffff ? 2 : 1;
      points += 1;
    }
    places.set(place, units);
  }
  return ranges.map(([start, end]) => [places.get(start), places.get(end)]);
}

/**
 * Return the nodes of `text` with its `ranges` (in code points) marked. `make(words, index)` makes a mark; of ranges
 * that overlap, the one that begins first is shown.
 */
export function marked(text, ranges, make = (words) => el("mark", { text: words })) {
  const own = inOwnUnits(text, ranges).map(([start, end], index) => ({ start, end, index }));
  const nodes = [];
  let at = 0;
  for (const { start, end, index } of own.sort((a, b) => a.start - b.start)) {
    if (start < at || end <= start) continue;
    nodes.push(text.slice(at, start), make(text.slice(start, end), index));
    at = end;
  }
  nodes.push(text.slice(at));
  return nodes.filter((node) => node !== "");
}
