/** One document: what is known of it, its text or transcript, what it is alike to. */

import { ApiError, request } from "./api.js";
import { conceptChips } from "./chips.js";
import { confirmed } from "./dialog.js";
import { documentAddress, documentFacts, titleOf } from "./document_rows.js";
import { announce, button, el, emptyState, failure, icon, loading, notice } from "./dom.js";
import { clock, count, percent, words } from "./format.js";
import { warningText } from "./outcome.js";
import { session } from "./session.js";

/** Characters of text shown at first: a megabyte at once makes slow machines stutter. */
const FIRST_CHARACTERS = 50_000;
/** How two documents are alike, in words. */
export const KINDS = {
  identical: "the same words",
  near_duplicate: "nearly the same",
  overlap: "one contains the other",
};

/** Fill `root` with the document `id`. `at`: seconds into its recording to show, or NaN. */
export async function openDocument(root, id, { isOpen, at }) {
  const state = el("div", {}, loading("Reading the document…"));
  root.append(el("a", { class: "back", href: "#/documents" }, icon("back"), "All documents"), state);
  try {
    const { data } = await request(`./documents/${encodeURIComponent(id)}`);
    if (!isOpen()) return;
    document.title = `${titleOf(data)} · SyncBoard`;
    state.replaceWith(...documentParts(data, at));
    root.querySelector("h1").focus();
  } catch (error) {
    if (!isOpen()) return;
    const again = () => {
      root.replaceChildren();
      openDocument(root, id, { isOpen, at });
    };
    state.replaceChildren(error.status === 404 ? noSuchDocument() : failure(error, again));
  }
}

/** What stands in the place of a document that is not there. */
export const noSuchDocument = () =>
  emptyState("document", "No such document", "It was deleted, or it belongs to somebody else.");

function documentParts(item, at) {
  const remove = button("Delete", () => removeDocument(item), { kind: "quiet small", symbol: "trash" });
  return [
    el(
      "header",
      { class: "page-head" },
      el("div", { class: "with-action" }, el("h1", { tabindex: -1, text: titleOf(item) }), remove),
      el("p", { class: "facts" }, ...documentFacts(item)),
    ),
    ...(item.warnings ?? []).map((warning) => notice("info", warningText(warning))),
    section("Near duplicates", alikeList(item)),
    section("Concepts", conceptChips(item.concepts, { full: true, linked: true })),
    section("Merged into this", mergedList(item.merged)),
    section("Details", details(item.metadata)),
    item.segments_url
      ? section("Transcript", transcriptPart(item, at))
      : section("Text", textPart(item)),
  ].filter(Boolean);
}

function section(name, content) {
  return content && el("section", { class: "part" }, el("h2", { text: name }), content);
}

async function removeDocument(item) {
  const gone = await confirmed({
    title: "Delete this document?",
    parts: [
      el("p", {}, el("strong", { text: titleOf(item) })),
      el("p", {
        text:
          "Its text, its place in search, its likenesses and its share of its topic are deleted. " +
          "This can’t be undone. The file itself can be added again.",
      }),
    ],
    action: "Delete document",
    run: () => request(documentAddress(item.doc_id).replace("#", "."), { method: "DELETE" }),
  });
  if (!gone) return;
  announce(`${titleOf(item)} was deleted.`);
  location.hash = "#/documents";
}

function alikeList(item) {
  const line = ({ doc_id: id, title, filename, similarity, kind }) =>
    el(
      "li",
      {},
      el("a", { href: documentAddress(id), text: title || "Untitled" }),
      filename && filename !== title && el("span", { class: "muted", text: filename }),
      el("span", { class: "muted", text: `${percent(similarity)}, ${KINDS[kind] ?? words(kind)}` }),
      el("a", {
        class: "button small",
        href: `#/duplicates/${encodeURIComponent(item.doc_id)}/${encodeURIComponent(id)}`,
        "aria-label": `Compare with ${title}${filename && filename !== title ? ` (${filename})` : ""}`,
        text: "Compare",
      }),
    );
  return item.near_duplicates?.length > 0
    ? el("ul", { class: "alike" }, ...item.near_duplicates.map(line))
    : null;
}

function mergedList(merged) {
  if (!merged?.length) return null;
  const line = ({ title, filename }) => el("li", { text: [title, filename].filter(Boolean).join(" · ") });
  return el("ul", { class: "plain-list" }, ...merged.map(line));
}

function details(metadata) {
  const known = Object.entries(metadata ?? {}).filter(([, value]) => value !== null && value !== "");
  const pairs = known.map(([name, value]) =>
    el("div", {}, el("dt", { text: words(name) }), el("dd", { text: plain(value) })),
  );
  return pairs.length ? el("dl", { class: "details" }, ...pairs) : null;
}

const plain = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

function textPart(item) {
  const box = el("div", {}, loading("Reading the text…"));
  const read = () =>
    wholeText(item).then(
      (text) => box.replaceChildren(textBox(text)),
      (error) => box.replaceChildren(failure(error, read)),
    );
  read();
  return box;
}

/** Resolve to the whole text of a document as the API answered it. Throws ApiError. */
export async function wholeText({ text, text_url: address }) {
  if (typeof text === "string") return text;
  return address ? fetchText(address) : "";
}

/** What was said when: a line a passage; the text as a whole where the passages can't be read. */
function transcriptPart(item, at) {
  const box = el("div", {}, loading("Reading the transcript…"));
  fetchText(item.segments_url).then(
    (raw) => {
      const list = transcript(JSON.parse(raw), at);
      box.replaceChildren(list);
      list.querySelector("[aria-current]")?.scrollIntoView({ block: "center" });
    },
    () => box.replaceChildren(textPart(item)),
  );
  return box;
}

function transcript(segments, at) {
  const current = segments.findLastIndex(({ start }) => start <= at + 0.01);
  const line = ({ start, text }, index) =>
    el(
      "li",
      { "aria-current": index === current ? "true" : null },
      el("time", { text: clock(start) }),
      el("span", { text }),
    );
  return el("ol", { class: "transcript", tabindex: 0, "aria-label": "Transcript" }, ...segments.map(line));
}

async function fetchText(address) {
  const url = new URL(address, document.baseURI);
  // A presigned address carries its own signature, and a second one beside it is refused.
  const signed = url.searchParams.has("X-Amz-Signature") || url.origin !== location.origin;
  const headers = signed ? {} : { Authorization: `Bearer ${session.token}` };
  const response = await fetch(url, { headers, credentials: "omit" }).catch(() => null);
  if (!response?.ok) throw new ApiError("The text can't be read just now.", { retryable: true });
  return response.text();
}

function textBox(text) {
  if (!text.trim()) return el("p", { class: "muted", text: "There is no text in this document." });
  const pre = el("pre", {
    class: "text",
    tabindex: 0,
    "aria-label": "Text of the document",
    text: text.slice(0, FIRST_CHARACTERS),
  });
  if (text.length <= FIRST_CHARACTERS) return pre;
  const all = button(
    `Show all ${count(text.length, "character")}`,
    () => {
      pre.textContent = text;
      all.remove();
      pre.focus();
    },
    { kind: "wide" },
  );
  return el("div", {}, pre, all);
}
