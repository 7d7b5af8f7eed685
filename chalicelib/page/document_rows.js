/** Documents as rows of a list; the same in every section that lists some. */

import { conceptChips, topicLink } from "./chips.js";
import { el, icon } from "./dom.js";
import { count, relativeTime, words } from "./format.js";

const CHIPS = 5;
const SYMBOLS = { image: "image", audio: "media", video: "media" };
/** Kinds of documents as people call them; others are called by their own name. */
const KINDS = {
  code: "Code",
  email: "E-mail",
  latex: "LaTeX",
  markdown: "Markdown",
  msg: "Outlook mail",
  subtitles: "Subtitles",
  text: "Plain text",
};

/** What to call a document. */
export const titleOf = (item) => item.title || item.filename || item.doc_id || "Untitled";

/** The address of a document's own page. */
export const documentAddress = (id) => `#/documents/${encodeURIComponent(id)}`;

/** pdf → "PDF", markdown → "Markdown". */
export function kindName(type) {
  if (KINDS[type]) return KINDS[type];
  return type.length <= 4 ? type.toUpperCase() : words(type);
}

/** A row that leads to a document. `parts` stand instead of its concepts. */
export function documentRow(item, ...parts) {
  return el(
    "li",
    { class: "row" },
    el("span", { class: "row-symbol" }, icon(SYMBOLS[item.source_type] ?? "document")),
    el(
      "div",
      { class: "row-body" },
      el(
        "h2",
        { class: "row-title" },
        el("a", { href: documentAddress(item.doc_id), text: titleOf(item) }),
      ),
      el("p", { class: "facts" }, ...documentFacts(item)),
      ...(parts.length ? parts : [conceptChips(item.concepts, { limit: CHIPS })]),
    ),
  );
}

/** What is known of a document, in short. */
export function documentFacts(item) {
  return [
    topicLink(item),
    item.filename && item.filename !== item.title && el("span", { class: "name", text: item.filename }),
    // Nearly everything is in the middle: only what is not says something.
    item.skill_level && item.skill_level !== "intermediate" && el("span", { text: words(item.skill_level) }),
    item.pages > 0 && el("span", { text: count(item.pages, "page") }),
    Number.isFinite(item.words) && el("span", { text: count(item.words, "word") }),
    relativeTime(item.created_at),
  ].filter(Boolean);
}
