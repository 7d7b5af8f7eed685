/** Search: documents with the words asked for, the best first (`#/search?q=…`). */

import { request } from "./api.js";
import { conceptChips } from "./chips.js";
import { documentAddress, documentRow, kindName } from "./document_rows.js";
import { announce, button, choice, el, emptyState, icon, setText } from "./dom.js";
import { clock, count } from "./format.js";
import { PagedList } from "./paging.js";
import { marked } from "./texts.js";

export const title = "Search";

const PAGE_SIZE = 10;
const FILTERS = ["cluster", "type", "skill", "since", "until"];
const SKILLS = ["beginner", "intermediate", "advanced"];

/** Fill `root`; returns what undoes it. */
export function open(root, _parameters, query) {
  const stop = new AbortController();
  const isOpen = () => !stop.signal.aborted;
  const asked = new URLSearchParams([...query].filter(([name, value]) => known(name) && value));
  const input = el("input", {
    type: "search",
    id: "q",
    name: "q",
    value: asked.get("q") ?? "",
    placeholder: "Words, “an exact phrase”, begin*",
    maxlength: 200,
    autocomplete: "off",
    "aria-label": "Search for",
  });
  const summary = el("p", { class: "search-summary", role: "status" });
  const list = resultList({ asked, summary, isOpen });
  const filters = new Filters(asked, () => run());

  function run() {
    const q = input.value.trim();
    if (q) asked.set("q", q);
    else asked.delete("q");
    const address = `#/search${asked.size ? `?${asked}` : ""}`;
    // Not by the address: that would begin anew, and take the focus away.
    if (address !== location.hash) history.pushState(null, "", address);
    showTitle(asked);
    filters.count();
    list.restart();
  }

  const form = el(
    "form",
    { class: "search-form", role: "search", on: { submit: (event) => { event.preventDefault(); run(); } } },
    input,
    el("button", { class: "button primary", type: "submit" }, icon("search"), "Search"),
  );
  root.append(
    el("header", { class: "page-head" }, el("h1", { tabindex: -1, text: "Search" })),
    form,
    filters.node,
    summary,
    list.node,
  );
  filters.fill(isOpen);
  showTitle(asked);
  list.restart();
  // Whoever comes without a question has come to ask one.
  if (!asked.has("q")) setTimeout(() => isOpen() && input.focus());
  return () => stop.abort();
}

function showTitle(asked) {
  document.title = asked.has("q") ? `${asked.get("q")} · Search · SyncBoard` : "Search · SyncBoard";
}

const known = (name) => name === "q" || FILTERS.includes(name);

function resultList({ asked, summary, isOpen }) {
  return new PagedList({
    isOpen,
    waiting: "Searching…",
    nothing: () => (asked.has("q") ? nothingFound(asked) : howToAsk()),
    async read(cursor) {
      if (!asked.has("q")) {
        setText(summary, "");
        return { items: [], cursor: null };
      }
      const { data } = await request(
        `./search?${asked}&limit=${PAGE_SIZE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`,
      );
      if (!isOpen()) return { items: [], cursor: null };
      setText(summary, summaryOf(data));
      return { items: data.results.map(resultRow), cursor: data.next_cursor };
    },
  });
}

function summaryOf({ total, total_is, match, ignored }) {
  const left = ignored?.length ? ` Too common to search for: ${ignored.join(", ")}.` : "";
  if (!total) return left.trim();
  const some = match === "some" ? " No document has all of the words; these have some." : "";
  const bound = total_is === "at_most" ? "At most " : "";
  return `${bound}${count(total, "document")}.${some}${left}`;
}

function resultRow(result) {
  const passages = (result.passages ?? []).map((passage) =>
    el(
      "li",
      {},
      el("a", {
        href: `${documentAddress(result.doc_id)}?t=${passage.start}`,
        "aria-label": `At ${clock(passage.start)}`,
        text: clock(passage.start),
      }),
      el("span", { text: passage.text }),
    ),
  );
  const { snippet: said } = result;
  const snippet =
    said &&
    el(
      "p",
      { class: "snippet" },
      /^\p{Ll}/u.test(said) && "… ",
      ...marked(said, result.marks ?? []),
      /[.!?]\s*$/.test(said) ? "" : " …",
    );
  const parts = [
    snippet || conceptChips(result.concepts, { limit: 5 }),
    passages.length > 0 && el("ul", { class: "passages", "aria-label": "Where it is said" }, ...passages),
  ];
  return documentRow(result, ...parts.filter(Boolean));
}

function nothingFound(asked) {
  const narrowed = FILTERS.some((name) => asked.has(name));
  announce("Nothing was found.");
  return emptyState(
    "search",
    "Nothing was found",
    narrowed
      ? "No document has these words within the filters."
      : "No document has these words. Try fewer of them, or the beginning of one with a star: harb*.",
    narrowed
      ? el("a", { class: "button", href: `#/search?q=${encodeURIComponent(asked.get("q"))}`, text: "Search without filters" })
      : "",
  );
}

function howToAsk() {
  const line = (sample, meaning) => el("div", {}, el("dt", {}, el("code", { text: sample })), el("dd", { text: meaning }));
  return el(
    "section",
    { class: "hints" },
    el("h2", { text: "What can be asked" }),
    el(
      "dl",
      { class: "details" },
      line("slow query", "both words, whatever their form; texts and recordings"),
      line('"statistics are wrong"', "these words in this order"),
      line("partit*", "words that begin so"),
    ),
  );
}

/** The row of filters; changes are written into `asked` and told by `changed`. */
class Filters {
  constructor(asked, changed) {
    const set = (name) => (value) => {
      if (value) asked.set(name, value);
      else asked.delete(name);
      changed();
    };
    const date = (name, label) =>
      el(
        "label",
        { class: "choice" },
        el("span", { text: label }),
        el("input", {
          type: "date",
          value: asked.get(name) ?? "",
          on: { change: (event) => set(name)(event.target.value) },
        }),
      );
    const any = (name, words) => [["", words], ...(asked.has(name) ? [[asked.get(name), asked.get(name)]] : [])];
    this.asked = asked;
    this.topic = choice("Topic", any("cluster", "Any topic"), asked.get("cluster") ?? "", set("cluster"));
    this.kind = choice("Type", any("type", "Any type"), asked.get("type") ?? "", set("type"));
    const skills = [["", "Any level"], ...SKILLS.map((one) => [one, one])];
    const level = choice("Level", skills, asked.get("skill") ?? "", set("skill"));
    this.active = el("span", { class: "filter-count" });
    this.node = el(
      "details",
      { class: "filters", open: FILTERS.some((name) => asked.has(name)) || window.innerWidth > 780 },
      el("summary", {}, "Filters", this.active),
      el("div", { class: "filter-row" }, this.topic, this.kind, level, date("since", "From"), date("until", "To")),
    );
    this.count();
  }

  /** Show how many filters are set. */
  count() {
    const number = FILTERS.filter((name) => this.asked.has(name)).length;
    setText(this.active, number ? ` ${number} set` : "");
  }

  /** Fill in which topics and types there are. What can't be read is left out: it only means fewer choices. */
  async fill(isOpen) {
    const [clusters, figures] = await Promise.allSettled([
      request("./clusters?sort=largest&limit=100"),
      request("./analytics?time_period=all"),
    ]);
    if (!isOpen()) return;
    const topics = (clusters.value?.data.clusters ?? []).map(({ cluster_id: id, name, size }) => [id, `${name} (${size})`]);
    offer(this.topic, topics);
    const counted = figures.value?.data;
    const types = Object.keys(counted?.distributions.source_types ?? {});
    offer(this.kind, typeChoices(types));
    if (counted && !counted.refreshing) return;
    // The figures lag behind a library that grows: what came lately is looked at itself.
    const newest = await request("./documents?limit=100").catch(() => null);
    const more = (newest?.data.documents ?? []).map(({ source_type: type }) => type);
    if (isOpen()) offer(this.kind, typeChoices([...new Set([...types, ...more])]));
  }
}

const typeChoices = (types) => types.sort().map((type) => [type, kindName(type)]);

/** Put choices into a field, after "any"; what is chosen stays chosen. */
function offer(field, choices) {
  const select = field.querySelector("select");
  const chosen = select.value;
  const options = choices.map(([value, text]) => el("option", { value, text }));
  const missing = [...select.options].slice(1).filter(({ value }) => !choices.some(([one]) => one === value));
  select.replaceChildren(select.options[0], ...missing, ...options);
  select.value = chosen;
}
