/** Duplicates: groups of documents that are alike; two of them side by side (`#/duplicates/A/B`). */

import { request } from "./api.js";
import { openComparison } from "./comparison.js";
import { documentAddress, titleOf } from "./document_rows.js";
import { button, el, emptyState, notice, setText } from "./dom.js";
import { count, number, percent, relativeTime } from "./format.js";
import { jobButton, submitJob } from "./job_panel.js";
import { askToMerge } from "./merging.js";
import { PagedList } from "./paging.js";

export const title = "Duplicates";
export const wide = true;

const PAGE_SIZE = 20;
const THRESHOLD = { least: 0.5, most: 1, step: 0.05, usual: 0.8 };
/** After the slider has come to rest. */
const REST_MS = 300;

/** Fill `root` with the list, or with the two documents that `parameters` name. */
export function open(root, [a, b]) {
  const stop = new AbortController();
  const isOpen = () => !stop.signal.aborted;
  if (a && b) openComparison(root, a, b, isOpen);
  else openList(root, isOpen);
  return () => stop.abort();
}

function openList(root, isOpen) {
  let threshold = THRESHOLD.usual;
  const total = el("span", { class: "head-count" });
  const partial = el("div");
  const list = new PagedList({
    isOpen,
    kind: "groups",
    waiting: "Reading the groups…",
    nothing: () => nothingAlike(threshold),
    async read(cursor) {
      const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
      const { data } = await request(`./duplicates?threshold=${threshold}&limit=${PAGE_SIZE}${after}`);
      setText(total, data.total ? number(data.total) : "");
      partial.replaceChildren(...(data.complete ? [] : [tooMany()]));
      return { items: data.groups.map((group) => groupItem(group, () => list.restart())), cursor: data.next_cursor };
    },
  });
  const slider = thresholdSlider(threshold, (value) => {
    threshold = value;
    list.restart();
  });
  const scan = jobButton("Compare all again", {
    name: "Search for duplicates",
    symbol: "retry",
    isOpen,
    begin: () => submitJob("./jobs", { task: "find_duplicates_background", params: { threshold } }),
    ended: ({ result }) => {
      list.restart();
      const { documents, pairs_added: added } = result;
      return `${count(documents, "document")} compared: ${added ? `${count(added, "new pair")} found` : "nothing new"}.`;
    },
  });
  root.append(
    el(
      "header",
      { class: "page-head" },
      el("div", { class: "with-action" }, el("h1", { tabindex: -1 }, "Duplicates", total), scan.button),
      el("p", { class: "lead", text: "Found as documents arrive. Compare them, keep one, delete the others." }),
    ),
    slider,
    scan.state,
    partial,
    list.node,
  );
  list.restart();
}

const tooMany = () => notice("info", "There are more pairs than one answer looks at: merge some of these first.");

function nothingAlike(threshold) {
  return emptyState(
    "copies",
    "No duplicates",
    threshold > THRESHOLD.usual - 0.01
      ? `No two documents are ${percent(threshold)} alike or more. A lower figure shows looser likenesses.`
      : `No two documents are even ${percent(threshold)} alike.`,
  );
}

function thresholdSlider(value, changed) {
  let timer = 0;
  const output = el("output", { for: "threshold", text: percent(value) });
  const input = el("input", {
    type: "range",
    id: "threshold",
    min: THRESHOLD.least,
    max: THRESHOLD.most,
    step: THRESHOLD.step,
    value,
    "aria-valuetext": percent(value),
    on: {
      input: () => {
        const now = Number(input.value);
        setText(output, percent(now));
        input.setAttribute("aria-valuetext", percent(now));
        clearTimeout(timer);
        timer = setTimeout(() => changed(now), REST_MS);
      },
    },
  });
  return el(
    "div",
    { class: "slider" },
    el("label", { for: "threshold", text: "Alike by at least" }),
    input,
    output,
  );
}

function groupItem(group, changed) {
  const name = `keep-${group.group_id}`;
  // The one with the most text to begin with: what only the others say is lost.
  const richest = group.documents.reduce((best, item) => (item.characters > best.characters ? item : best));
  let keep = richest.doc_id;
  const rows = group.documents.map((item) => {
    const radio = el("input", {
      type: "radio",
      name,
      value: item.doc_id,
      checked: item === richest,
      "aria-label": `Keep ${titleOf(item)}`,
    });
    const compare = el("a", { class: "button small", text: "Compare" });
    return { item, radio, compare, row: memberRow(item, radio, compare) };
  });
  const mark = () => {
    for (const { item, compare, row } of rows) {
      row.classList.toggle("kept", item.doc_id === keep);
      compare.hidden = item.doc_id === keep;
      compare.href = `#/duplicates/${encodeURIComponent(keep)}/${encodeURIComponent(item.doc_id)}`;
      compare.setAttribute("aria-label", `Compare ${titleOf(item)} with the one to keep`);
    }
  };
  for (const { radio } of rows)
    radio.addEventListener("change", () => {
      keep = radio.value;
      mark();
    });
  mark();
  const merge = async () => {
    const kept = rows.find(({ item }) => item.doc_id === keep).item;
    const others = rows.map(({ item }) => item).filter((item) => item !== kept);
    if (await askToMerge(kept, others)) changed();
  };
  const same = group.pairs.every(({ kind }) => kind === "identical");
  const alike = same ? "the same words" : `up to ${percent(group.similarity)} alike`;
  return el(
    "li",
    { class: "group" },
    el(
      "div",
      { class: "group-head" },
      el("h2", { text: `${count(group.size, "document")}, ${alike}` }),
      button("Merge…", merge, { kind: "small" }),
    ),
    group.size > group.documents.length &&
      el("p", { class: "muted", text: `The oldest ${group.documents.length} are shown.` }),
    el(
      "fieldset",
      { class: "members" },
      el("legend", { class: "visually-hidden", text: "Which one to keep" }),
      ...rows.map(({ row }) => row),
    ),
  );
}

function memberRow(item, radio, compare) {
  return el(
    "div",
    { class: "member" },
    el("label", { class: "keep" }, radio, el("span", { class: "keep-word", text: "Keep" })),
    el(
      "div",
      { class: "member-body" },
      el("a", { class: "member-title", href: documentAddress(item.doc_id), text: titleOf(item) }),
      el(
        "p",
        { class: "facts" },
        el("span", { text: item.filename }),
        el("span", { text: count(item.characters, "character") }),
        relativeTime(item.created_at),
      ),
    ),
    compare,
  );
}
