/** Documents: the list, and one of them with its text (`#/documents/ID`). */

import { ApiError, request } from "./api.js";
import { conceptChips, warningText } from "./card.js";
import { button, el, emptyState, icon, notice } from "./dom.js";
import { count, relativeTime, words } from "./format.js";
import { session } from "./session.js";

export const title = "Documents";

const PAGE_SIZE = 25;
const CHIPS = 5;
/** Characters of text shown at first: a megabyte at once makes slow machines stutter. */
const FIRST_CHARACTERS = 50_000;

/** Fill `root` with the list, or with the document whose id is the first of `parameters`. */
export function open(root, [id]) {
  const stop = new AbortController();
  const isOpen = () => !stop.signal.aborted;
  if (id) openDocument(root, id, isOpen);
  else openList(root, isOpen);
  return () => stop.abort();
}

const loading = (text) => el("p", { class: "loading", role: "status", text });

function failure(error, again) {
  return notice("error", error.message, button("Try again", again, { kind: "small" }));
}

function openList(root, isOpen) {
  let cursor = null;
  const list = el("ul", { class: "rows" });
  const state = el("div", {}, loading("Reading the documents…"));
  const more = button("Load more", () => read(), { kind: "wide" });
  more.hidden = true;
  root.append(
    el("header", { class: "page-head" }, el("h1", { tabindex: -1, text: "Documents" })),
    list,
    state,
    more,
  );

  async function read() {
    more.disabled = true;
    const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    try {
      const { data } = await request(`./documents?limit=${PAGE_SIZE}${after}`);
      if (!isOpen()) return;
      list.append(...data.documents.map(row));
      cursor = data.next_cursor ?? null;
      more.hidden = !cursor;
      state.replaceChildren(...(list.childElementCount ? [] : [nothingYet()]));
    } catch (error) {
      state.replaceChildren(failure(error, read));
    } finally {
      more.disabled = false;
    }
  }
  read();
}

function nothingYet() {
  return emptyState(
    "document",
    "No documents yet",
    "What you add is read, understood and kept here.",
    el("a", { class: "button", href: "#/add", text: "Add a file" }),
  );
}

const titleOf = (item) => item.title || item.filename || item.doc_id;

function row(item) {
  return el(
    "li",
    { class: "row" },
    el("span", { class: "row-symbol" }, icon(item.source_type === "image" ? "image" : "document")),
    el(
      "div",
      { class: "row-body" },
      el(
        "h2",
        { class: "row-title" },
        el("a", { href: `#/documents/${encodeURIComponent(item.doc_id)}`, text: titleOf(item) }),
      ),
      el("p", { class: "facts" }, ...facts(item)),
      conceptChips(item.concepts, { limit: CHIPS }),
    ),
  );
}

function facts(item) {
  const cluster = item.cluster_name || item.cluster_id;
  return [
    cluster &&
      el(
        "span",
        { class: "cluster" },
        icon("cluster"),
        el("span", { class: "visually-hidden", text: "Topic: " }),
        cluster,
      ),
    item.filename && item.filename !== item.title && el("span", { class: "name", text: item.filename }),
    item.skill_level && el("span", { text: words(item.skill_level) }),
    item.pages > 0 && el("span", { text: count(item.pages, "page") }),
    Number.isFinite(item.words) && el("span", { text: count(item.words, "word") }),
    relativeTime(item.created_at),
  ].filter(Boolean);
}

async function openDocument(root, id, isOpen) {
  const state = el("div", {}, loading("Reading the document…"));
  root.append(el("a", { class: "back", href: "#/documents" }, icon("back"), "All documents"), state);
  try {
    const { data } = await request(`./documents/${encodeURIComponent(id)}`);
    if (!isOpen()) return;
    document.title = `${titleOf(data)} · SyncBoard`;
    state.replaceWith(...documentParts(data));
    root.querySelector("h1").focus();
  } catch (error) {
    const again = () => {
      root.replaceChildren();
      openDocument(root, id, isOpen);
    };
    state.replaceChildren(
      error.status === 404
        ? emptyState("document", "No such document", "It was deleted, or it belongs to somebody else.")
        : failure(error, again),
    );
  }
}

function documentParts(item) {
  return [
    el(
      "header",
      { class: "page-head" },
      el("h1", { tabindex: -1, text: titleOf(item) }),
      el("p", { class: "facts" }, ...facts(item)),
    ),
    ...(item.warnings ?? []).map((warning) => notice("info", warningText(warning))),
    section("Concepts", conceptChips(item.concepts, { full: true })),
    section("Details", details(item.metadata)),
    item.segments_url ? section("Transcript", transcriptPart(item)) : section("Text", textPart(item)),
  ].filter(Boolean);
}

function section(name, content) {
  return content && el("section", { class: "part" }, el("h2", { text: name }), content);
}

function details(metadata) {
  const known = Object.entries(metadata ?? {}).filter(([, value]) => value !== null && value !== "");
  const pairs = known.map(([name, value]) =>
    el("div", {}, el("dt", { text: words(name) }), el("dd", { text: plain(value) })),
  );
  return pairs.length ? el("dl", { class: "details" }, ...pairs) : null;
}

const plain = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

function textPart({ text, text_url: address }) {
  if (typeof text === "string") return textBox(text);
  if (!address) return el("p", { class: "muted", text: "There is no text in this document." });
  const box = el("div", {}, loading("Reading the text…"));
  const read = () =>
    fetchText(address).then(
      (whole) => box.replaceChildren(textBox(whole)),
      (error) => box.replaceChildren(failure(error, read)),
    );
  read();
  return box;
}

/** What was said when: a line a passage; the text as a whole where the passages can't be read. */
function transcriptPart(item) {
  const box = el("div", {}, loading("Reading the transcript…"));
  fetchText(item.segments_url).then(
    (raw) => box.replaceChildren(transcript(JSON.parse(raw))),
    () => box.replaceChildren(textPart(item)),
  );
  return box;
}

function transcript(segments) {
  const line = ({ start, text }) =>
    el("li", {}, el("time", { text: clock(start) }), el("span", { text }));
  return el("ol", { class: "transcript", tabindex: 0, "aria-label": "Transcript" }, ...segments.map(line));
}

/** Seconds as 1:02:03 or 2:03. */
function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

async function fetchText(address) {
  const url = new URL(address, document.baseURI);
  // A presigned address carries its own signature, and a second one beside it is refused.
  const signed = url.searchParams.has("X-Amz-Signature") || url.origin !== location.origin;
  const headers = signed ? {} : { Authorization: `Bearer ${session.token}` };
  const response = await fetch(url, { headers, credentials: "omit" }).catch(() => null);
  if (!response?.ok) throw new ApiError("The text can't be read just now.");
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
