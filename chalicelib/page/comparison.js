/** Two documents side by side, with what both say highlighted. */

import { request } from "./api.js";
import { KINDS, noSuchDocument, wholeText } from "./document.js";
import { documentAddress, titleOf } from "./document_rows.js";
import { button, el, failure, icon, loading, setText } from "./dom.js";
import { count, percent, relativeTime, words } from "./format.js";
import { askToMerge } from "./merging.js";
import { marked } from "./texts.js";

const SIDES = ["a", "b"];

/** Fill `root` with the documents `a` and `b`. */
export async function openComparison(root, a, b, isOpen) {
  const state = el("div", {}, loading("Comparing…"));
  root.append(el("a", { class: "back", href: "#/duplicates" }, icon("back"), "All duplicates"), state);
  try {
    const ids = [a, b].map(encodeURIComponent);
    const [compared, ...documents] = await Promise.all([
      request(`./duplicates/${ids[0]}/${ids[1]}`),
      ...ids.map((id) => request(`./documents/${id}`)),
    ]);
    const texts = await Promise.all(documents.map(({ data }) => wholeText(data)));
    if (!isOpen()) return;
    state.replaceChildren(...comparison(compared.data, texts));
    root.querySelector("h1").focus();
  } catch (error) {
    if (!isOpen()) return;
    const again = () => {
      root.replaceChildren();
      openComparison(root, a, b, isOpen);
    };
    state.replaceChildren(error.status === 404 ? noSuchDocument() : failure(error, again));
  }
}

function comparison(found, texts) {
  const sides = SIDES.map((side, index) => pane(found, side, texts[index]));
  const steps = passageSteps(found.passages, sides);
  const shared = found.passages.reduce((sum, passage) => sum + passage.words, 0);
  return [
    el(
      "header",
      { class: "page-head" },
      el("h1", { tabindex: -1, text: `${percent(found.similarity)} alike` }),
      el("p", { class: "lead", text: inWords(found, shared) }),
    ),
    steps,
    el("div", { class: "panes" }, ...sides.map(({ node }) => node)),
  ].filter(Boolean);
}

function inWords({ kind, contained, passages, complete }, shared) {
  const parts = [
    `${words(KINDS[kind] ?? "not very much alike")}.`,
    `${percent(contained.a)} of the first is in the second, ${percent(contained.b)} of the second in the first.`,
    passages.length
      ? `${count(passages.length, "passage")} of ${count(shared, "word")} in all ${passages.length === 1 ? "is" : "are"} the same.`
      : "No passage of eight words is the same.",
  ];
  if (!complete) parts.push("They are long: only their beginnings were compared.");
  return parts.join(" ");
}

function pane(found, side, text) {
  const item = found[side];
  const other = found[side === "a" ? "b" : "a"];
  const ranges = found.passages.map((passage) => [passage[side].start, passage[side].end]);
  const make = (said, index) => el("mark", { text: said, data: { passage: index } });
  const box = el(
    "pre",
    { class: "text", tabindex: 0, "aria-label": `Text of the ${side === "a" ? "first" : "second"} document` },
    ...marked(text, ranges, make),
  );
  const keep = button(
    "Keep this one…",
    async () => {
      if (await askToMerge(item, [other])) location.hash = documentAddress(item.doc_id);
    },
    { kind: "small" },
  );
  const node = el(
    "section",
    { class: "pane" },
    el(
      "div",
      { class: "pane-head" },
      el("h2", {}, el("a", { href: documentAddress(item.doc_id), text: titleOf(item) })),
      el(
        "p",
        { class: "facts" },
        el("span", { text: item.filename }),
        el("span", { text: count(item.characters, "character") }),
        relativeTime(item.created_at),
      ),
      keep,
    ),
    box,
  );
  return { node, box };
}

/** Steps from passage to passage, in both texts at once; a click on one leads to it, too. */
function passageSteps(passages, sides) {
  if (!passages.length) return null;
  // In the order of the first text, whatever the API's is.
  const order = passages.map((_, index) => index).sort((x, y) => passages[x].a.start - passages[y].a.start);
  let at = -1;
  const told = el("span", { class: "step-told", role: "status", text: `${count(passages.length, "passage")} in common` });

  function show(position) {
    at = (position + order.length) % order.length;
    for (const { box } of sides) {
      for (const mark of box.querySelectorAll("mark")) {
        const current = Number(mark.dataset.passage) === order[at];
        mark.classList.toggle("current", current);
        // Within its pane alone: the page itself stays where it is.
        if (current) box.scrollTop = mark.offsetTop - box.offsetTop - box.clientHeight / 3;
      }
    }
    setText(told, `Passage ${at + 1} of ${order.length}, ${count(passages[order[at]].words, "word")}`);
  }

  for (const { box } of sides)
    box.addEventListener("click", ({ target }) => {
      const mark = target.closest("mark");
      if (mark) show(order.indexOf(Number(mark.dataset.passage)));
    });
  return el(
    "div",
    { class: "steps" },
    button("Previous", () => show(at < 0 ? order.length - 1 : at - 1), { kind: "small" }),
    button("Next", () => show(at + 1), { kind: "small" }),
    told,
  );
}
