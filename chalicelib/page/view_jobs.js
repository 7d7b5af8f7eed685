/** Jobs: all that were submitted, newest first; by name or state (`#/jobs?q=…&state=…`); one of them (`#/jobs/ID`). */

import { request } from "./api.js";
import { Card, CardList } from "./card.js";
import { button, choice, el, emptyState, failure, loading } from "./dom.js";
import { openJob } from "./job.js";
import { jobs } from "./jobs.js";
import { PagedList } from "./paging.js";
import { watchHistory } from "./polling.js";

export const title = "Jobs";

const PAGE_SIZE = 25;
const STATES = [
  ["", "Any state"],
  ["PENDING", "Queued"],
  ["WAITING", "Waiting for a turn"],
  ["PROCESSING", "Processing"],
  ["RETRY", "Retrying"],
  ["SUCCESS", "Done"],
  ["FAILURE", "Failed"],
  ["REVOKED", "Cancelled"],
];
/** After the last key. */
const REST_MS = 300;

/** Fill `root` with the list or the job `id`; returns what undoes it. `query` may hold `q` and `state`. */
export function open(root, [id], query) {
  const stop = new AbortController();
  if (id) openJob(root, id, stop.signal);
  else openList(root, query, stop);
  return () => stop.abort();
}

function openList(root, query, stop) {
  const isOpen = () => !stop.signal.aborted;
  const asked = new URLSearchParams([...query].filter(([name, value]) => ["q", "state"].includes(name) && value));
  const all = historyPart(stop.signal);
  const found = foundPart(asked, isOpen, stop.signal);
  const refresh = button("Refresh", () => show(), { kind: "quiet small", symbol: "retry" });

  function show() {
    const filtered = asked.size > 0;
    history.replaceState(null, "", `#/jobs${filtered ? `?${asked}` : ""}`);
    all.node.hidden = filtered;
    found.node.hidden = !filtered;
    if (filtered) found.restart();
    else all.read({});
  }

  root.append(
    el("header", { class: "page-head with-action" }, el("h1", { tabindex: -1, text: "Jobs" }), refresh),
    filters(asked, show),
    el("h2", { class: "visually-hidden", text: "What was submitted" }),
    all.node,
    found.node,
  );
  show();
}

function filters(asked, changed) {
  let timer = 0;
  const set = (name, value) => {
    if (value) asked.set(name, value);
    else asked.delete(name);
    changed();
  };
  const words = el("input", {
    type: "search",
    value: asked.get("q") ?? "",
    placeholder: "Name of a file, or an id",
    maxlength: 200,
    autocomplete: "off",
    "aria-label": "Find jobs by the name of a file or an id",
    on: {
      input: () => {
        clearTimeout(timer);
        timer = setTimeout(() => set("q", words.value.trim()), REST_MS);
      },
    },
  });
  const state = choice("", STATES, asked.get("state") ?? "", (value) => set("state", value), { "aria-label": "State" });
  return el(
    "form",
    { class: "job-filters", role: "search", on: { submit: (event) => event.preventDefault() } },
    words,
    state,
  );
}

/** All jobs, as the page knows them. */
function historyPart(signal) {
  const state = el("div");
  const list = new CardList(() => jobs.history);
  const more = button("Load more", () => read({ more: true }), { kind: "wide" });
  const show = () => {
    more.hidden = !jobs.cursor;
    if (!jobs.loaded) state.replaceChildren(loading("Reading the jobs…"));
    else state.replaceChildren(...(jobs.history.length ? [] : [nothingYet()]));
  };
  async function read(options) {
    more.disabled = true;
    try {
      await jobs.load(options);
      watchHistory();
      show();
    } catch (error) {
      state.replaceChildren(failure(error, () => read(options)));
    } finally {
      more.disabled = false;
    }
  }
  jobs.addEventListener("list", show, { signal });
  signal.addEventListener("abort", () => list.close());
  show();
  return { node: el("div", {}, state, list.node, more), read };
}

/** The jobs that were asked for; each card follows its job like all others. */
function foundPart(asked, isOpen, signal) {
  const cards = new Map();
  jobs.addEventListener("change", ({ detail }) => cards.get(detail.key)?.update(), { signal });
  return new PagedList({
    isOpen,
    kind: "cards",
    waiting: "Looking for jobs…",
    nothing: () => emptyState("jobs", "No such jobs", "None of your jobs of the last 30 days fits."),
    async read(cursor) {
      const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
      const { data } = await request(`./jobs?${asked}&limit=${PAGE_SIZE}${after}`);
      const items = data.jobs.map((job) => {
        const entry = jobs.put(job, false);
        const card = new Card(entry);
        cards.set(entry.key, card);
        return el("li", {}, card.node);
      });
      return { items, cursor: data.next_cursor };
    },
  });
}

function nothingYet() {
  return emptyState(
    "jobs",
    "No jobs yet",
    "Each file that you add becomes a job. It shows up here and stays for 30 days.",
    el("a", { class: "button", href: "#/add", text: "Add a file" }),
  );
}
