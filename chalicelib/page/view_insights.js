/** Insights: figures of the library, from the snapshot that the service keeps. */

import { pause, request } from "./api.js";
import { conceptChips } from "./chips.js";
import { dayChart, shares } from "./charts.js";
import { documentAddress, kindName } from "./document_rows.js";
import { download } from "./download.js";
import { announce, button, el, emptyState, failure, icon, loading, segments } from "./dom.js";
import { dollars, duration, number, percent, relativeTime, words } from "./format.js";

export const title = "Insights";
export const wide = true;

const PERIODS = [
  ["7d", "7 days"],
  ["30d", "30 days"],
  ["90d", "90 days"],
  ["all", "All"],
];
/** How often to look whether new figures have come. */
const MOST_LOOKS = 20;
const RECENT = 10;

/** Fill `root`; returns what undoes it. `query` may name the period. */
export function open(root, _parameters, query) {
  const stop = new AbortController();
  const isOpen = () => !stop.signal.aborted;
  let period = PERIODS.some(([one]) => one === query.get("period")) ? query.get("period") : "30d";
  let turn = 0;
  const state = el("div", { "aria-live": "off" }, loading("Reading the figures…"));
  const age = el("p", { class: "facts" });

  async function read() {
    turn += 1;
    const mine = turn;
    const isCurrent = () => isOpen() && mine === turn;
    try {
      for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
        const { data, retryAfter } = await request(`./analytics?time_period=${period}`);
        if (!isCurrent()) return;
        show(data);
        if (!data.refreshing) return;
        await pause(retryAfter ?? 2);
        if (!isCurrent()) return;
      }
    } catch (error) {
      if (isCurrent()) state.replaceChildren(failure(error, read));
    }
  }

  function show(data) {
    age.replaceChildren(
      data.as_of ? el("span", {}, "Counted ", relativeTime(data.as_of)) : el("span", { text: "Not counted yet" }),
      data.refreshing ? el("span", { text: "new figures are on their way" }) : "",
    );
    if (!data.as_of) state.replaceChildren(loading("Counting for the first time…"));
    else if (!data.overview.total_documents) state.replaceChildren(nothingYet());
    else state.replaceChildren(...figures(data));
  }

  const save = button(
    "CSV",
    async () => {
      save.disabled = true;
      try {
        await download(`./analytics/export?time_period=${period}`, `analytics-${period}.csv`);
      } catch (error) {
        announce(error.message);
        state.prepend(failure(error, () => save.click()));
      } finally {
        save.disabled = false;
      }
    },
    { kind: "small", symbol: "download" },
  );
  const periods = segments("Period", PERIODS, period, (value) => {
    period = value;
    history.replaceState(null, "", `#/insights?period=${period}`);
    read();
  });
  root.append(
    el(
      "header",
      { class: "page-head" },
      el("div", { class: "with-action" }, el("h1", { tabindex: -1, text: "Insights" }), save),
      age,
    ),
    periods,
    state,
  );
  read();
  return () => stop.abort();
}

function nothingYet() {
  return emptyState(
    "chart",
    "Nothing to count yet",
    "Figures appear once there are documents.",
    el("a", { class: "button", href: "#/add", text: "Add a file" }),
  );
}

function figures(data) {
  const days = data.time_series.map(({ date, documents }) => ({ date, value: documents }));
  const { source_types: types, skill_levels: levels, clusters } = data.distributions;
  return [
    overview(data.overview),
    panel("Documents added", dayChart(days, { label: "Documents added by day", noun: "document" }), "whole"),
    el(
      "div",
      { class: "panels" },
      panel(
        "Largest topics",
        shares(clusters.map(({ cluster_id: id, name, documents }) => ({
          name: name || "Unnamed topic",
          value: documents,
          href: `#/topics/${encodeURIComponent(id)}`,
        }))),
      ),
      panel("Types", shares(Object.entries(types).map(([type, value]) => ({ name: kindName(type), value })))),
      panel("Levels", shares(Object.entries(levels).map(([level, value]) => ({ name: words(level), value })))),
      panel("Processing", processing(data.processing)),
      panel("Concepts in most documents", conceptChips(data.top_concepts, { linked: true }), "whole"),
      panel("Lately", activity(data.recent_activity), "whole"),
    ),
  ];
}

function panel(name, content, kind = "") {
  return el(
    "section",
    { class: `panel ${kind}` },
    el("h2", { text: name }),
    content?.childElementCount ? content : el("p", { class: "muted", text: "Nothing in this period." }),
  );
}

function overview(told) {
  const figure = (name, value, note = null) =>
    el(
      "div",
      { class: "figure" },
      el("dt", { text: name }),
      el("dd", {}, value, note && el("span", { class: "figure-note", text: note })),
    );
  return el(
    "dl",
    { class: "figures" },
    figure("Documents", number(told.total_documents), `${number(told.documents_in_period)} in this period`),
    figure("Topics", number(told.total_clusters)),
    figure("Concepts", number(told.total_concepts), told.concepts_complete ? null : "and rare ones"),
    figure("Today", number(told.documents_today), `${number(told.documents_this_week)} in 7 days`),
  );
}

function processing(told) {
  if (!told.jobs) return null;
  const ended = told.succeeded + told.failed;
  const line = (name, value) => el("div", {}, el("dt", { text: name }), el("dd", { text: value }));
  return el(
    "dl",
    { class: "facts-list" },
    line("Jobs", number(told.jobs)),
    line("Succeeded", ended ? `${number(told.succeeded)} (${percent(told.succeeded / ended)})` : "none yet"),
    line("Failed", number(told.failed)),
    line("Time of a job, median", duration(told.seconds_median)),
    line("Time of a job, longest", duration(told.seconds_longest)),
    line("Time in all", duration(told.seconds_total)),
    line("Cost in all, at AWS prices", dollars(told.dollars)),
  );
}

function activity(events) {
  const line = (event) => {
    const added = event.type === "document_added";
    const named = added ? event.title || "Untitled" : event.filename || "A job";
    return el(
      "li",
      { data: { kind: added ? "done" : "failed" } },
      icon(added ? "document" : "fail"),
      added
        ? el("a", { href: documentAddress(event.doc_id), text: named })
        : el("a", { href: "#/jobs", text: `${named} failed` }),
      relativeTime(event.at),
    );
  };
  return el("ul", { class: "activity" }, ...events.slice(0, RECENT).map(line));
}
