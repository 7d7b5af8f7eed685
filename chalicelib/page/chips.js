/** Concepts and topics as small labels that lead on. */

import { el, icon } from "./dom.js";

/** The address of a search for the words of a name, as a phrase where they are several. */
export function searchAddress(name, more = {}) {
  const words = String(name).replaceAll('"', " ").trim();
  const asked = new URLSearchParams({ q: /\s/.test(words) ? `"${words}"` : words, ...more });
  return `#/search?${asked}`;
}

/**
 * Concepts as a list of chips. `limit`: how many before "+ n more"; `full`: with category and confidence;
 * `linked`: each leads to a search for it.
 */
export function conceptChips(concepts, { limit = Infinity, full = false, linked = false } = {}) {
  if (!concepts?.length) return null;
  const chips = concepts.slice(0, limit).map((concept) => conceptChip(concept, { full, linked }));
  if (concepts.length > limit)
    chips.push(el("li", { class: "chip more", text: `+ ${concepts.length - limit} more` }));
  return el("ul", { class: "chips", "aria-label": "Concepts" }, ...chips);
}

function conceptChip(concept, { full, linked }) {
  const { name = String(concept), category, confidence, documents } =
    typeof concept === "object" ? concept : {};
  const share = Number.isFinite(confidence) && `${Math.round(confidence * 100)} %`;
  const note = (full && [category, share].filter(Boolean).join(" · ")) || (documents > 0 && String(documents));
  return el(
    "li",
    { class: linked ? "chip linked" : "chip" },
    linked ? el("a", { href: searchAddress(name), text: name }) : el("span", { text: name }),
    note && el("span", { class: "chip-note", text: ` ${note}` }),
  );
}

/** The topic of a document, as a link to it. `cluster` has `cluster_id` and `cluster_name`. */
export function topicLink({ cluster_id: id, cluster_name: name }) {
  if (!id) return null;
  return el(
    "span",
    { class: "cluster" },
    icon("cluster"),
    el("span", { class: "visually-hidden", text: "Topic: " }),
    el("a", { href: `#/topics/${encodeURIComponent(id)}`, text: name || "Unnamed topic" }),
  );
}
