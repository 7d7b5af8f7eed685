/** Documents: the list; one of them has a module of its own (`#/documents/ID`). */

import { request } from "./api.js";
import { openDocument } from "./document.js";
import { documentRow } from "./document_rows.js";
import { el, emptyState, setText } from "./dom.js";
import { number } from "./format.js";
import { PagedList } from "./paging.js";

export const title = "Documents";

const PAGE_SIZE = 25;

/** Fill `root` with the list, or with the document whose id is the first of `parameters`. */
export function open(root, [id], query) {
  const stop = new AbortController();
  const isOpen = () => !stop.signal.aborted;
  if (id) openDocument(root, id, { isOpen, at: Number.parseFloat(query.get("t") ?? "") });
  else openList(root, isOpen);
  return () => stop.abort();
}

function openList(root, isOpen) {
  const total = el("span", { class: "head-count" });
  const list = new PagedList({
    isOpen,
    waiting: "Reading the documents…",
    nothing: nothingYet,
    async read(cursor) {
      const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
      const { data } = await request(`./documents?limit=${PAGE_SIZE}${after}`);
      if (Number.isFinite(data.total) && data.total > 0) setText(total, number(data.total));
      return { items: data.documents.map((item) => documentRow(item)), cursor: data.next_cursor };
    },
  });
  root.append(
    el("header", { class: "page-head" }, el("h1", { tabindex: -1 }, "Documents", total)),
    list.node,
  );
  list.restart();
}

function nothingYet() {
  return emptyState(
    "document",
    "No documents yet",
    "What you add is read, understood and kept here.",
    el("a", { class: "button", href: "#/add", text: "Add a file" }),
  );
}
