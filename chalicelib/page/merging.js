/** Merging: one document stays, the others are deleted, after a question that says so. */

import { request } from "./api.js";
import { titleOf } from "./document_rows.js";
import { confirmed } from "./dialog.js";
import { announce, el } from "./dom.js";
import { count } from "./format.js";

/** What one request takes. */
const AT_ONCE = 20;

/** Ask, and merge. Resolves to whether it was done. */
export async function askToMerge(kept, others) {
  const gone = count(others.length, "document");
  const done = await confirmed({
    title: `Keep one, delete ${gone}?`,
    parts: [
      el("p", {}, "This stays: ", named(kept)),
      el("p", { text: others.length === 1 ? "This is deleted, with its text:" : "These are deleted, with their texts:" }),
      el("ul", { class: "dialog-list" }, ...others.map((other) => el("li", {}, named(other)))),
      el("p", {
        class: "muted",
        text: "Only what the kept one says is kept; it also remembers the others’ titles. This can’t be undone.",
      }),
    ],
    action: `Delete ${gone}`,
    run: () => merge(kept, others),
  });
  if (done) announce(`${gone} deleted; ${titleOf(kept)} is kept.`);
  return done;
}

function named(item) {
  const file = item.filename && item.filename !== item.title && ` (${item.filename})`;
  return el("span", {}, el("strong", { text: titleOf(item) }), file);
}

async function merge(kept, others) {
  const ids = others.map(({ doc_id: id }) => id);
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const body = { keep: kept.doc_id, remove: ids.slice(at, at + AT_ONCE) };
    await request("./duplicates/merge", { method: "POST", body });
  }
}
