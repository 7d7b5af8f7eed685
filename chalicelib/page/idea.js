/** One idea: what to build, what speaks for it, what is missing, how to begin. */

import { request } from "./api.js";
import { documentAddress } from "./document_rows.js";
import { el, icon, setText } from "./dom.js";
import { percent, words } from "./format.js";
import { searchAddress } from "./chips.js";

/** Make the card of a suggestion as the API gives it. Parts that it does not have are left out. */
export function ideaCard(idea) {
  return el(
    "article",
    { class: "idea" },
    el("h2", { text: idea.title }),
    el("p", { class: "idea-text", text: idea.description }),
    el(
      "ul",
      { class: "measures", "aria-label": "In short" },
      measure("Feasibility", words(idea.feasibility ?? ""), idea.feasibility),
      measure("Effort", idea.effort_estimate),
      measure("Level", words(idea.complexity_level ?? "")),
      coverage(idea),
    ),
    topics(idea.relevant_clusters),
    evidence(idea.evidence),
    part("To learn first", missing(idea.missing_knowledge)),
    more(idea),
  );
}

function measure(name, value, grade) {
  return (
    value &&
    el(
      "li",
      { data: grade ? { grade } : {} },
      el("span", { class: "measure-name", text: name }),
      el("span", { class: "measure-value", text: value }),
    )
  );
}

function coverage({ coverage_score: score }) {
  if (!Number.isFinite(score)) return null;
  return el(
    "li",
    {},
    el("span", { class: "measure-name", text: "You know" }),
    el("span", { class: "measure-value", text: percent(score) }),
    el("meter", { min: 0, max: 1, value: score, "aria-label": "How much of it the library covers" }),
  );
}

function topics(clusters) {
  if (!clusters?.length) return null;
  const link = ({ cluster_id: id, name }) =>
    el("span", { class: "cluster" }, icon("cluster"), el("a", { href: `#/topics/${encodeURIComponent(id)}`, text: name }));
  return el("p", { class: "facts" }, ...clusters.map(link));
}

/** Which documents speak for it: a line a document, with its concepts. */
function evidence(entries) {
  if (!entries?.length) return null;
  const documents = new Map();
  for (const { doc_id: id, concept, title } of entries) {
    if (!documents.has(id)) documents.set(id, { title, concepts: [] });
    documents.get(id).concepts.push(concept);
  }
  const titles = [...documents.values()].map(({ title }) => title);
  const lines = [...documents].map(([id, { title, concepts }]) => {
    const isTwin = titles.filter((one) => one === title).length > 1;
    return el(
      "li",
      {},
      el("a", { href: documentAddress(id), text: title || "Untitled" }),
      isTwin && fileNameOf(id),
      el("span", { class: "muted", text: concepts.join(", ") }),
    );
  });
  return part("What speaks for it", el("ul", { class: "evidence" }, ...lines));
}

/** Where two titles are the same: the name of the document's file, once it is read; nothing where it can't be. */
function fileNameOf(id) {
  const node = el("span", { class: "muted" });
  request(documentAddress(id).replace("#", ".")).then(
    ({ data }) => setText(node, data.filename ?? ""),
    () => {},
  );
  return node;
}

function missing(names) {
  if (!names?.length) return null;
  const chips = names.map((name) =>
    el("li", { class: "chip linked lack" }, el("a", { href: searchAddress(name), text: name })),
  );
  return el("ul", { class: "chips" }, ...chips);
}

function more(idea) {
  const parts = [
    part("First steps", lines("ol", idea.starter_steps)),
    part("Learning path", lines("ol", idea.learning_path)),
    part("What comes out", lines("ul", idea.expected_outcomes)),
    part("Needed", lines("ul", idea.required_skills)),
    part("Files", code(idea.file_structure)),
    part("Code to start from", code(idea.starter_code)),
    part("When it goes wrong", lines("ul", idea.troubleshooting_tips)),
  ].filter(Boolean);
  if (!parts.length) return null;
  return el("details", { class: "idea-more" }, el("summary", { text: "How to go about it" }), ...parts);
}

function part(name, content) {
  return content && el("section", { class: "idea-part" }, el("h3", { text: name }), content);
}

function lines(kind, texts) {
  const all = Array.isArray(texts) ? texts : [texts].filter(Boolean);
  return all.length ? el(kind, { class: "lines" }, ...all.map((text) => el("li", { text: plain(text) }))) : null;
}

const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function code(value) {
  if (!value || value.length === 0) return null;
  const text = typeof value === "string" ? value : Array.isArray(value) ? value.map(plain).join("\n") : JSON.stringify(value, null, 2);
  return el("pre", { class: "code", tabindex: 0, text });
}
